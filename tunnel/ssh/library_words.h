// What libssh2 says in English and in none of its codes.
#pragma once

#include <cstdint>
#include <string_view>

namespace tunnel::ssh {

enum class Words : std::uint8_t {
  none,           // of no meaning beside the code
  session_broke,  // while the server's answer to a key was awaited
  not_signed,     // the key could not sign: the library could not read it
};

// Of the text of libssh2_session_last_error() after an attempt to authenticate. The words are those
// of 1.10.0, 1.11.0 and 1.11.1 (src/userauth.c); one that changes them makes a test against a real
// server fail, and until then a broken session is told as a refusal, or a key as refused.
Words meaning_of(std::string_view error);

}  // namespace tunnel::ssh

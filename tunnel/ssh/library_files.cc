#include "tunnel/ssh/library_files.h"

#include <memory>
#include <string_view>

#include <libssh2.h>

#include "base/check.h"

namespace tunnel::ssh {
namespace {

// A name in the form that has to be hashed before it can be compared, which is what makes OpenSSL
// look for its configuration.
constexpr std::string_view kHashedName =
    "|1|AAAAAAAAAAAAAAAAAAAAAAAAAAA=|AAAAAAAAAAAAAAAAAAAAAAAAAAA= ssh-rsa AAAAAAAAAAAAAAAAAAAAAAAA";

}  // namespace

void read_library_files() {
  const std::unique_ptr<LIBSSH2_SESSION, decltype(&libssh2_session_free)> session(
      libssh2_session_init_ex(nullptr, nullptr, nullptr, nullptr), &libssh2_session_free);
  CHECK(session != nullptr);
  const std::unique_ptr<LIBSSH2_KNOWNHOSTS, decltype(&libssh2_knownhost_free)> hosts(
      libssh2_knownhost_init(session.get()), &libssh2_knownhost_free);
  CHECK(hosts != nullptr);
  CHECK(libssh2_knownhost_readline(hosts.get(), kHashedName.data(), kHashedName.size(),
                                   LIBSSH2_KNOWNHOST_FILE_OPENSSH) == 0);
  libssh2_knownhost_checkp(hosts.get(), "host", 22, "AAAA", 4,
                           LIBSSH2_KNOWNHOST_TYPE_PLAIN | LIBSSH2_KNOWNHOST_KEYENC_BASE64, nullptr);
}

}  // namespace tunnel::ssh

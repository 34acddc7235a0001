// Passwords that somebody wrote into a URI, taken out of what is shown. No URI with a password is
// used for anything, so this is for messages and reports alone.
#pragma once

#include <string>
#include <string_view>

namespace conf {

// `text` with *** for the password of each URI in it, and of each USER:PASSWORD@HOST that may have
// been meant as one.
std::string masked(std::string_view text);

// The user of a parsed URI, with *** for the password that follows the name there.
std::string masked_user(std::string_view user);

}  // namespace conf

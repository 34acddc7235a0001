#include "base/process.h"

#include <array>
#include <cstdlib>

#include <pwd.h>
#include <unistd.h>

namespace base {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

Account own_account() {
  // As large as an entry of a directory service can reasonably be: sysconf(3) says 1024.
  std::array<char, 16384> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(geteuid(), &entry, buffer.data(), buffer.size(), &found) != 0) return {};
  return found == nullptr ? Account{} : Account{found->pw_name, found->pw_dir};
}

std::string home_folder() {
  std::string home = variable("HOME");
  // A relative one would mean another folder after each chdir(2).
  return home.starts_with('/') ? home : own_account().home;
}

}  // namespace base

// What the process was started with and by whom, as far as files and sockets are found by it.
#pragma once

#include <string>

namespace base {

// A variable of the environment; empty: unset or empty.
std::string variable(const char* name);

struct Account {
  std::string name;
  std::string home;
};

// Of the effective uid, by getpwuid(3), which may ask a name service and take long; empty: the
// system knows no such user.
Account own_account();

// $HOME where that is an absolute path, else the account's; empty: there is none.
std::string home_folder();

}  // namespace base

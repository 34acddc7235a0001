// Files and ports by Landlock, which any process may use on itself; see landlock(7).
#pragma once

#include <string>

#include "proxy/service/confinement.h"

namespace proxy {

struct Landlocked {
  std::string files;  // "as configured (Landlock 7)", or "all" and why
  std::string ports;
  // What can be done from now on: more than was asked for where Landlock lacks it.
  Confinement held;
};

// For the calling thread and those that it starts. It may not gain privileges any more.
Landlocked restrict_with_landlock(const Confinement& confinement);

}  // namespace proxy

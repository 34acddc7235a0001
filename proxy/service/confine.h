// The process takes from itself what it will not need, so that a mistake in it that somebody finds
// is worth little: new privileges, programs, files, ports and system calls. As much of that as the
// kernel can do; what it cannot is said, and the service runs.
#pragma once

#include <string>

#include "proxy/record/log.h"
#include "proxy/service/confinement.h"

namespace proxy {

struct Confined {
  // What is in force, each as a few words.
  std::string new_privileges;  // "none"
  std::string core_dumps;      // "none"
  std::string files;           // Landlock's
  std::string ports;           // Landlock's
  std::string system_calls;    // seccomp's
  Confinement held;            // what the process can do from now on
};

// For all of the process, for ever, and for the programs that it starts. Called while there is one
// thread only, since Landlock knows threads and no processes.
Confined confine(const Confinement& confinement);

// One line about it.
void log_confined(const Confined& confined, Log& log);

// Nothing of confine() is in force but what hinders no sanitizer, which needs ptrace and /proc.
inline constexpr bool kBuiltWithSanitizers =
#if defined(__SANITIZE_ADDRESS__)
    true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    true;
#else
    false;
#endif
#else
    false;
#endif

}  // namespace proxy

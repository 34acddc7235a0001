// System calls by seccomp(2).
#pragma once

#include <string>

namespace proxy {

// For all threads. Without programs, those pass that this process uses, and the others are answered
// as by a kernel that does not have them, which the C library and libuv are written for: with EPERM
// a newer one of them would fail where it could do without. With programs, whose system calls
// nobody knows, those are refused with EPERM that no tunnel needs. The text says what is in force.
std::string restrict_system_calls(bool runs_programs);

}  // namespace proxy

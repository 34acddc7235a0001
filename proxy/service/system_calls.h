// System calls by seccomp(2).
#pragma once

#include <string>

namespace proxy {

// Before the loop is made: libuv would make a ring of io_uring(7) with it, enter that when its
// system calls have been given up, and abort; and a ring does what no filter sees.
void refuse_rings();

// For all threads. Without programs, those pass that this process uses, and the others are answered
// as by a kernel that does not have them, which the C library and libuv are written for: with EPERM
// a newer one of them would fail where it could do without. With programs, whose system calls
// nobody knows, those are refused with EPERM that no tunnel needs. The text says what is in force.
std::string restrict_system_calls(bool runs_programs);

}  // namespace proxy

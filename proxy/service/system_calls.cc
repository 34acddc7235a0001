#include "proxy/service/system_calls.h"

#include <array>
#include <cerrno>
#include <memory>
#include <span>

#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

namespace proxy {
namespace {

// By name, since not every machine has each of them.
constexpr std::array kAllowed = {
    // memory
    "brk", "munmap", "mremap", "madvise", "membarrier",
    // threads and signals
    "futex", "futex_time64", "futex_waitv", "set_robust_list", "get_robust_list", "rseq",
    "set_tid_address", "sched_yield", "sched_getaffinity", "getcpu", "exit", "exit_group",
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "sigaltstack", "sigreturn",
    "restart_syscall",
    // who we are
    "getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid", "getresuid",
    "getresgid", "getgroups", "getuid32", "geteuid32", "getgid32", "getegid32", "uname", "sysinfo",
    "getrlimit", "ugetrlimit", "getrandom", "getcwd",
    // time
    "clock_gettime", "clock_gettime64", "clock_getres", "clock_nanosleep", "clock_nanosleep_time64",
    "nanosleep", "gettimeofday", "time",
    // files
    "read", "readv", "pread64", "write", "writev", "pwrite64", "close", "close_range", "open",
    "openat", "lseek", "_llseek", "fstat", "fstat64", "stat", "stat64", "lstat", "lstat64",
    "newfstatat", "fstatat64", "statx", "statfs", "fstatfs", "access", "faccessat", "faccessat2",
    "readlink", "readlinkat", "getdents", "getdents64", "fcntl", "fcntl64", "flock", "fsync",
    "fdatasync", "unlink", "unlinkat", "mkdir", "mkdirat", "rename", "renameat", "renameat2",
    "umask", "chmod", "fchmod", "fchmodat", "chown", "fchown", "fchownat", "chown32", "fchown32",
    "dup", "dup2", "dup3", "pipe", "pipe2", "eventfd2", "memfd_create",
    // the loop
    "poll", "ppoll", "ppoll_time64", "select", "_newselect", "pselect6", "pselect6_time64",
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2",
    // sockets; which families is decided below
    "bind", "connect", "listen", "accept", "accept4", "getsockname", "getpeername", "getsockopt",
    "setsockopt", "shutdown", "send", "recv", "sendto", "recvfrom", "sendmsg", "recvmsg",
    "sendmmsg", "recvmmsg", "recvmmsg_time64"};

constexpr std::array kRefusedToPrograms = {"ptrace",
                                           "process_vm_readv",
                                           "process_vm_writev",
                                           "process_madvise",
                                           "kcmp",
                                           "pidfd_getfd",
                                           "bpf",
                                           "perf_event_open",
                                           "userfaultfd",
                                           "lookup_dcookie",
                                           "fanotify_init",
                                           "open_by_handle_at",
                                           "name_to_handle_at",
                                           "init_module",
                                           "finit_module",
                                           "delete_module",
                                           "kexec_load",
                                           "kexec_file_load",
                                           "reboot",
                                           "mount",
                                           "umount",
                                           "umount2",
                                           "pivot_root",
                                           "chroot",
                                           "fsopen",
                                           "fsconfig",
                                           "fsmount",
                                           "fspick",
                                           "move_mount",
                                           "open_tree",
                                           "mount_setattr",
                                           "swapon",
                                           "swapoff",
                                           "quotactl",
                                           "quotactl_fd",
                                           "setns",
                                           "unshare",
                                           "acct",
                                           "syslog",
                                           "vhangup",
                                           "iopl",
                                           "ioperm",
                                           "nfsservctl",
                                           "settimeofday",
                                           "clock_settime",
                                           "clock_settime64",
                                           "clock_adjtime",
                                           "clock_adjtime64",
                                           "adjtimex",
                                           "stime",
                                           "sethostname",
                                           "setdomainname",
                                           "mbind",
                                           "set_mempolicy",
                                           "migrate_pages",
                                           "move_pages",
                                           "io_uring_setup"};

constexpr std::array kFamilies = {AF_UNIX, AF_INET, AF_INET6};
constexpr std::array kTypes = {SOCK_STREAM, SOCK_DGRAM};
constexpr std::uint64_t kTypeBits = 0xf;
constexpr std::array kDeviceCalls = {FIONBIO, FIONREAD, FIOCLEX, TCGETS, TIOCGWINSZ};

class Filter {
 public:
  explicit Filter(std::uint32_t otherwise) : context_(seccomp_init(otherwise), seccomp_release) {
    if (context_ == nullptr) failed_ = ENOMEM;
  }

  // A name that this machine or the library does not know is left out.
  void on(std::uint32_t action, const char* name, std::initializer_list<scmp_arg_cmp> when = {}) {
    const int number = seccomp_syscall_resolve_name(name);
    if (failed_ != 0 || number == __NR_SCMP_ERROR) return;
    const int status = seccomp_rule_add_array(context_.get(), action, number,
                                              static_cast<unsigned>(when.size()), when.begin());
    if (status != 0) failed_ = -status;
  }

  void allow(const char* name, std::initializer_list<scmp_arg_cmp> when = {}) {
    on(SCMP_ACT_ALLOW, name, when);
  }

  // 0, or what went wrong.
  int load() {
    if (failed_ != 0) return failed_;
    seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_TSYNC, 1);
    seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
    return -seccomp_load(context_.get());
  }

 private:
  std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
  int failed_ = 0;
};

scmp_arg_cmp equal(unsigned argument, std::uint64_t value) {
  return {argument, SCMP_CMP_EQ, value, 0};
}

scmp_arg_cmp has(unsigned argument, std::uint64_t bits, std::uint64_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, bits, value};
}

// Code is mapped from files, and never made.
void allow_memory(Filter& filter) {
  for (const char* name : {"mmap", "mmap2"}) {
    filter.allow(name, {has(2, PROT_EXEC, 0)});
    filter.allow(name, {has(2, PROT_WRITE, 0)});
  }
  filter.allow("mprotect", {has(2, PROT_EXEC, 0)});
}

// Threads, and no processes. clone3, whose flags a filter cannot see, is one of those that are not
// there.
void allow_threads(Filter& filter) {
  filter.allow("clone", {has(0, CLONE_THREAD, CLONE_THREAD)});
  filter.allow("tgkill", {equal(0, static_cast<std::uint64_t>(getpid()))});
  filter.allow("prctl", {equal(0, PR_SET_NAME)});
  filter.allow("prlimit64", {equal(2, 0)});
}

// The C library asks netlink which addresses this host has before it orders those that it found.
void allow_sockets(Filter& filter) {
  for (const int family : kFamilies) {
    for (const int type : kTypes) {
      for (const char* name : {"socket", "socketpair"}) {
        filter.allow(name, {equal(0, static_cast<std::uint64_t>(family)),
                            has(1, kTypeBits, static_cast<std::uint64_t>(type))});
      }
    }
  }
  filter.allow("socket", {equal(0, AF_NETLINK), equal(2, NETLINK_ROUTE)});
}

int allow_what_is_used() {
  Filter filter(SCMP_ACT_ERRNO(ENOSYS));
  for (const char* name : kAllowed) filter.allow(name);
  allow_memory(filter);
  allow_threads(filter);
  allow_sockets(filter);
  for (const auto call : kDeviceCalls) {
    filter.allow("ioctl", {has(1, 0xffffffff, static_cast<std::uint64_t>(call))});
  }
  return filter.load();
}

int refuse_what_no_tunnel_needs() {
  Filter filter(SCMP_ACT_ALLOW);
  for (const char* name : kRefusedToPrograms) filter.on(SCMP_ACT_ERRNO(EPERM), name);
  filter.on(SCMP_ACT_ERRNO(EPERM), "socket", {equal(0, AF_PACKET)});
  filter.on(SCMP_ACT_ERRNO(EPERM), "clone", {has(0, CLONE_NEWUSER, CLONE_NEWUSER)});
  filter.on(SCMP_ACT_ERRNO(ENOSYS), "clone3");
  return filter.load();
}

}  // namespace

void refuse_rings() {
  Filter filter(SCMP_ACT_ALLOW);
  filter.on(SCMP_ACT_ERRNO(ENOSYS), "io_uring_setup");
  static_cast<void>(filter.load());
}

std::string restrict_system_calls(bool runs_programs) {
  const int status = runs_programs ? refuse_what_no_tunnel_needs() : allow_what_is_used();
  if (status != 0) return "all: seccomp failed: " + base::system_words(status);
  return runs_programs ? "all but those that no tunnel needs: targets need programs"
                       : "those that are used (seccomp)";
}

}  // namespace proxy

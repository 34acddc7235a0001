// confined CONFIG ACT...: confines itself as `virtgate serve --config CONFIG` does, tries each act,
// and prints a line for each: the act, and what became of it, "done" or the name of an errno. An
// act is a name, or a name, a colon and what it is done to.
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "conf/config.h"
#include "conf/environment.h"
#include "proxy/service/confine.h"
#include "proxy/service/settings.h"

namespace {

constexpr std::size_t kPage = 4096;

bool opened(const std::string& path, int flags) {
  return base::Fd(open(path.c_str(), flags | O_CLOEXEC, 0600)).ok();
}

bool socket_made(int family, int type, int protocol) {
  return base::Fd(socket(family, type | SOCK_CLOEXEC, protocol)).ok();
}

bool tcp(const std::string& port, bool connecting) {
  const base::Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::strtoul(port.c_str(), nullptr, 10)));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto* raw = reinterpret_cast<const sockaddr*>(&address);
  return fd.ok() && (connecting ? connect(fd.get(), raw, sizeof address)
                                : bind(fd.get(), raw, sizeof address)) == 0;
}

bool connected_to_abstract(const std::string& name) {
  const base::Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return fd.ok() && connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0;
}

bool forked() {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  return child > 0 && waitpid(child, nullptr, 0) == child;
}

bool executed(const std::string& program) {
  std::string name = program;
  std::array<char*, 2> arguments = {name.data(), nullptr};
  std::array<char*, 1> environment = {nullptr};
  return execve(name.c_str(), arguments.data(), environment.data()) == 0;
}

bool made_code(bool at_once) {
  const int writable = PROT_READ | PROT_WRITE;
  void* page = mmap(nullptr, kPage, at_once ? writable | PROT_EXEC : writable,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return page != MAP_FAILED && (at_once || mprotect(page, kPage, PROT_READ | PROT_EXEC) == 0);
}

bool called(long number) { return syscall(number, 0L, 0L, 0L, 0L, 0L, 0L) >= 0; }

bool on_files(const std::string& act, const std::string& what, bool& known) {
  known = true;
  if (act == "read") return opened(what, O_RDONLY);
  if (act == "write") return opened(what, O_WRONLY);
  if (act == "append") return opened(what, O_WRONLY | O_APPEND | O_CREAT);
  if (act == "truncate") return opened(what, O_WRONLY | O_TRUNC);
  if (act == "remove") return unlink(what.c_str()) == 0;
  if (act == "make-folder") return mkdir(what.c_str(), 0700) == 0;
  if (act == "link") return symlink("/", what.c_str()) == 0;
  if (act == "make-device") return mknod(what.c_str(), S_IFCHR | 0600, 0x103) == 0;
  if (act == "execute") return executed(what);
  known = false;
  return false;
}

bool on_network(const std::string& act, const std::string& what, bool& known) {
  known = true;
  if (act == "connect") return tcp(what, true);
  if (act == "bind") return tcp(what, false);
  if (act == "connect-abstract") return connected_to_abstract(what);
  if (act == "packet-socket") return socket_made(AF_PACKET, SOCK_RAW, 0);
  if (act == "raw-socket") return socket_made(AF_INET, SOCK_RAW, IPPROTO_ICMP);
  if (act == "vsock") return socket_made(AF_VSOCK, SOCK_STREAM, 0);
  known = false;
  return false;
}

bool on_system(const std::string& act, const std::string& what, bool& known) {
  known = true;
  if (act == "fork") return forked();
  if (act == "signal")
    return kill(static_cast<pid_t>(std::strtol(what.c_str(), nullptr, 10)), 0) == 0;
  if (act == "trace") return ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0;
  if (act == "become-root") return setuid(0) == 0;
  if (act == "raise-core-limit") {
    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    return setrlimit(RLIMIT_CORE, &unlimited) == 0;
  }
  if (act == "mount") return mount("none", what.c_str(), "tmpfs", 0, nullptr) == 0;
  if (act == "change-root") return chroot("/") == 0;
  if (act == "new-namespace") return unshare(CLONE_NEWUSER) == 0;
  if (act == "write-and-execute") return made_code(true);
  if (act == "make-executable") return made_code(false);
  if (act == "bpf") return called(SYS_bpf);
  if (act == "kexec") return called(SYS_kexec_load);
  if (act == "load-module") return called(SYS_init_module);
  if (act == "io-uring") return called(SYS_io_uring_setup);
  if (act == "keys") return called(SYS_keyctl);
  if (act == "perf") return called(SYS_perf_event_open);
  if (act == "swap") return called(SYS_swapoff);
  if (act == "read-memory") return called(SYS_process_vm_readv);
  known = false;
  return false;
}

const char* outcome(const std::string& text) {
  const std::size_t colon = text.find(':');
  const std::string act = text.substr(0, colon);
  const std::string what = colon == std::string::npos ? "" : text.substr(colon + 1);
  bool known = false;
  errno = 0;
  for (const auto& kind : {on_files, on_network, on_system}) {
    if (kind(act, what, known)) return "done";
    if (known) return strerrorname_np(errno);
  }
  return "unknown";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  proxy::Sources options;
  options.config = argv[1];
  const conf::Loaded loaded = proxy::configuration(options);
  if (!loaded.mistakes.empty()) return 1;
  const auto log = proxy::make_log(proxy::Level::info);
  proxy::log_confined(proxy::confine(proxy::confinement_of(loaded.config, loaded.files, "",
                                                           conf::process_environment())),
                      *log);
  for (int i = 2; i < argc; ++i) std::printf("%s %s\n", argv[i], outcome(argv[i]));
  return 0;
}

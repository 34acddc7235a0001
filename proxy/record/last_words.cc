#include "proxy/record/last_words.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <optional>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fd.h"
#include "proxy/record/log.h"

namespace proxy {
namespace {

static_assert(kOutOfMemory == EX_OSERR);

constexpr int kPatience = 1000;  // milliseconds, with whoever reads standard error

// std::set_new_handler() takes nothing that could lead to an object.
struct Words {
  std::atomic_flag said;
  int statm = -1;  // open, for then there may be no descriptor
  std::uint64_t page = 4096;
  bool journal = false;
  std::thread::id thread;
  std::function<MemoryUse()> use;
};

Words& words() {
  static Words one;
  return one;
}

// Of a fixed size, and cut off at its end.
class Text {
 public:
  [[gnu::format(printf, 2, 3)]] void add(const char* format, ...) {
    va_list values;
    va_start(values, format);
    const int length = std::vsnprintf(&bytes_.at(size_), bytes_.size() - size_, format, values);
    va_end(values);
    size_ = std::min(size_ + static_cast<std::size_t>(std::max(length, 0)), bytes_.size() - 1);
  }
  // To a pipe that is ready so much goes without waiting.
  void write() const {
    pollfd out{STDERR_FILENO, POLLOUT, 0};
    if (::poll(&out, 1, kPatience) <= 0) return;
    if (::write(STDERR_FILENO, bytes_.data(), size_) < 0) return;
  }

 private:
  std::array<char, 1024> bytes_{};
  std::size_t size_ = 0;
};

std::optional<std::uint64_t> resident(const Words& of) {
  std::array<char, 128> text{};
  if (of.statm < 0 || ::pread(of.statm, text.data(), text.size() - 1, 0) <= 0) return std::nullopt;
  char* rest = nullptr;
  std::strtoull(text.data(), &rest, 10);
  return std::strtoull(rest, nullptr, 10) * of.page;
}

void add_use(Text& to, const MemoryUse& use) {
  to.add("; %" PRIu64 " clients of %" PRIu64 " users held %" PRIu64 " bytes, of %" PRIu64
         " that [limits] buffer allows",
         use.clients, use.users, use.held, use.bound);
  const char* separator = ": ";
  for (const UserSnapshot& user : use.largest) {
    if (user.held == 0) continue;
    to.add("%suser %" PRIu64 " %" PRIu64, std::exchange(separator, ", "), user.uid, user.held);
  }
}

[[noreturn]] void end() {
  Words& all = words();
  while (all.said.test_and_set()) ::pause();
  Text text;
  text.add("%svirtgate: out of memory", all.journal ? "<2>" : "");
  if (const auto bytes = resident(all)) text.add("; resident %" PRIu64 " bytes", *bytes);
  // In another thread, what there is may be half changed.
  if (all.use && std::this_thread::get_id() == all.thread) add_use(text, all.use());
  text.add("\n");
  text.write();
  ::_exit(kOutOfMemory);
}

}  // namespace

void end_when_memory_ends() {
  Words& all = words();
  // Not in the place of a standard stream that is closed.
  const base::Fd statm(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC));
  all.statm = ::fcntl(statm.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  all.page = static_cast<std::uint64_t>(std::max(::sysconf(_SC_PAGESIZE), 1L));
  all.journal = stderr_leads_to_journal();
  std::set_new_handler(end);
}

MemoryAccount::MemoryAccount(std::function<MemoryUse()> use) {
  CHECK(!words().use);
  words().thread = std::this_thread::get_id();
  words().use = std::move(use);
}

MemoryAccount::~MemoryAccount() { words().use = nullptr; }

}  // namespace proxy

// A process without memory says who held it, and ends with a status of its own.
#include <array>
#include <cstdlib>
#include <new>
#include <string>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

#include "base/allocate.h"
#include "proxy/record/last_words.h"
#include "tests/unit/support/catch.h"

namespace {

struct End {
  int status = 0;
  std::string said;
};

// What becomes of a process that does this.
template <typename Work>
End end_of(Work work) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    ::unsetenv("JOURNAL_STREAM");
    proxy::end_when_memory_ends();
    work();
    ::_exit(0);
  }
  ::close(ends[1]);
  End out;
  std::array<char, 4096> piece{};
  for (ssize_t got = 0; (got = ::read(ends[0], piece.data(), piece.size())) > 0;) {
    out.said.append(piece.data(), static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  out.status = WEXITSTATUS(status);
  return out;
}

void run_out() { std::get_new_handler()(); }

proxy::MemoryUse use() {
  proxy::MemoryUse out;
  out.clients = 3;
  out.users = 2;
  out.held = 5000;
  out.bound = 4096;
  out.largest[0] = {1001, 2, 0, 3000};
  out.largest[1] = {1000, 1, 0, 2000};
  return out;
}

}  // namespace

TEST_CASE("the last words say who held the memory") {
  const End end = end_of([] {
    const proxy::MemoryAccount account(use);
    run_out();
  });
  CHECK(end.status == proxy::kOutOfMemory);
  CHECK_THAT(end.said, Catch::Matches("virtgate: out of memory; resident [1-9][0-9]* bytes; "
                                      "3 clients of 2 users held 5000 bytes, of 4096 that "
                                      "\\[limits\\] buffer allows: user 1001 3000, user 1000 "
                                      "2000\n"));
}

TEST_CASE("where nobody knows who held it, or may look, less is said") {
  const bool elsewhere = GENERATE(true, false);
  const End end = end_of([=] {
    if (!elsewhere) return run_out();
    const proxy::MemoryAccount account(use);
    std::thread(run_out).join();
  });
  CHECK(end.status == proxy::kOutOfMemory);
  CHECK_THAT(end.said, Catch::Matches("virtgate: out of memory; resident [1-9][0-9]* bytes\n"));
}

TEST_CASE("what C libraries get is what malloc gives") {
  void* block = base::allocate(100);
  REQUIRE(block != nullptr);
  block = base::reallocate(block, 1000);
  REQUIRE(block != nullptr);
  std::free(block);
  const auto* zeros = static_cast<unsigned char*>(base::allocate_zeros(10, 10));
  REQUIRE(zeros != nullptr);
  for (int i = 0; i < 100; ++i) CHECK(zeros[i] == 0);
  std::free(const_cast<unsigned char*>(zeros));
  for (void* none : {base::allocate(0), base::allocate_zeros(0, 0), base::reallocate(nullptr, 0)}) {
    CHECK(none != nullptr);
    std::free(none);
  }
}

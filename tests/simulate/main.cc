// A whole gate in memory, among everything that can happen to it, and all of it decided by a seed:
// users whose programs come, ask, subscribe, stop reading, break the protocol and go; daemons whose
// machines hang, that slow down, freeze, die after any byte, come back and lie; connections that go
// dead and stay open; reloads that move targets and change rules; a host that runs short of
// descriptors, memory, name servers and room for records. Only the simulation turns the clock, so
// minutes pass in milliseconds, and a seed is the same run each time, to the byte of its trace.
//
// What holds in each run (the words in front are what a failure is called):
//
//   once, answered     every call is answered exactly once, or its connection ends
//   answer, target     an answer is one to that question, of the daemon that the target leads to
//   age                it is not older than the question, but for max_age, and not had again then
//   order              of a client's calls about one machine the first is the first to be read
//   deadline           nothing is answered later than the target's call_timeout says
//   isolation          what is well is answered within a bound, whatever is stuck elsewhere
//   moved              calls on a connection that is dead are answered on another, in time
//   fairness           no user who has calls waiting gets less than a third of a fair share
//   room, half         whoever asks now and then finds a place at once, and no user has more than
//                      half of the places while another could use one
//   workers            few of a daemon's workers hang, also when the gate has given them up
//   places, buffers, upstreams, subjects, overdue, registrations   no bound is passed
//   read-only, rules   only calls that the table and the rules let pass reach a daemon
//   events             each goes to those who asked for it, in order, once, and to nobody else
//   limits, turns      nor what rules let a user do, nor what a turn of the loop has for a client
//   logins             few are under way at one daemon at once, whatever targets lead there
//   abandoned          no call goes where several lie that nobody waits for
//   poison, guilt      what ends the daemon is sent twice, and nothing else is refused for that
//   nowait             nobody is told of what the gate added to a call
//   opens              a target that is well is opened, also soon after its host lacked
//   descriptors,
//                      and whoever is refused for want of them is told so
//   records            each record of a client is in the audit, or counted as left out or lost; the
//                      log has no more than a user's share, and drops are counted and said
//   rest, end          nothing is left: no bytes, calls, registrations, connections or timers
//
// The daemons number their answers and say the number in the reply; judge.h knows what is behind
// it.
//
//   build/simulate --seed N [-v]       one run; -v prints its trace
//   build/simulate --seeds A..B        those runs; --seeds N: 1..N
//   build/simulate --seeds N --twice   each twice, and both must be the same
//
// To debug a seed, run it with -v and read the trace backwards from the line FAILED: `cN.V` is
// visit V of client N, `A.3` the third connection to daemon A; calls are procedure/serial, and
// `log` marks what the gate itself logs. In a debugger, stop at Judge::fail(). A change of plan.cc
// gives every seed another run, so a failure that is to be kept belongs into a unit test.
//
// The exit code is 1 when a run fails; the seed, the check and the end of the trace are printed.
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <unistd.h>

#include "tests/simulate/simulation.h"

// Present with sanitizers only.
extern "C" void __sanitizer_set_death_callback(void (*callback)())  // NOLINT: its own name
    __attribute__((weak));

namespace {

struct Options {
  std::uint64_t first = 1;
  std::uint64_t last = 100;
  bool shown = false;
  bool twice = false;
  bool keep_going = false;
};

// Of one seed, which takes a tenth of a second: the gate is in a loop.
constexpr unsigned kMostSeconds = 120;

std::uint64_t seed_under_way = 0;

void say_seed() {
  std::fprintf(stderr,
               "seed %llu: FAILED verdict: the process dies without one; the end of its trace:\n",
               static_cast<unsigned long long>(seed_under_way));
  simulate::print_unfinished();
}

// Also when time is over, or somebody else ends it: a run without a verdict has failed.
void on_death(int) {
  say_seed();
  std::_Exit(1);
}

void usage() {
  std::fputs(
      "usage: simulate --seed N [-v] | --seeds A..B | --seeds N\n"
      "  --twice          each seed two times, which must be the same\n"
      "  --keep-going     does not stop at a seed that fails\n",
      stderr);
  std::exit(2);
}

std::uint64_t number(const std::string& text) {
  char* end = nullptr;
  const std::uint64_t out = std::strtoull(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0') usage();
  return out;
}

Options parse(int argc, char** argv) {
  Options out;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const auto value = [&]() -> std::string {
      if (i + 1 >= argc) usage();
      return argv[++i];
    };
    if (word == "--seed") {
      out.first = out.last = number(value());
    } else if (word == "--seeds") {
      const std::string range = value();
      const std::size_t dots = range.find("..");
      out.first = dots == std::string::npos ? 1 : number(range.substr(0, dots));
      out.last = number(dots == std::string::npos ? range : range.substr(dots + 2));
    } else if (word == "-v") {
      out.shown = true;
    } else if (word == "--twice") {
      out.twice = true;
    } else if (word == "--keep-going") {
      out.keep_going = true;
    } else {
      usage();
    }
  }
  return out;
}

bool run_one(std::uint64_t seed, const Options& options, std::uint64_t& answers) {
  seed_under_way = seed;
  alarm(kMostSeconds);
  const simulate::Verdict verdict = simulate::run(seed, options.shown);
  answers += verdict.answers;
  if (!verdict.failed_check.empty()) {
    if (!options.keep_going) {
      for (const std::string& line : verdict.last) std::printf("%s\n", line.c_str());
    }
    std::printf("%s\n", fmt::format("seed {}: FAILED {}: {}\n  {}", seed, verdict.failed_check,
                                    verdict.what, verdict.plan)
                            .c_str());
    return false;
  }
  if (options.first == options.last) {
    std::printf("%s\n", fmt::format("seed {}: held; {} answers, {} lines, trace {:016x}", seed,
                                    verdict.answers, verdict.lines, verdict.hash)
                            .c_str());
  }
  if (!options.twice) return true;
  const simulate::Verdict again = simulate::run(seed);
  if (again.hash == verdict.hash) return true;
  std::printf("%s\n", fmt::format("seed {}: FAILED same: two runs differ, {:016x} and {:016x}",
                                  seed, verdict.hash, again.hash)
                          .c_str());
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  for (const int death : {SIGABRT, SIGALRM, SIGTERM, SIGINT}) std::signal(death, on_death);
  if (__sanitizer_set_death_callback != nullptr) {
    __sanitizer_set_death_callback(say_seed);
  } else {
    for (const int death : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(death, on_death);
  }
  std::uint64_t failed = 0;
  std::uint64_t answers = 0;
  for (std::uint64_t seed = options.first; seed <= options.last; ++seed) {
    if (run_one(seed, options, answers)) continue;
    ++failed;
    if (!options.keep_going) break;
  }
  if (options.first != options.last) {
    std::printf("%s\n", fmt::format("seeds {}..{}: {} failed; {} answers", options.first,
                                    options.last, failed, answers)
                            .c_str());
  }
  // What a failed run has left is nobody's leak.
  std::fflush(stdout);
  std::_Exit(failed == 0 ? 0 : 1);
}

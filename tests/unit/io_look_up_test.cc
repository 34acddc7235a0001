// A resolver that is slow or silent holds up neither look-ups of other hosts nor the end of the
// program, and each look-up ends by its deadline.
#include <algorithm>
#include <condition_variable>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "tests/unit/support/catch.h"
#include "tests/unit/support/io.h"
#include "tunnel/io/connect.h"
#include "tunnel/io/look_up.h"

namespace test {
namespace {

using tunnel::io::connect_tcp;
using tunnel::io::LookUp;
using tunnel::io::Loop;
using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Resolved;
using tunnel::io::Resolver;
using tunnel::io::Stage;

constexpr Milliseconds kLong{8000};
constexpr Milliseconds kShort{60};

// Knows every name; those that begin with "slow" only once it is told to answer.
class Names {
 public:
  ~Names() { answer(); }

  [[nodiscard]] tunnel::io::Resolve resolve() const {
    return [state = state_](const std::string& host) {
      std::unique_lock lock(state->mutex);
      ++state->asked[host];
      state->most = std::max(state->most, ++state->running);
      state->changed.wait(lock, [&] { return state->answers || !host.starts_with("slow"); });
      --state->running;
      return Resolved{{*tunnel::io::address_literal("127.0.0.1", 0)}, {}};
    };
  }

  void answer() {
    const std::lock_guard lock(state_->mutex);
    state_->answers = true;
    state_->changed.notify_all();
  }
  void fall_silent() {
    const std::lock_guard lock(state_->mutex);
    state_->answers = false;
  }
  [[nodiscard]] std::size_t running() const { return locked(&State::running); }
  [[nodiscard]] std::size_t most() const { return locked(&State::most); }
  [[nodiscard]] std::map<std::string, int> asked() const { return locked(&State::asked); }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    bool answers = false;
    std::size_t running = 0;
    std::size_t most = 0;
    std::map<std::string, int> asked;
  };

  template <typename Value>
  [[nodiscard]] Value locked(Value State::*member) const {
    const std::lock_guard lock(state_->mutex);
    return (*state_).*member;
  }

  // Threads that nobody waits for have it too.
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

struct Asking {
  explicit Asking(Loop& loop, const std::string& host, Milliseconds deadline = kLong)
      : look_up(std::in_place, loop, host, 7, deadline, [this](LookUp::Answer one) {
          answer = std::move(one);
          look_up.reset();
        }) {
    look_up->start();
  }
  [[nodiscard]] bool ok() const { return answer && *answer && (**answer).size() == 1; }

  std::optional<LookUp::Answer> answer;
  std::optional<LookUp> look_up;
};

}  // namespace

TEST_CASE("an answer has the port that was asked for") {
  const Names names;
  Loop loop(names.resolve());
  const Asking one(loop, "quick");
  run_until(loop, [&] { return one.answer.has_value(); });
  REQUIRE(one.ok());
  CHECK((**one.answer)[0].text() == "127.0.0.1:7");
}

TEST_CASE("a look-up has a deadline, and the answer that comes later is not heard") {
  Names names;
  Loop loop(names.resolve());
  Recorder a(connect_tcp(loop, "slow", 1, {kShort, kLong}));
  a.open();
  run_until(loop, [&] { return a.closed(); });
  CHECK(a.stages == std::vector<Stage>{Stage::look_up});
  CHECK(a.reason->kind == Reason::Kind::timeout);
  CHECK(a.reason->stage == Stage::look_up);
  CHECK(a.reason_text() == "slow: no answer in 60 ms");
  names.answer();
  const Asking after(loop, "slow");
  run_until(loop, [&] { return after.ok(); });
}

TEST_CASE("a look-up that was given up does not answer") {
  Names names;
  Loop loop(names.resolve());
  Recorder a(connect_tcp(loop, "slow", 1, {}));
  a.at = [&](std::string_view event) {
    if (event == "stage") a.close();
  };
  a.open();
  run_until(loop, [&] { return a.closed(); });
  CHECK(a.reason->kind == Reason::Kind::requested);
  int answers = 0;
  {
    LookUp gone(loop, "slow", 1, kLong, [&](const auto&) { ++answers; });
    gone.start();
  }
  names.answer();
  const Asking after(loop, "slow");
  run_until(loop, [&] { return after.ok(); });
  CHECK(answers == 0);
}

TEST_CASE("hosts whose names nobody answers for do not hold up the others, nor the end") {
  Names names;
  {
    Loop loop(names.resolve());
    std::list<Asking> slow;
    for (std::size_t i = 1; i < Resolver::kMostAtOnce; ++i) {
      slow.emplace_back(loop, "slow" + std::to_string(i));
    }
    run_until(loop, [&] { return names.running() == slow.size(); });
    const Asking quick(loop, "quick");
    run_until(loop, [&] { return quick.ok(); });
    CHECK(names.running() == slow.size());
  }
  CHECK(names.running() == Resolver::kMostAtOnce - 1);
}

TEST_CASE("only so many hosts are asked for at a time, and those that wait come in turn") {
  Names names;
  Loop loop(names.resolve());
  std::list<Asking> all;
  for (std::size_t i = 0; i < 2 * Resolver::kMostAtOnce; ++i) {
    all.emplace_back(loop, "slow" + std::to_string(i));
  }
  run_until(loop, [&] { return names.running() == Resolver::kMostAtOnce; });
  Asking impatient(loop, "slow-too", kShort);
  run_until(loop, [&] { return impatient.answer.has_value(); });
  CHECK_FALSE(impatient.ok());
  names.answer();
  run_until(loop, [&] { return std::ranges::all_of(all, &Asking::ok); });
  CHECK(names.most() == Resolver::kMostAtOnce);
  CHECK_FALSE(names.asked().contains("slow-too"));
}

TEST_CASE("the wait for a thread is no silence of the resolver, and has an end") {
  Names names;
  Loop loop(names.resolve(), [](const std::string&) { return Resolved{}; });
  std::list<Asking> all;
  for (std::size_t i = 0; i < Resolver::kMostAtOnce; ++i) {
    all.emplace_back(loop, "slow" + std::to_string(i));
  }
  Asking late(loop, "quick", Milliseconds(200));
  Asking later(loop, "quicker", kShort);
  run_until(loop, [&] { return later.answer.has_value(); });
  CHECK(later.answer->error().text.find("too many other look-ups") != std::string::npos);
  names.answer();
  run_until(loop, [&] { return late.answer.has_value(); });
  CHECK(late.ok());
}

TEST_CASE("a host of the hosts file waits for nobody") {
  const Names names;
  Loop loop(names.resolve(), [](const std::string& host) {
    if (host != "known") return Resolved{};
    return Resolved{{*tunnel::io::address_literal("127.0.0.9", 0)}, {}};
  });
  std::list<Asking> all;
  for (std::size_t i = 0; i < Resolver::kMostAtOnce + 6; ++i) {
    all.emplace_back(loop, "slow" + std::to_string(i));
  }
  const Asking known(loop, "known");
  run_until(loop, [&] { return known.answer.has_value(); });
  REQUIRE(known.ok());
  CHECK((**known.answer)[0].text() == "127.0.0.9:7");
}

TEST_CASE("hosts that took long leave places for the others") {
  Names names;
  Loop loop(names.resolve(), [](const std::string&) { return Resolved{}; });
  const auto ask_all = [&] {
    std::list<Asking> all;
    for (std::size_t i = 0; i < Resolver::kMostAtOnce; ++i) {
      all.emplace_back(loop, "slow" + std::to_string(i));
    }
    return all;
  };
  {
    std::list<Asking> all = ask_all();
    run_for(loop, Resolver::kLong + Milliseconds(100));
    names.answer();
    run_until(loop, [&] { return std::ranges::all_of(all, &Asking::ok); });
  }
  names.fall_silent();
  const std::list<Asking> again = ask_all();
  run_until(loop, [&] { return names.running() == Resolver::kMostSlow; });
  const Asking quick(loop, "quick");
  run_until(loop, [&] { return quick.ok(); });
  CHECK(names.running() == Resolver::kMostSlow);
}

TEST_CASE("the lines of a hosts file") {
  using tunnel::io::addresses_in_hosts;
  constexpr std::string_view kText =
      "127.0.0.1 localhost\n# 10.0.0.1 hail\n10.0.0.2\thail.test  Hail # 1\r\n::2 hail\nbad hail\n"
      "10.0.0.3 hailstorm";
  const auto found = addresses_in_hosts(kText, "hail");
  REQUIRE(found.size() == 2);
  CHECK(found[0].text() == "10.0.0.2:0");
  CHECK(found[1].text() == "[::2]:0");
  CHECK(addresses_in_hosts(kText, "hailstorm").size() == 1);
  CHECK(addresses_in_hosts(kText, "10.0.0.3").empty());
  CHECK(addresses_in_hosts("", "hail").empty());
  using namespace std::string_view_literals;
  CHECK(addresses_in_hosts("10.0.0.4 ha\0x"sv, "ha\0y"sv).empty());
}

TEST_CASE("who asks for the same host gets the same answer") {
  Names names;
  Loop loop(names.resolve());
  std::list<Asking> all;
  for (int i = 0; i < 5; ++i) all.emplace_back(loop, "slow");
  // The first to hear takes another with it.
  std::optional<LookUp> victim;
  int answers = 0;
  LookUp first(loop, "slow", 1, kLong, [&](const auto&) {
    ++answers;
    victim.reset();
  });
  first.start();
  victim.emplace(loop, "slow", 1, kLong, [&](const auto&) { ++answers; });
  victim->start();
  names.answer();
  run_until(loop, [&] { return answers > 0 && std::ranges::all_of(all, &Asking::ok); });
  CHECK(answers == 1);
  CHECK(names.asked() == std::map<std::string, int>{{"slow", 1}});
  const Asking again(loop, "slow");
  run_until(loop, [&] { return again.ok(); });
  CHECK(names.asked() == std::map<std::string, int>{{"slow", 2}});
}

TEST_CASE("the system's words for a name that it does not know") {
  // RFC 6761: no resolver knows it.
  const Resolved none = tunnel::io::resolve_by_system("virtgate-unit.invalid");
  CHECK(none.addresses.empty());
  CHECK_FALSE(none.failure.empty());
  CHECK_FALSE(tunnel::io::resolve_by_system("localhost").addresses.empty());
}

}  // namespace test

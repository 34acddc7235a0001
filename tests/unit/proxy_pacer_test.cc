// Few dials to one host are under way at once, each has its turn in time, and other hosts do not
// wait for them.
#include <memory>
#include <vector>

#include "proxy/upstream/pacer.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/memory_stream.h"

using proxy::Pacer;
using std::chrono::milliseconds;
using std::chrono::seconds;
using tunnel::Transport;

namespace {

constexpr milliseconds kPatience{20000};

tunnel::Target ssh_to(const std::string& host, std::uint16_t port = 22) {
  tunnel::Target out;
  out.transport = Transport::ssh;
  out.host = host;
  out.port = port;
  return out;
}

struct Crowd {
  ~Crowd() { turns.clear(); }

  void pass(milliseconds time) {
    const milliseconds end = clock.now() + time;
    while (const auto next = clock.next()) {
      if (*next > end) break;
      clock.advance(std::max(*next, clock.now()));
    }
    clock.advance(end);
  }
  // How many may dial by now.
  std::size_t ask(const tunnel::Target& target, std::size_t many,
                  milliseconds patience = kPatience) {
    const std::size_t before = turns.size();
    for (std::size_t i = before; i < before + many; ++i) {
      turns.push_back(
          std::make_unique<Pacer::Turn>(pacer, clock, [this, i] { begun.push_back(i); }));
      if (turns.back()->ask(target, patience)) begun.push_back(i);
    }
    return begun.size();
  }

  tunnel::io::Clock clock;
  Pacer pacer;
  std::vector<std::unique_ptr<Pacer::Turn>> turns;
  std::vector<std::size_t> begun;
};

}  // namespace

TEST_CASE("two logins to an sshd are under way at once, and the others follow in order",
          "[pacer]") {
  Crowd crowd;
  CHECK(crowd.ask(ssh_to("hail"), 100) == Pacer::kMostOfSsh);
  for (std::size_t done = 0; done < 100; ++done) {
    CHECK(crowd.begun.size() == std::min<std::size_t>(100, done + 2));
    crowd.turns[crowd.begun[done]]->end();
    crowd.pass(milliseconds(0));
  }
  for (std::size_t i = 0; i < 100; ++i) CHECK(crowd.begun[i] == i);
}

TEST_CASE("nobody waits for another host or port, however it is spelt", "[pacer]") {
  Crowd crowd;
  CHECK(crowd.ask(ssh_to("hail"), 5) == 2);
  CHECK(crowd.ask(ssh_to("HAIL"), 1) == 2);
  CHECK(crowd.ask(ssh_to("sleet"), 5) == 4);
  CHECK(crowd.ask(ssh_to("hail", 2222), 5) == 6);
  tunnel::Target tls = ssh_to("hail", 16514);
  tls.transport = Transport::tls;
  CHECK(crowd.ask(tls, 9) == 6 + Pacer::kMostOthers);
  tunnel::Target local;
  CHECK(crowd.ask(local, 50) == 60);
}

TEST_CASE("a dial that hangs holds the others up for a moment", "[pacer]") {
  Crowd crowd;
  CHECK(crowd.ask(ssh_to("hail"), 6) == 2);
  crowd.pass(Pacer::kLongestTurn - milliseconds(1));
  CHECK(crowd.begun.size() == 2);
  crowd.pass(milliseconds(1));
  CHECK(crowd.begun.size() == 4);
  crowd.turns[0]->end();
  crowd.pass(milliseconds(0));
  CHECK(crowd.begun.size() == 4);
  crowd.pass(Pacer::kLongestTurn);
  CHECK(crowd.begun.size() == 6);
}

TEST_CASE("whoever has waited long enough goes without a turn", "[pacer]") {
  Crowd crowd;
  CHECK(crowd.ask(ssh_to("hail"), 10, seconds(3)) == 2);
  crowd.pass(milliseconds(2999));
  CHECK(crowd.begun.size() == 4);
  CHECK(crowd.turns[4]->waiting());
  crowd.pass(milliseconds(1));
  CHECK(crowd.begun.size() == 10);
  CHECK_FALSE(crowd.turns[4]->waiting());
  for (const auto& turn : crowd.turns) turn->end();
  CHECK(crowd.ask(ssh_to("hail"), 3) == 12);
}

TEST_CASE("who leaves the queue is not called, and keeps nobody", "[pacer]") {
  Crowd crowd;
  CHECK(crowd.ask(ssh_to("hail"), 6) == 2);
  crowd.turns[2]->end();
  crowd.turns[3].reset();
  crowd.turns[0]->end();
  crowd.turns[4]->end();  // whose turn had come, and who had not heard of it
  crowd.pass(milliseconds(0));
  CHECK(crowd.begun == std::vector<std::size_t>{0, 1, 5});
  crowd.turns.clear();
  CHECK(crowd.ask(ssh_to("hail"), 3) == 5);
}

// What is cut off while it is opened is tried again before anybody hears of it, and what is refused
// is not; pauses grow, and differ from target to target.
#include <cerrno>
#include <set>

#include "base/fd.h"
#include "proxy/upstream/retries.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/world.h"

using Catch::Matchers::Contains;
using proxy::Retries;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::RawClient;
using test::World;
using tunnel::io::Reason;
using tunnel::io::Stage;

namespace {

const Reason kCut{Reason::Kind::end, Stage::login, "the server closed the connection"};

struct Course {
  std::size_t attempts = 0;
  milliseconds took{0};
};

// Until whoever waits is told.
Course course(Retries& retries, const Reason& reason, milliseconds from, milliseconds of_each) {
  Course out;
  for (;;) {
    ++out.attempts;
    const Retries::Next next = retries.failed(reason, from + out.took);
    if (next.told) return out;
    out.took += next.pause + of_each;
  }
}

}  // namespace

TEST_CASE("what is cut off is tried for a while, with growing pauses", "[retries]") {
  Retries retries("hail");
  milliseconds now{0};
  milliseconds before{0};
  for (int i = 0; i < 5; ++i) {
    const Retries::Next next = retries.failed(kCut, now);
    CHECK_FALSE(next.told);
    CHECK(next.pause > before);
    before = next.pause;
    now += next.pause;
  }
  CHECK(retries.failed(kCut, milliseconds(2000)).told);
}

TEST_CASE("a slow end has its attempts too, and not for ever", "[retries]") {
  Retries slow("hail");
  CHECK(course(slow, kCut, seconds(100), milliseconds(1000)).attempts == Retries::kColdAttempts);
  Retries slower("hail");
  const Course one = course(slower, kCut, seconds(100), milliseconds(3000));
  CHECK(one.attempts >= 2);
  CHECK(one.attempts < Retries::kColdAttempts);
}

TEST_CASE("which ends are cuts", "[retries]") {
  const auto is_cut = [](Reason::Kind kind, const std::string& text) {
    Retries retries("hail");
    return !retries.failed({kind, Stage::login, text}, seconds(100)).told;
  };
  CHECK(is_cut(Reason::Kind::end, "the server closed the connection"));
  CHECK(is_cut(Reason::Kind::system, base::system_words(ECONNRESET)));
  CHECK(is_cut(Reason::Kind::system, base::system_words(EPIPE)));
  CHECK(is_cut(Reason::Kind::system,
               "ssh ended with exit status 255: Connection closed by 127.0.0.1 port 22"));
  CHECK_FALSE(is_cut(Reason::Kind::system,
                     "ssh ended with exit status 255: root@hail: Permission denied (publickey)."));
  CHECK_FALSE(is_cut(Reason::Kind::system, base::system_words(ECONNREFUSED)));
  CHECK_FALSE(is_cut(Reason::Kind::refused, "ssh login as root failed"));
  CHECK_FALSE(is_cut(Reason::Kind::timeout, "no answer"));
  CHECK_FALSE(is_cut(Reason::Kind::protocol, "no ssh"));
}

TEST_CASE("a target that goes on failing is told of at once, until it was left alone for long",
          "[retries]") {
  Retries retries("hail");
  const milliseconds told = course(retries, kCut, seconds(100), milliseconds(0)).took;
  CHECK(told >= Retries::kColdPatience);
  CHECK(retries.failed(kCut, seconds(103)).told);
  CHECK(retries.failed(kCut, seconds(112)).told);
  CHECK_FALSE(retries.failed(kCut, seconds(130)).told);
  CHECK(course(retries, kCut, seconds(130), milliseconds(0)).attempts >= 4);
}

TEST_CASE("a refusal ends the patience with cuts", "[retries]") {
  Retries retries("hail");
  CHECK_FALSE(retries.failed(kCut, seconds(100)).told);
  CHECK(retries.failed({Reason::Kind::refused, Stage::login, "no"}, seconds(100)).told);
  CHECK(retries.refused());
  CHECK(retries.failed(kCut, seconds(101)).told);
}

TEST_CASE("targets that fail together are not dialled together again", "[retries]") {
  std::set<milliseconds> pauses;
  for (int i = 0; i < 40; ++i) {
    Retries retries("hail" + std::to_string(i));
    for (int j = 0; j < 3; ++j) retries.failed(kCut, seconds(100));
    const milliseconds pause = retries.failed(kCut, seconds(100)).pause;
    CHECK(pause >= milliseconds(300));
    CHECK(pause <= milliseconds(500));
    pauses.insert(pause);
  }
  CHECK(pauses.size() > 20);
}

TEST_CASE("clients do not hear of a first dial that is cut off", "[retries]") {
  World world;
  world.gate();
  world.daemon().cut_off = 4;
  RawClient& client = world.client();
  const auto open = client.open("hail");
  world.pass(seconds(2));
  CHECK(client.ok(open));
  CHECK(world.daemon().dials == 5);
}

TEST_CASE("clients hear of it when all dials are cut off, and at once of a refusal", "[retries]") {
  World world({"hail", "sleet"});
  world.gate();
  world.daemon().cut_off = 1000;
  RawClient& client = world.client();
  const auto open = client.open("hail");
  world.pass(seconds(1));
  CHECK(client.reply(open) == nullptr);
  world.pass(seconds(2));
  CHECK(client.replies_to(open) == 1);
  CHECK_THAT(client.error(open).text, Contains("authentication: the other side closed"));
  CHECK(world.daemon().dials >= Retries::kColdAttempts);
  world.daemon("sleet").down = true;
  RawClient& other = world.client();
  const auto refused = other.open("sleet");
  world.settle();
  CHECK_THAT(other.error(refused).text, Contains("Connection refused"));
  CHECK(world.daemon("sleet").dials == 1);
}

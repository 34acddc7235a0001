// Work that waits for a disk which does not answer holds up what waits for the same, and nothing
// else; it has only so many threads; and whoever has waited can go.
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/support/catch.h"
#include "tests/unit/support/gateway.h"
#include "tests/unit/support/io.h"
#include "tunnel/io/errands.h"

namespace test {
namespace {

using tunnel::io::ErrandHandle;
using tunnel::io::Errands;
using tunnel::io::ErrandWork;
using tunnel::io::Loop;
using tunnel::io::Milliseconds;
using tunnel::io::Whereabouts;

struct Scene {
  ~Scene() { gateway->let(); }

  // Waits for `gateway` at `place`.
  [[nodiscard]] ErrandWork stuck_at(std::string place) const {
    return [to = gateway, place = std::move(place)](Whereabouts& whereabouts) {
      whereabouts.at(place);
      to->pass();
    };
  }
  ErrandHandle run(const std::string& key, ErrandWork work) {
    return errands.run(key, std::move(work), [this, key](int error) {
      CHECK(error == 0);
      ended.push_back(key);
    });
  }
  // Lets what is under way become stuck.
  void pass() { run_for(loop, Milliseconds(5)); }

  std::shared_ptr<Gateway> gateway = std::make_shared<Gateway>();
  std::vector<std::string> ended;
  Loop loop;
  Errands errands{loop, Milliseconds(1)};
};

TEST_CASE("an errand is done in a thread, and its end is told in the loop", "[io]") {
  Loop loop;
  const auto where = std::make_shared<std::thread::id>();
  std::thread::id told;
  const ErrandHandle errand = loop.errands().run(
      "key", [where](auto&) { *where = std::this_thread::get_id(); },
      [&](int) { told = std::this_thread::get_id(); });
  CHECK(told == std::thread::id());
  run_until(loop, [&] { return told != std::thread::id(); });
  CHECK(told == std::this_thread::get_id());
  CHECK(*where != told);
}

TEST_CASE("what is stuck holds up what waits for the same, and says where", "[io]") {
  Scene scene;
  const auto stuck = scene.run("mount", scene.stuck_at("/mnt/file"));
  run_until(scene.loop, [&] { return !stuck->place().empty(); });
  scene.pass();
  const auto same = scene.run("mount", [](auto&) {});
  const auto other = scene.run("disk", [](auto&) {});
  run_until(scene.loop, [&] { return !scene.ended.empty(); });
  CHECK(scene.ended == std::vector<std::string>{"disk"});
  CHECK(scene.errands.threads() == 1);
  CHECK(stuck->late(Milliseconds(7)) == "/mnt/file kept us waiting for more than 7 ms");
  CHECK(same->place() == "/mnt/file");
  scene.gateway->let();
  run_until(scene.loop, [&] { return scene.ended.size() == 3; });
  CHECK(scene.errands.threads() == 0);
}

TEST_CASE("of work that waits for the same, a few are under way", "[io]") {
  Scene scene;
  Loop& loop = scene.loop;
  Errands errands(loop, Milliseconds(60000));
  std::vector<ErrandHandle> handles;
  std::size_t done = 0;
  for (std::size_t i = 0; i < Errands::kMostOfOne + 1; ++i) {
    handles.push_back(errands.run("mount", scene.stuck_at("/mnt/file"), [&](int) { ++done; }));
  }
  CHECK(errands.threads() == Errands::kMostOfOne);
  scene.gateway->let();
  run_until(loop, [&] { return done == handles.size(); });
}

TEST_CASE("threads that are stuck have a bound, and the others their own places until then",
          "[io]") {
  Scene scene;
  std::vector<ErrandHandle> handles;
  const auto hang = [&](std::size_t more) {
    for (std::size_t i = 0; i < more; ++i) {
      const std::string key = "file" + std::to_string(handles.size());
      handles.push_back(scene.run(key, scene.stuck_at(key)));
    }
  };
  hang(Errands::kMostAtOnce + 1);
  CHECK(scene.errands.threads() == Errands::kMostAtOnce);
  run_until(scene.loop, [&] { return scene.errands.threads() == Errands::kMostAtOnce + 1; });
  const auto quick = scene.run("quick", [](auto&) {});
  run_until(scene.loop, [&] { return !scene.ended.empty(); });
  hang(Errands::kMostThreads);
  run_until(scene.loop, [&] { return scene.errands.threads() == Errands::kMostThreads; });
  run_for(scene.loop, Milliseconds(20));
  CHECK(scene.errands.threads() == Errands::kMostThreads);
  CHECK(handles.back()->place().empty());
  CHECK(handles.back()->late(Milliseconds(7)) == "other files kept us waiting for more than 7 ms");
  scene.gateway->let();
  run_until(scene.loop, [&] { return scene.ended.size() == handles.size() + 1; });
}

TEST_CASE("nobody hears of an errand that is not waited for, nor is it begun late", "[io]") {
  Scene scene;
  auto stuck = scene.run("mount", scene.stuck_at("/mnt/file"));
  run_until(scene.loop, [&] { return !stuck->place().empty(); });
  scene.pass();
  const auto begun = std::make_shared<bool>(false);
  auto late = scene.run("mount", [begun](auto&) { *begun = true; });
  stuck.reset();
  late.reset();
  scene.gateway->let();
  run_until(scene.loop, [&] { return scene.errands.threads() == 0; });
  scene.pass();
  CHECK(scene.ended.empty());
  CHECK_FALSE(*begun);
}

TEST_CASE("the loop ends with an errand that is stuck", "[io]") {
  const auto gateway = std::make_shared<Gateway>();
  {
    Loop loop;
    const auto errand = loop.errands().run(
        "mount", [gateway](auto&) { gateway->pass(); },
        [](int) { FAIL("it is not there any more"); });
    loop.run();
  }
  gateway->let();
}

}  // namespace
}  // namespace test

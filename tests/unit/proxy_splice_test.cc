// A splice passes bytes both ways at every split, reads no faster than the other side takes them,
// and waits for neither side without a deadline.
#include "proxy/command/splice.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/io.h"
#include "tests/unit/support/memory_stream.h"

namespace test {
namespace {

using proxy::Splice;
using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Stage;
using tunnel::io::Stream;

// A client and a server with a splice between them.
struct Scene {
  explicit Scene(std::size_t cut = 0)
      : Scene(MemoryStream::pair(clock), MemoryStream::pair(clock)) {
    near->deliver_at_most(cut);
    near->close_after_end();
    far->deliver_at_most(cut);
  }
  ~Scene() {
    for (Recorder* one : {&client, &server}) {
      one->at = nullptr;
      if (one->stream) one->close();
    }
    splice.stop();
    settle();
    CHECK(ends == 1);
  }
  void start() {
    client.open();
    server.open();
    splice.start();
    settle();
  }
  void settle() { test::settle(clock); }
  void pass(Milliseconds time) {
    clock.advance(clock.now() + time);
    settle();
  }

  tunnel::io::Clock clock;
  MemoryStream* near;
  MemoryStream* far;
  Recorder client;
  Recorder server;
  Splice splice;
  Splice::End end;
  int ends = 0;

 private:
  using Streams = std::pair<std::unique_ptr<MemoryStream>, std::unique_ptr<MemoryStream>>;
  Scene(Streams left, Streams right)
      : near(left.second.get()),
        far(right.first.get()),
        client(std::move(left.first)),
        server(std::move(right.second)),
        splice(clock, std::move(left.second), std::move(right.first), [this](const auto& how) {
          ++ends;
          end = how;
        }) {}
};

TEST_CASE("a splice passes bytes both ways, however they are cut", "[splice]") {
  Scene scene(GENERATE(std::size_t{0}, std::size_t{1}, std::size_t{7}));
  scene.start();
  scene.client.write("question");
  scene.server.write("greeting");
  scene.settle();
  CHECK(scene.server.data == "question");
  CHECK(scene.client.data == "greeting");
}

TEST_CASE("the end of the near side is passed on, and the answer waited for", "[splice]") {
  Scene scene;
  scene.start();
  scene.client.write("last question");
  scene.client.stream->end();
  scene.settle();
  CHECK(scene.server.data == "last question");
  CHECK(scene.server.ended);
  scene.pass(Splice::kPatience - Milliseconds(1));
  scene.server.write("answer");
  scene.settle();
  scene.pass(Splice::kPatience - Milliseconds(1));
  CHECK(scene.client.data == "answer");
  CHECK(scene.ends == 0);
  scene.server.close();
  scene.settle();
  CHECK(scene.client.ended);
  scene.client.close();
  scene.settle();
  REQUIRE(scene.ends == 1);
  CHECK(scene.end.opened);
  CHECK(scene.end.reason.kind == Reason::Kind::end);
  CHECK_FALSE(scene.end.near_failed);
}

TEST_CASE("a far side that says nothing more is not waited for long", "[splice]") {
  Scene scene;
  scene.start();
  scene.client.stream->end();
  scene.settle();
  scene.pass(Splice::kPatience);
  CHECK(scene.client.ended);
  REQUIRE(scene.ends == 1);
  CHECK(scene.end.reason.kind == Reason::Kind::end);
}

TEST_CASE("when the far side ends, the near side gets the rest and is ended", "[splice]") {
  Scene scene;
  scene.start();
  scene.server.write("last words");
  scene.server.stream->end();
  scene.settle();
  CHECK(scene.client.data == "last words");
  CHECK(scene.client.ended);
  scene.client.write("nobody hears this");
  scene.client.close();
  scene.settle();
  REQUIRE(scene.ends == 1);
  CHECK(scene.end.reason.kind == Reason::Kind::end);
}

TEST_CASE("a near side that does not take the rest is not waited for for ever", "[splice]") {
  Scene scene;
  scene.start();
  scene.client.stream->pause(1);
  scene.server.write(std::string(1000, 'x'));
  scene.settle();
  scene.server.close();
  scene.settle();
  CHECK(scene.ends == 0);
  scene.pass(Splice::kPatience);
  REQUIRE(scene.ends == 1);
  CHECK(scene.end.near_failed);
}

TEST_CASE("nothing is read from one side that the other does not take", "[splice]") {
  Scene scene;
  scene.start();
  scene.server.stream->pause(1);
  const std::string large(Stream::kHighMark * 2, 'x');
  scene.client.write(large);
  scene.settle();
  CHECK(scene.near->paused());
  scene.client.write("more");
  scene.settle();
  CHECK(scene.client.stream->queued() == 4);
  CHECK_FALSE(scene.far->paused());
  scene.server.stream->resume(1);
  scene.settle();
  CHECK_FALSE(scene.near->paused());
  CHECK(scene.server.data == large + "more");
}

TEST_CASE("a far side that cannot be reached is told as it is", "[splice]") {
  Scene scene;
  scene.far->hold_open();
  scene.start();
  scene.client.write("too early");
  scene.settle();
  CHECK(scene.near->paused());
  scene.far->close({Reason::Kind::refused, Stage::handshake, "not you"});
  scene.settle();
  CHECK(scene.client.ended);
  scene.client.close();
  scene.settle();
  REQUIRE(scene.ends == 1);
  CHECK_FALSE(scene.end.opened);
  CHECK(scene.end.reason.text == "not you");
  CHECK(scene.end.reason.stage == Stage::handshake);
}

TEST_CASE("a near side that fails takes the far side with it", "[splice]") {
  Scene scene;
  scene.start();
  scene.near->close({Reason::Kind::system, Stage::established, "Broken pipe"});
  scene.settle();
  REQUIRE(scene.ends == 1);
  CHECK(scene.end.near_failed);
  CHECK(scene.end.reason.kind == Reason::Kind::system);
  CHECK(scene.server.closed());
}

TEST_CASE("a splice that is stopped ends both sides", "[splice]") {
  Scene scene;
  if (GENERATE(false, true)) scene.far->hold_open();
  scene.start();
  scene.splice.stop();
  scene.splice.stop();
  scene.settle();
  CHECK(scene.ends == 1);
  CHECK(scene.end.reason.kind == Reason::Kind::requested);
}

}  // namespace
}  // namespace test

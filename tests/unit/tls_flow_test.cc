// A paused TLS stream reads and gives nothing, opens and closes all the same, and what came before
// the end is given before the end.
#include "tests/unit/support/catch.h"
#include "tests/unit/support/tls_scene.h"

using base::Buffer;
using base::Bytes;
using test::Scene;
using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Stage;
using tunnel::io::Stream;

namespace {

Buffer pattern(std::size_t size) {
  Buffer out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  return out;
}

void write_down(Scene& scene, const Buffer& data) {
  scene.server->tls.write(data);
  scene.server->flush();
}

}  // namespace

TEST_CASE("A paused TLS stream gives nothing and reads nothing", "[tls]") {
  Scene scene;
  scene.piece = GENERATE(as<std::size_t>{}, 0, 30000);
  scene.open();
  const Buffer down = pattern(400000);
  // Two reasons; the stream goes on when none is left.
  scene.client.when_data = [&] { scene.client.call([](Stream& stream) { stream.pause(5); }); };
  write_down(scene, down);
  scene.settle();
  const std::size_t first = scene.client.data.size();
  CHECK((first > 0 && first <= 16384));
  CHECK(scene.below->paused());
  scene.client.call([](Stream& stream) { stream.resume(1); });
  scene.settle();
  CHECK(scene.client.data.size() == first);
  CHECK(scene.below->paused());

  // Each time it may go on, one record comes: not within the call, and no further.
  std::size_t before = 0;
  while (scene.client.data.size() < down.size()) {
    REQUIRE(scene.client.data.size() > before);
    before = scene.client.data.size();
    scene.client.call([](Stream& stream) { stream.resume(5); });
    CHECK(scene.client.data.size() == before);
    scene.settle();
    REQUIRE(scene.client.data.size() <= before + 16384);
  }
  CHECK(scene.client.data == down);
}

TEST_CASE("A TLS stream that is paused before it is open opens, and then waits", "[tls]") {
  Scene scene;
  scene.connect();
  scene.client.call([&](Stream& stream) {
    stream.pause(2);
    stream.open(scene.client);
  });
  scene.settle();
  CHECK(scene.client.opened == 1);
  write_down(scene, pattern(1000));
  scene.settle();
  CHECK(scene.client.data.empty());
  scene.client.call([](Stream& stream) { stream.resume(2); });
  scene.settle();
  CHECK(scene.client.data == pattern(1000));
}

TEST_CASE("What came before the end is given before the end, paused or not", "[tls]") {
  Scene scene;
  scene.open();
  scene.client.when_data = [&] { scene.client.call([](Stream& stream) { stream.pause(1); }); };
  const bool in_order = GENERATE(true, false);
  const Buffer down = pattern(60000);
  write_down(scene, down);
  if (in_order) scene.server->tls.close_notify();
  scene.server->flush();
  scene.settle();
  CHECK(scene.client.data.size() < down.size());
  scene.below->close({Reason::Kind::end, Stage::established, "the other side closed"});
  scene.settle();
  CHECK_FALSE(scene.client.closed);
  while (!scene.client.closed) {
    CHECK(scene.client.ended == 0);
    scene.client.call([](Stream& stream) { stream.resume(1); });
    scene.settle();
  }
  CHECK(scene.client.data == down);
  CHECK(scene.client.ended == (in_order ? 1 : 0));
  CHECK(scene.client.closed->kind == Reason::Kind::end);
}

TEST_CASE("A paused TLS stream can be closed", "[tls]") {
  Scene scene;
  scene.open();
  scene.client.call([](Stream& stream) { stream.pause(1); });
  write_down(scene, pattern(100000));
  const bool below_gone = GENERATE(true, false);
  if (below_gone) scene.below->close({Reason::Kind::end, Stage::established, "gone"});
  scene.settle();
  CHECK_FALSE(scene.client.closed);
  scene.client.call([](Stream& stream) {
    stream.close({Reason::Kind::requested, Stage::established, "enough"});
  });
  scene.settle();
  REQUIRE(scene.client.closed);
  CHECK(scene.client.closed->text == "enough");
  CHECK(scene.client.data.empty());
}

TEST_CASE("A TLS stream says when it has room again", "[tls]") {
  Scene scene;
  scene.open();
  scene.server->stream->pause(1);
  const Buffer piece = pattern(10000);
  std::size_t written = 0;
  while (scene.client.stream->queued() <= Stream::kHighMark) {
    scene.client.call([&](Stream& stream) { stream.write(piece); });
    written += piece.size();
    // No more than the frames of the records comes on top.
    REQUIRE(scene.client.stream->queued() <= written + written / 100);
  }
  scene.settle();
  CHECK(scene.client.drained == 0);
  scene.server->stream->resume(1);
  scene.settle();
  CHECK(scene.client.drained == 1);
  CHECK(scene.client.stream->queued() == 0);
  CHECK(scene.server->tls.received().size() == written);
}

TEST_CASE("Much data goes both ways at once, with everybody slow", "[tls]") {
  Scene scene;
  scene.piece = 5000;
  scene.open();
  const std::size_t size = 3 * 1024 * 1024;
  const Buffer all = pattern(size);
  std::size_t up = 0;
  std::size_t down = 0;
  int reads = 0;
  scene.client.when_data = [&] {
    if (++reads % 3 == 0) scene.client.call([](Stream& stream) { stream.pause(1); });
  };
  while (scene.client.data.size() < size || scene.server->tls.received().size() < size) {
    while (up < size && scene.client.stream->queued() < Stream::kHighMark) {
      const Bytes some = Bytes(all).subspan(up, std::min<std::size_t>(size - up, 7001));
      scene.client.call([&](Stream& stream) { stream.write(some); });
      up += some.size();
    }
    while (down < size && scene.server->stream->queued() < Stream::kHighMark) {
      const Bytes some = Bytes(all).subspan(down, std::min<std::size_t>(size - down, 30011));
      scene.server->tls.write(some);
      scene.server->flush();
      down += some.size();
    }
    scene.settle();
    scene.client.call([](Stream& stream) { stream.resume(1); });
    scene.settle();
    REQUIRE_FALSE(scene.client.closed);
  }
  CHECK(scene.client.data == all);
  CHECK(scene.server->tls.received() == all);
}

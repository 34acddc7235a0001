// The desk answers an HTTP request at every split, refuses what is malformed, cuts off clients that
// stall, and serves a bounded number at a time.
#include "proxy/report/http_desk.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/xend_scene.h"

namespace {

using proxy::HttpDesk;
using test::MemoryStream;
using test::TextClient;

class Scene {
 public:
  Scene() = default;
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;
  ~Scene() {
    bool closed = false;
    desk.close([&] { closed = true; });
    settle();
    CHECK(closed);
    for (const auto& client : clients_) client->hang_up();
    settle();
  }

  TextClient& client(std::size_t cut = 0) {
    auto [ours, theirs] = MemoryStream::pair(clock);
    theirs->deliver_at_most(cut);
    clients_.push_back(std::make_unique<TextClient>(std::move(ours)));
    clients_.back()->start();
    desk.accept(std::move(theirs));
    return *clients_.back();
  }
  TextClient& asked(const std::string& text, std::size_t cut = 0) {
    TextClient& one = client(cut);
    one.send(text);
    settle();
    return one;
  }
  void settle() { test::settle(clock); }
  void pass(tunnel::io::Milliseconds time) {
    clock.advance(clock.now() + time);
    settle();
  }

  tunnel::io::Clock clock;
  std::size_t size = 10;
  HttpDesk desk{clock, [this](std::string_view path, std::string_view accept,
                              const HttpDesk::Respond& respond) {
                  if (path == "/big") return respond({200, "text/plain", std::string(size, 'x')});
                  respond({200, "text/plain", std::string(path) + " " + std::string(accept)});
                }};

 private:
  std::vector<std::unique_ptr<TextClient>> clients_;
};

}  // namespace

TEST_CASE("a question is answered however it is cut", "[desk]") {
  for (const std::size_t cut : {0U, 1U, 2U, 7U}) {
    Scene scene;
    TextClient& one =
        scene.asked("GET /metrics?x=y HTTP/1.1\r\nHost: a\r\naccept:  text/plain \r\n\r\n", cut);
    CHECK(one.status() == 200);
    CHECK(one.body() == "/metrics text/plain");
    CHECK(one.ended);
    CHECK(scene.desk.connections() == 0);
  }
}

TEST_CASE("what is no question is refused", "[desk]") {
  const auto [text, status] = GENERATE(table<std::string, int>(
      {{"POST / HTTP/1.1\r\n\r\n", 405},
       {"HEAD / HTTP/1.1\r\n\r\n", 405},
       {"GET /\r\n\r\n", 400},
       {"GET\r\n\r\n", 400},
       {"GET / HTTP/2\r\n\r\n", 400},
       {"\r\n\r\n", 400},
       {"GET / HTTP/1.1\n\n", 400},
       {"GET / HTTP/1.1\r\nno field\r\n\r\n", 400},
       {"GET /" + std::string(HttpDesk::kLongestLine, 'x') + " HTTP/1.1\r\n\r\n", 414},
       {"GET / HTTP/1.1\r\na:" + std::string(HttpDesk::kLongestFields, 'x') + "\r\n\r\n", 431}}));
  Scene scene;
  INFO(text);
  CHECK(scene.asked(text).status() == status);
}

TEST_CASE("whoever says nothing, or does not read, is cut off", "[desk]") {
  Scene scene;
  scene.size = 100000;
  TextClient& silent = scene.asked("GET / HT");
  TextClient& slow = scene.client();
  slow.stop_reading();
  slow.send("GET /big HTTP/1.1\r\n\r\n");
  scene.settle();
  CHECK(scene.asked("GET /a HTTP/1.1\r\n\r\n").status() == 200);
  CHECK(scene.desk.connections() == 2);
  scene.pass(HttpDesk::kPatience);
  CHECK(scene.desk.connections() == 0);
  slow.go_on_reading();
  scene.settle();
  CHECK(silent.closed);
  CHECK(slow.closed);
}

TEST_CASE("only so many are served at a time", "[desk]") {
  Scene scene;
  std::vector<TextClient*> silent;
  for (std::size_t i = 0; i < HttpDesk::kMostConnections; ++i) silent.push_back(&scene.client());
  scene.settle();
  // Whoever has said nothing for longest gives way.
  CHECK(scene.asked("GET /a HTTP/1.1\r\n\r\n").status() == 200);
  CHECK(silent[0]->closed);
  for (std::size_t i = 1; i < silent.size(); ++i) CHECK_FALSE(silent[i]->closed);
  for (std::size_t i = 0; i < 3 * HttpDesk::kMostConnections; ++i) scene.client();
  CHECK(scene.desk.connections() <= 2 * HttpDesk::kMostConnections);
  scene.settle();
  CHECK(scene.desk.connections() <= HttpDesk::kMostConnections);
  CHECK(scene.asked("GET /a HTTP/1.1\r\n\r\n").status() == 200);
}

TEST_CASE("an order is answered when it has been carried out", "[desk]") {
  tunnel::io::Clock clock;
  std::vector<HttpDesk::Respond> waiting;
  HttpDesk desk(
      clock, [](std::string_view, std::string_view, const HttpDesk::Respond&) {},
      [&](std::string_view path, const tunnel::io::Peer& peer, HttpDesk::Respond respond) {
        CHECK(path == "/reload");
        CHECK(peer.uid == 7);
        waiting.push_back(std::move(respond));
      });
  const auto come = [&] {
    auto [ours, theirs] = MemoryStream::pair(clock);
    auto client = std::make_unique<TextClient>(std::move(ours));
    client->start();
    tunnel::io::Peer peer;
    peer.uid = 7;
    desk.accept(std::move(theirs), peer);
    client->send("POST /reload HTTP/1.1\r\n\r\n");
    test::settle(clock);
    return client;
  };
  const auto first = come();
  const auto second = come();
  REQUIRE(waiting.size() == 2);
  clock.advance(clock.now() + HttpDesk::kPatience);
  test::settle(clock);
  CHECK_FALSE(first->closed);
  second->hang_up();
  test::settle(clock);
  for (const auto& respond : waiting) respond({200, "text/plain", "done"});
  test::settle(clock);
  CHECK(first->status() == 200);
  CHECK(first->body() == "done");
  bool closed = false;
  desk.close([&] { closed = true; });
  test::settle(clock);
  CHECK(closed);
  first->hang_up();
  test::settle(clock);
}

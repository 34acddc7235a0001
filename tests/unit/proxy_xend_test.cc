// A question to xend is written anew and answered without passwords, and neither what does not read
// nor bytes behind a question reach xend.
#include "tests/unit/support/catch.h"
#include "tests/unit/support/xend_scene.h"

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::ask;
using test::kAskNode;
using test::says;
using test::TextClient;
using test::XendWorld;

namespace {

constexpr std::string_view kSent =
    "GET /xend/domain/web?detail=1 HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: identity\r\n"
    "Connection: close\r\n\r\n";

constexpr std::string_view kAskDomain =
    "GET /xend/domain/w%65b?detail=1 HTTP/1.1\r\nHost: evil.example.com\r\nX: y\r\n\r\n";

}  // namespace

TEST_CASE("a question is made anew, and its answer comes without passwords", "[proxy][xend]") {
  XendWorld world;
  world.gate();
  world.xend().answer =
      "HTTP/1.1 200 OK\r\nServer: x\r\nX-Secret: geheim\r\n\r\n(domain (vfb (vncpasswd geheim)) "
      "(name web))";
  TextClient& client = world.asked(kAskDomain);
  REQUIRE(world.xend().got.size() == 1);
  CHECK(world.xend().got[0] == kSent);
  CHECK(client.status() == 200);
  CHECK(client.got ==
        "HTTP/1.1 200 OK\r\nContent-Type: application/sxp\r\nContent-Length: 25\r\n"
        "Connection: close\r\n\r\n(domain (vfb) (name web))");
  CHECK(client.ended);
  CHECK(world.gate().clients() == 0);
  CHECK(world.log.count("close client=1 uid=1000 pid=4711 target=rain status=200") == 1);
  CHECK(world.log.count("geheim") == 0);
}

TEST_CASE("what does not read never reaches xend", "[proxy][xend]") {
  XendWorld world;
  world.gate();
  const std::string good(kAskNode);
  for (const std::string& bytes :
       {std::string("POST /xend/domain/web HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nop="
                    "destroy"),
        ask("/xend/domain/web?op=destroy"), ask("/xend/domain/../domain/web?detail=1"),
        std::string("GET /xend/node/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nPOST "),
        std::string(
            "GET /xend/node/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"),
        std::string("GET /xend/node/ HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
        std::string("\0\0\0\x1c\x20\0\x80\x86", 8)}) {
    TextClient& client = world.asked(bytes + good);
    CAPTURE(bytes);
    CHECK((client.status() == 403 || client.status() == 400));
    CHECK(client.body().starts_with("virtgate: "));
    CHECK(client.closed);
  }
  CHECK(world.xend().got.empty());
  CHECK(world.log.count("refused client=") == 7);
  CHECK(world.log.count("status=403 request=\"POST /xend/domain/web HTTP/1.1\" reason=") == 1);
}

TEST_CASE("what follows a question never reaches xend", "[proxy][xend]") {
  XendWorld world;
  world.gate();
  TextClient& client =
      world.asked(std::string(kAskDomain) + "POST /xend/domain/web HTTP/1.1\r\n\r\nop=destroy");
  CHECK(client.status() == 200);
  CHECK(client.got.find("HTTP/1.1", 1) == std::string::npos);
  CHECK(world.xend().got == std::vector<std::string>{std::string(kSent)});
}

TEST_CASE("bytes may be cut anywhere on both sides", "[proxy][xend]") {
  for (const std::size_t cut : std::vector<std::size_t>{1, 2, 3, 7, 64}) {
    XendWorld world;
    world.gate();
    world.xend().cut = cut;
    world.xend().answer = says("(domain (vncpasswd geheim) (a b))");
    TextClient& client = world.client(0, 1000, cut);
    client.send(kAskDomain);
    world.settle();
    CHECK(client.body() == "(domain (a b))");
    CHECK(world.xend().got[0] == kSent);
  }
}

TEST_CASE("a client may end its own side before the answer", "[proxy][xend]") {
  XendWorld world;
  TextClient& client = world.client();
  client.send(kAskNode);
  client.end();
  world.settle();
  CHECK(client.status() == 200);
  TextClient& early = world.client();
  early.send("GET /xend/node/ HTTP/1.1\r\n");
  early.end();
  world.settle();
  CHECK(early.got.empty());
  CHECK(early.closed);
  CHECK(world.xend().got.size() == 1);
}

TEST_CASE("a request that does not come in time is ended", "[proxy][xend]") {
  XendWorld world;
  TextClient& silent = world.client();
  TextClient& half = world.client();
  half.send("GET /xend/node/ HTTP/1.1\r\nHost: a\r\n");
  world.pass(seconds(29));
  half.send("X: y\r\n");
  world.settle();
  CHECK_FALSE(half.closed);
  world.pass(seconds(2));
  CHECK(silent.status() == 408);
  CHECK(half.status() == 408);
  CHECK(half.closed);
  CHECK(world.xend().got.empty());
}

TEST_CASE("a client that goes away costs nobody anything", "[proxy][xend]") {
  XendWorld world;
  world.gate();
  world.xend().silent = true;
  TextClient& client = world.client();
  client.send(kAskNode);
  world.settle();
  CHECK(world.xend().connections() == 1);
  client.hang_up();
  world.settle();
  CHECK(world.gate().clients() == 0);
  CHECK(world.xend().connections() == 0);
}

TEST_CASE("a client that babbles behind its request is ended", "[proxy][xend]") {
  XendWorld world;
  world.gate();
  world.xend().silent = true;
  TextClient& client = world.asked(kAskNode);
  const std::string much(std::size_t{200} * 1024, 'x');
  client.send(much);
  world.settle();
  CHECK_FALSE(client.closed);
  client.send(much);
  world.settle();
  CHECK(client.closed);
  CHECK(world.gate().clients() == 0);
}

TEST_CASE("an answer that nobody reads is given up", "[proxy][xend]") {
  XendWorld world;
  world.gate();
  world.xend().answer = says("(" + std::string(100000, 'a') + ")");
  TextClient& client = world.client();
  client.stop_reading();
  client.send(kAskNode);
  world.pass(seconds(58));
  CHECK(world.gate().clients() == 1);
  world.pass(seconds(5));
  CHECK(world.gate().clients() == 0);
  CHECK(world.log.count("it does not read its answer") == 1);
}

TEST_CASE("a client that stays after the answer is ended", "[proxy][xend]") {
  XendWorld world;
  TextClient& client = world.client();
  client.stays = true;
  client.send(kAskNode);
  world.settle();
  CHECK(client.ended);
  CHECK(world.gate().clients() == 1);
  world.pass(seconds(6));
  CHECK(world.gate().clients() == 0);
}

TEST_CASE("what one user leaves unread is bounded", "[proxy][xend]") {
  XendWorld world;
  world.config.limits.user_buffer = 300000;
  world.gate();
  world.xend().answer = says("(" + std::string(200000, 'a') + ")");
  std::vector<TextClient*> hoard;
  for (int i = 0; i < 5; ++i) {
    hoard.push_back(&world.client());
    hoard.back()->stop_reading();
    hoard.back()->send(kAskNode);
    world.settle();
  }
  TextClient& other = world.client(0, 1001);
  other.send(kAskNode);
  world.settle();
  CHECK(other.status() == 200);
  for (TextClient* client : hoard) client->go_on_reading();
  world.settle();
  int served = 0;
  for (const TextClient* client : hoard) served += client->status() == 200 ? 1 : 0;
  CHECK(served == 2);
  CHECK(hoard.back()->status() == 503);
  CHECK(world.asked(kAskNode).status() == 200);
}

TEST_CASE("xend gets so many connections at a time, and no more", "[proxy][xend]") {
  XendWorld world;
  world.config.targets[0].upstreams = 3;
  world.gate();
  world.xend().silent = true;
  std::vector<TextClient*> crowd;
  for (int i = 0; i < 10; ++i) crowd.push_back(&world.asked(kAskNode));
  CHECK(world.xend().got.size() == 3);
  crowd[1]->hang_up();
  crowd[5]->hang_up();
  world.settle();
  CHECK(world.xend().got.size() == 4);
  CHECK(world.xend().connections() == 3);
  for (int i = 0; i < 5; ++i) {
    world.xend().answer_all();
    world.settle();
    CHECK(world.xend().connections() <= 3);
  }
  CHECK(world.xend().got.size() == 9);
  for (std::size_t i = 0; i < crowd.size(); ++i) {
    if (i != 1 && i != 5) CHECK(crowd[i]->status() == 200);
  }
}

TEST_CASE("a newcomer beyond the limits is told so", "[proxy][xend]") {
  XendWorld world;
  world.config.limits.clients = 4;
  world.config.limits.clients_per_user = 2;
  world.client(0, 1000);
  world.client(0, 1000);
  TextClient& third = world.client(0, 1000);
  third.send(kAskNode);
  world.settle();
  CHECK(third.status() == 503);
  CHECK(third.body().find("user 1000") != std::string::npos);
  CHECK(third.closed);
  world.client(0, 1001);
  world.client(0, 1002);
  TextClient& fifth = world.client(0, 1003);
  world.settle();
  CHECK(fifth.status() == 503);
  CHECK(fifth.body().find("maximum of 4 clients") != std::string::npos);
  CHECK(world.xend().got.empty());
  for (int i = 0; i < 200; ++i) world.client(0, 1004);
  world.settle();
  CHECK(world.gate().clients() <= 4 + 64 + 1);
}

TEST_CASE("each socket leads to its own xend", "[proxy][xend]") {
  XendWorld world({"rain", "snow"});
  world.gate();
  world.xend("snow").answer = says("(snow)");
  TextClient& rain = world.client(0);
  TextClient& snow = world.client(1);
  rain.send(kAskNode);
  snow.send(kAskDomain);
  world.settle();
  CHECK(rain.body() == "(domain)");
  CHECK(snow.body() == "(snow)");
  CHECK(world.xend("rain").got.size() == 1);
  CHECK(world.xend("snow").got == std::vector<std::string>{std::string(kSent)});
}

TEST_CASE("a gate that stops answers what was asked", "[proxy][xend]") {
  XendWorld world;
  world.gate();
  world.xend().silent = true;
  TextClient& idle = world.client();
  TextClient& busy = world.asked(kAskNode);
  const auto done = world.drain();
  world.settle();
  CHECK(idle.closed);
  CHECK_FALSE(busy.closed);
  CHECK_FALSE(*done);
  world.xend().answer_all();
  world.pass(milliseconds(10));
  CHECK(busy.status() == 200);
  CHECK(*done);
}

TEST_CASE("a gate that stops does not wait for a xend for ever", "[proxy][xend]") {
  XendWorld world;
  world.gate();
  world.xend().silent = true;
  world.asked(kAskNode);
  TextClient& left = world.asked(kAskNode);
  const auto done = world.drain();
  left.hang_up();
  world.pass(seconds(9));
  CHECK_FALSE(*done);
  world.pass(seconds(2));
  CHECK(*done);
  CHECK(world.xend().connections() == 0);
}

TEST_CASE("rules decide who may ask", "[proxy][xend]") {
  XendWorld world;
  policy::AccessRule rule;
  rule.targets = {"*"};
  rule.allow = {"*"};
  rule.place = "f line 2";
  SECTION("nobody else") {
    rule.users = {1001};
    world.config.rules.rules = {rule};
    world.gate();
    TextClient& client = world.asked(kAskNode);
    CHECK(client.status() == 403);
    CHECK(client.body().find("user 1000 may not see target 'rain'") != std::string::npos);
  }
  SECTION("nobody who may not see a domain's XML") {
    rule.deny = {"DOMAIN_GET_XML_DESC"};
    world.config.rules.rules = {rule};
    world.gate();
    TextClient& client = world.asked(kAskNode);
    CHECK(client.status() == 403);
    CHECK(client.body().find("rule 1 (f line 2) does not let user 1000 call") != std::string::npos);
  }
  CHECK(world.xend().got.empty());
  CHECK(world.log.count("refused") == 1);
}

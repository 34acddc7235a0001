// A xend that is unreachable, slow, broken or babbling becomes an error in time, and xend's own
// errors reach the client as such.
#include "tests/unit/support/catch.h"
#include "tests/unit/support/xend_scene.h"

using std::chrono::seconds;
using test::ask;
using test::kAskNode;
using test::says;
using test::TextClient;
using test::XendWorld;

TEST_CASE("a xend that cannot be reached in time is an error", "[proxy][xend]") {
  XendWorld world;
  world.gate();
  world.xend().down = true;
  TextClient& client = world.asked(kAskNode);
  world.pass(seconds(29));
  CHECK(client.got.empty());
  world.pass(seconds(2));
  CHECK(client.status() == 504);
  CHECK(client.body() == "virtgate: target rain: look-up: xend was not reached within 30000 ms\n");
  CHECK(client.closed);
}

TEST_CASE("a xend that does not answer in time is an error", "[proxy][xend]") {
  XendWorld world;
  world.gate();
  world.xend().silent = true;
  TextClient& client = world.asked(kAskNode);
  world.pass(seconds(31));
  CHECK(client.status() == 504);
  CHECK(client.body() == "virtgate: target rain: xend did not answer within 30000 ms\n");
  CHECK(world.xend().connections() == 0);
}

TEST_CASE("who waits for a busy xend does not wait longer than for its answer", "[proxy][xend]") {
  XendWorld world;
  world.config.targets[0].upstreams = 1;
  world.gate();
  world.xend().silent = true;
  world.asked(kAskNode);
  world.pass(seconds(20));
  TextClient& second = world.asked(kAskNode);
  TextClient& third = world.asked(kAskNode);
  world.pass(seconds(29));
  CHECK(world.xend().got.size() == 2);
  CHECK(second.got.empty());
  world.pass(seconds(2));
  CHECK(second.status() == 504);
  CHECK(third.status() == 504);
  CHECK(world.xend().connections() == 0);
}

TEST_CASE("a xend that breaks off at any byte is an error", "[proxy][xend]") {
  const std::string whole = says("(domain (a b))");
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    XendWorld world;
    world.gate();
    world.xend().answer = whole.substr(0, cut);
    TextClient& client = world.asked(kAskNode);
    CAPTURE(cut);
    CHECK(client.status() == 502);
    CHECK(client.body().starts_with("virtgate: target rain: xend's answer cannot be used: it "));
    CHECK(client.closed);
  }
}

TEST_CASE("a xend that dies is an error", "[proxy][xend]") {
  XendWorld world;
  world.gate();
  world.xend().silent = true;
  TextClient& client = world.asked(kAskNode);
  world.xend().kill_all();
  world.settle();
  CHECK(client.status() == 502);
  CHECK(client.body().find("target rain: ") != std::string::npos);
  world.xend().silent = false;
  CHECK(world.asked(kAskNode).status() == 200);
}

TEST_CASE("what a xend babbles is bounded and goes no further", "[proxy][xend]") {
  XendWorld world;
  world.gate();
  world.xend().closes = false;
  for (const std::string& answer :
       {std::string("\0\0\0\x1c", 4), std::string("<html>geheim\r\n\r\n"), std::string(100000, 'x'),
        std::string("HTTP/1.1 200 OK\nContent-Length: 3\n\n(a)"),
        "HTTP/1.1 200 OK\r\nX: " + std::string(100000, 'x'),
        "HTTP/1.1 200 OK\r\n\r\n(" + std::string(300000, ' '),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: 262145\r\n\r\n("),
        std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n(a)\r\n"),
        std::string("HTTP/1.1 304 Geheim\r\n\r\n"), says("<html>geheim</html>"),
        says("(domain (vncpasswd geheim)"), says("")}) {
    world.xend().answer = answer;
    TextClient& client = world.asked(kAskNode);
    CAPTURE(answer.substr(0, 80));
    CHECK(client.status() == 502);
    CHECK(client.body().starts_with("virtgate: "));
    CHECK(client.got.find("domain") == std::string::npos);
    CHECK(client.closed);
    CHECK(world.xend().connections() == 0);
  }
}

TEST_CASE("xend's own errors reach the client as such", "[proxy][xend]") {
  XendWorld world;
  world.gate();
  world.xend().answer = says("(xend.err 'no such domain')", "404 Not Found");
  TextClient& missing = world.asked(ask("/xend/domain/web?detail=1"));
  CHECK(missing.status() == 404);
  CHECK(missing.body() == "(xend.err 'no such domain')");
  world.xend().answer = says("<html>geheim</html>", "500 Geheim");
  TextClient& broken = world.asked(kAskNode);
  CHECK(broken.got.find("HTTP/1.1 500 Internal Server Error\r\n") == 0);
  CHECK(broken.body() == "virtgate: xend says 500 Internal Server Error\n");
}

TEST_CASE("a client that fails at any step leaves nothing behind", "[proxy][xend]") {
  const std::string request(kAskNode);
  for (std::size_t cut = 0; cut <= request.size(); ++cut) {
    XendWorld world;
    world.gate();
    world.xend().silent = cut % 2 == 0;
    TextClient& client = world.client();
    client.send(request.substr(0, cut));
    world.settle();
    client.hang_up();
    world.settle();
    CHECK(world.gate().clients() == 0);
    CHECK(world.xend().connections() == 0);
  }
}

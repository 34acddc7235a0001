// Only GET requests that read pass to xend, and they are written anew; other methods, paths,
// queries and bodies are refused.
#include <string>
#include <string_view>

#include "base/text.h"
#include "policy/xend_request.h"
#include "tests/unit/support/catch.h"

namespace {

using policy::XendRequest;
using State = XendRequest::State;
using namespace std::string_literals;

constexpr const char* kHost = "Host: localhost:8000\r\n";

std::string get(std::string_view target, std::string_view fields = kHost) {
  return "GET " + std::string(target) + " HTTP/1.1\r\n" + std::string(fields) + "\r\n";
}

XendRequest fed(std::string_view bytes) {
  XendRequest request;
  request.feed(base::bytes_of(bytes));
  return request;
}

std::string path_of(std::string_view target) {
  const XendRequest request = fed(get(target));
  INFO(target << ": " << request.reason());
  REQUIRE(request.state() == State::accepted);
  return request.question().path;
}

int status_of(std::string_view bytes) {
  const XendRequest request = fed(bytes);
  if (request.state() == State::reading) return 0;
  if (request.state() == State::accepted) return 200;
  CHECK(request.question().path.empty());
  CHECK_FALSE(request.reason().empty());
  CHECK(request.refusal().body == "virtgate: " + base::printable(request.reason(), 4096) + "\n");
  CHECK(request.refusal().type == "text/plain; charset=utf-8");
  return request.refusal().status;
}

}  // namespace

TEST_CASE("what reads is let through, and made anew", "[policy][xend]") {
  struct Case {
    const char* asked;
    const char* sent;
  };
  const Case c = GENERATE(values<Case>({
      {"/xend/node/", "/xend/node/"},
      {"/xend/node", "/xend/node/"},
      {"/xend/domain", "/xend/domain"},
      {"/xend/domain/", "/xend/domain"},
      {"/xend/domain?state=halted", "/xend/domain?state=halted"},
      {"/xend/domain/?state=halted", "/xend/domain?state=halted"},
      {"/xend/domain?detail=1", "/xend/domain?detail=1"},
      {"/xend/domain/web?detail=1", "/xend/domain/web?detail=1"},
      {"/xend/domain/17?detail=1", "/xend/domain/17?detail=1"},
      {"/xend/domain/0?op=vcpuinfo", "/xend/domain/0?op=vcpuinfo"},
      {"/xend/domain/5a8f2c1e-0a0b-4c0d-8e0f-102030405060?detail=1",
       "/xend/domain/5a8f2c1e-0a0b-4c0d-8e0f-102030405060?detail=1"},
      {"/xend/domain/a_b-c.d:e+f?op=vcpuinfo", "/xend/domain/a_b-c.d:e+f?op=vcpuinfo"},
      {"/xend/domain/...?detail=1", "/xend/domain/...?detail=1"},
      {"/%78end/node/", "/xend/node/"},
      {"/xend/domain/w%65b?detail=1", "/xend/domain/web?detail=1"},
      {"/xend/domain/web?%64etail=%31", "/xend/domain/web?detail=1"},
  }));
  CHECK(path_of(c.asked) == c.sent);
  CHECK(policy::xend_request({c.sent, {}}, "h:8000") ==
        "GET "s + c.sent +
            " HTTP/1.1\r\nHost: h:8000\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n");
}

TEST_CASE("which answers are lists of names", "[policy][xend]") {
  CHECK(fed(get("/xend/domain")).question().answer == policy::SexprKind::names);
  CHECK(fed(get("/xend/domain?state=halted")).question().answer == policy::SexprKind::names);
  CHECK(fed(get("/xend/node/")).question().answer == policy::SexprKind::nodes);
  CHECK(fed(get("/xend/domain/a?detail=1")).question().answer == policy::SexprKind::nodes);
}

TEST_CASE("libvirt's own request passes, and HTTP/1.0 without a host", "[policy][xend]") {
  CHECK(
      status_of("GET /xend/node/ HTTP/1.1\r\nHost: localhost:8000\r\nAccept-Encoding: identity\r\n"
                "Content-Type: application/x-www-form-urlencoded\r\n\r\n") == 200);
  CHECK(status_of("GET /xend/node/ HTTP/1.0\r\n\r\n") == 200);
  CHECK(status_of("GET /xend/node/ HTTP/1.0\r\nHost: a\r\n\r\n") == 200);
  CHECK(status_of(get("/xend/node/", "host:\t x \t\r\nContent-Length: 0\r\nX: \xff\r\n")) == 200);
  CHECK(status_of(get("/xend/node/", "Host:\r\ncontent-length: 000\r\n")) == 200);
}

TEST_CASE("other paths and queries are refused", "[policy][xend]") {
  const auto target = GENERATE(
      "/", "/xend", "/xend/", "/xend/node/x", "/xend/node//", "/xend/node/?detail=1",
      "/xend/node?op=x", "/xend//node/", "//xend/node/", "/xend/./node/", "/xend/../xend/node/",
      "/xend/domain//", "/xend/domain//web?detail=1", "/xend/domain/web", "/xend/domain/web/",
      "/xend/domain/web/?detail=1", "/xend/domain/web/x?detail=1", "/xend/domain/..?detail=1",
      "/xend/domain/.?detail=1", "/xend/domain/%2e%2e?detail=1", "/xend/domain/%2E?detail=1",
      "/xend/domain/..%2fnode?detail=1", "/xend/domain%2fweb?detail=1", "/xend%2fnode/",
      "/xend/domain/a%2fb?detail=1", "/xend/domain/a%00?detail=1", "/xend/domain/a%0d%0ab?detail=1",
      "/xend/domain/a%20b?detail=1", "/xend/domain/%2561?detail=1", "/xend/domain/a%3fb?detail=1",
      "/xend/domain/a;b?detail=1", "/xend/domain/a&b?detail=1", "/xend/domain/%ff?detail=1",
      "/xend/domain/web?op=destroy", "/xend/domain/web?op=pause", "/xend/domain/web?op=vcpuinfo2",
      "/xend/domain/web?op=vcpuinfo&op=destroy", "/xend/domain/web?detail=1&op=destroy",
      "/xend/domain/web?detail=1&detail=1", "/xend/domain/web?op=destroy;detail=1",
      "/xend/domain/web?detail=1&", "/xend/domain/web?&detail=1", "/xend/domain/web?detail=0",
      "/xend/domain/web?detail", "/xend/domain/web?detail=", "/xend/domain/web?=1",
      "/xend/domain/web?DETAIL=1", "/xend/domain/web?detail=1%26op=destroy",
      "/xend/domain/web?detail%3d1", "/xend/domain/web?detail=1?", "/xend/domain/web?detail=+1",
      "/xend/domain/web?state=halted", "/xend/domain?state=running", "/xend/domain?op=vcpuinfo",
      "/xend/domain?op=create", "/xend/domain?op=list", "/xend/domain?", "/xend/node/?",
      "/xend/domain/web?", "/XEND/node/", "/xend/Node/", "/xend/vnet/", "/xend/dmesg", "/xend/log",
      "/xend/domain/:8000/@?detail=1", "*", "http://localhost:8000/xend/node/", "xend/node/",
      "localhost:8000");
  CAPTURE(target);
  CHECK(status_of(get(target)) == 403);
}

TEST_CASE("other methods are refused, and so are bodies", "[policy][xend]") {
  for (const char* method :
       {"POST", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT", "get", "TRACE", "G\"T", "GET2"}) {
    CAPTURE(method);
    CHECK(status_of(method + " /xend/domain/web?detail=1 HTTP/1.1\r\nHost: a\r\n\r\n"s) == 403);
  }
  for (const char* field :
       {"Content-Length: 1", "Content-Length: 100000000000000000", "Transfer-Encoding: chunked",
        "transfer-encoding:", "Transfer-Encoding: identity\r\nContent-Length: 0"}) {
    CAPTURE(field);
    CHECK(status_of(get("/xend/node/", kHost + std::string(field) + "\r\n")) == 403);
  }
}

TEST_CASE("what is malformed is refused as such", "[policy][xend]") {
  const std::string bytes = GENERATE(
      "\r\n"s, "\n"s, "GET /xend/node/ HTTP/1.1\n"s, "GET /xend/node/ HTTP/1.1\r"s + "x"s,
      "GET /xend/node/ HTTP/1.1\r\n\n"s, "GET /xend/node/ HTTP/1.1\r\nHost: a\n\r\n"s,
      "GET\t/xend/node/\tHTTP/1.1\r\n"s, "GET /xend/node/\0 HTTP/1.1\r\n"s, "\x16\x03\x01"s,
      "\0\0\0\x1c"s, "GET /xend/node/ HTTP/1.1\r\nHost: a\x01\r\n"s,
      "GET /xend/node/ HTTP/1.1\r\nHost: a\x7f\r\n"s, "GET /xend/node/ HTTP/1.1\r\n Host: a\r\n"s,
      "GET /xend/node/ HTTP/1.1\r\nHost: a\r\n\tb\r\n"s,
      "GET /xend/node/ HTTP/1.1\r\nHost : a\r\n"s, "GET /xend/node/ HTTP/1.1\r\n: a\r\n"s,
      "GET /xend/node/ HTTP/1.1\r\nHost\r\n"s, "GET /xend/node/ HTTP/1.1\r\nHo st: a\r\n"s,
      "GET /xend/node/ HTTP/1.1\r\n\xff: a\r\n"s, "GET /xend/node/\r\nHost: a\r\n\r\n"s,
      "GET  /xend/node/ HTTP/1.1\r\nHost: a\r\n\r\n"s,
      "GET /xend/node/  HTTP/1.1\r\nHost: a\r\n\r\n"s,
      "GET /xend/node/ HTTP/1.1 \r\nHost: a\r\n\r\n"s,
      " GET /xend/node/ HTTP/1.1\r\nHost: a\r\n\r\n"s,
      "GET /xend/no de/ HTTP/1.1\r\nHost: a\r\n\r\n"s,
      "GET /xend/node/ HTTP/2.0\r\nHost: a\r\n\r\n"s,
      "GET /xend/node/ HTTP/1.2\r\nHost: a\r\n\r\n"s,
      "GET /xend/node/ http/1.1\r\nHost: a\r\n\r\n"s,
      "GET /xend/node/ HTTP/0.9\r\nHost: a\r\n\r\n"s, "PRI * HTTP/2.0\r\n\r\n"s,
      get("/xend/domain/%?detail=1"), get("/xend/domain/%4?detail=1"),
      get("/xend/domain/%4g?detail=1"), get("/xend/domain/a?detail=%"), get("/xend/domain/a?%zz=1"),
      get("/xend/node/#f"), get("/xend/domain/<a>?detail=1"), get("/xend/domain/\xff?detail=1"),
      get("/xend/domain/a\\b?detail=1"), get("/xend/node/", ""),
      get("/xend/node/", "Host: a\r\nHost: a\r\n"), get("/xend/node/", "Host: a\r\nHOST: b\r\n"),
      get("/xend/node/", "Host: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n"),
      get("/xend/node/", "Host: a\r\nContent-Length: 0, 0\r\n"),
      get("/xend/node/", "Host: a\r\nContent-Length: +0\r\n"),
      get("/xend/node/", "Host: a\r\nContent-Length: -1\r\n"),
      get("/xend/node/", "Host: a\r\nContent-Length: 0x0\r\n"),
      get("/xend/node/", "Host: a\r\nContent-Length:\r\n"),
      get("/xend/node/", "Host: a\r\nContent-Length: 0000000000000000000\r\n"));
  CAPTURE(bytes);
  CHECK(status_of(bytes) == 400);
}

TEST_CASE("the head is bounded", "[policy][xend]") {
  const std::string line(XendRequest::kLongestLine, 'G');
  CHECK(status_of(line) == 0);
  CHECK(status_of(line + "G") == 414);
  CHECK(status_of(get("/xend/domain/" + std::string(255, 'a') + "?detail=1")) == 200);
  CHECK(status_of(get("/xend/domain/" + std::string(256, 'a') + "?detail=1")) == 403);
  CHECK(status_of(get("/xend/domain/" + std::string(2048, 'a') + "?detail=1")) == 414);

  const std::string start = "GET /xend/node/ HTTP/1.1\r\n"s + kHost;
  std::string fields = start;
  for (std::size_t i = 1; i < XendRequest::kMostFields; ++i) fields += "A: b\r\n";
  CHECK(status_of(fields + "\r\n") == 200);
  CHECK(status_of(fields + "A: b\r\n") == 431);
  const std::size_t left = XendRequest::kLongestFields - std::string_view(kHost).size() + 2;
  CHECK(status_of(start + "A:" + std::string(left - 2, 'b') + "\r\n\r\n") == 200);
  CHECK(status_of(start + "A:" + std::string(left - 1, 'b')) == 431);
}

TEST_CASE("what follows the request is dropped", "[policy][xend]") {
  const std::string first = get("/xend/node/");
  const std::string evil = "POST /xend/domain/web HTTP/1.1\r\nHost: a\r\n\r\nop=destroy";
  XendRequest request = fed(first + evil);
  CHECK(request.state() == State::accepted);
  CHECK(request.feed(base::bytes_of(evil)) == State::accepted);
  CHECK(request.question().path == "/xend/node/");
  XendRequest refused = fed(evil);
  CHECK(refused.feed(base::bytes_of(first)) == State::refused);
  CHECK(refused.refusal().status == 403);
}

TEST_CASE("a request may be cut anywhere", "[policy][xend]") {
  for (const std::string& bytes :
       {get("/xend/domain/w%65b?detail=1", "Host: a\r\nX: y\r\n"),
        get("/xend/domain/web?op=destroy"), "GET /xend/node/ HTTP/1.1\r\nHost: a\n\r\n"s,
        get("/xend/node/", "Host: a\r\nContent-Length: 5\r\n") + "GET /"}) {
    const XendRequest whole = fed(bytes);
    REQUIRE(whole.state() != State::reading);
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
      XendRequest request;
      request.feed(base::bytes_of(bytes).first(cut));
      request.feed(base::bytes_of(bytes).subspan(cut));
      CHECK(request.state() == whole.state());
      CHECK(request.question().path == whole.question().path);
      CHECK(request.reason() == whole.reason());
    }
    XendRequest dribbled;
    for (const char c : bytes) dribbled.feed(base::bytes_of({&c, 1}));
    CHECK(dribbled.question().path == whole.question().path);
    CHECK(dribbled.reason() == whole.reason());
  }
}

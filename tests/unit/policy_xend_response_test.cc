// xend's answer reaches the client only when it is whole and within its bound, and its passwords
// are removed.
#include <string>
#include <string_view>

#include "policy/xend_response.h"
#include "tests/unit/support/catch.h"

namespace {

using policy::HttpAnswer;
using policy::XendResponse;
using State = XendResponse::State;
using namespace std::string_literals;

const policy::XendQuestion kDomain{"/xend/domain/web?detail=1", policy::SexprKind::nodes};

std::string response(std::string_view status, std::string_view body,
                     std::string_view fields = "Server: xend\r\n") {
  return "HTTP/1.1 " + std::string(status) + "\r\n" + std::string(fields) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

XendResponse fed(std::string_view bytes) {
  XendResponse out;
  out.feed(base::bytes_of(bytes));
  return out;
}

XendResponse complete(std::string_view bytes) {
  XendResponse out = fed(bytes);
  INFO(out.wrong());
  REQUIRE(out.state() == State::complete);
  return out;
}

HttpAnswer answer(std::string_view status, std::string_view body) {
  return policy::answer_of_xend(kDomain, complete(response(status, body)));
}

}  // namespace

TEST_CASE("xend's body has its length, or lasts until the end", "[policy][xend]") {
  CHECK(complete(response("200 OK", "(a)")).body() == "(a)");
  CHECK(complete(response("200 OK", "(a)") + "more").body() == "(a)");
  CHECK(complete(response("200", "")).body().empty());
  CHECK(complete("HTTP/1.0 404 \r\nContent-Length: 3\r\n\r\n(a)").status() == 404);
  XendResponse open = fed("HTTP/1.1 200 OK\r\n\r\n(a)");
  CHECK(open.state() == State::reading);
  open.feed(base::bytes_of("(b)"));
  CHECK(open.end() == State::complete);
  CHECK(open.body() == "(a)(b)");
  CHECK(open.feed(base::bytes_of("x")) == State::complete);
  CHECK(open.end() == State::complete);
}

TEST_CASE("an answer that breaks off is none", "[policy][xend]") {
  const std::string bytes = response("200 OK", "(a b)");
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    XendResponse part = fed(bytes.substr(0, cut));
    REQUIRE(part.state() == State::reading);
    CHECK(part.end() == State::malformed);
    CHECK_FALSE(part.wrong().empty());
    XendResponse whole = fed(bytes.substr(0, cut));
    CHECK(whole.feed(base::bytes_of(bytes.substr(cut))) == State::complete);
    CHECK(whole.body() == "(a b)");
  }
}

TEST_CASE("an answer that is not HTTP as xend speaks it is refused", "[policy][xend]") {
  const std::string bytes = GENERATE(
      "\r\n"s, "\n"s, "\0"s, "(domain)\n"s, "HTTP/1.1 200 OK\n"s, "HTTP/1.1 200 OK\r\nA: b\n"s,
      "HTTP/1.1 200 OK\r\n A: b\r\n"s, "HTTP/1.1 200 OK\r\nA\r\n"s, "HTTP/1.1 200 OK\r\nA : b\r\n"s,
      "HTTP/1.1 2000 OK\r\n\r\n"s, "HTTP/1.1 20 OK\r\n\r\n"s, "HTTP/1.1  200 OK\r\n\r\n"s,
      "HTTP/1.1 -20 OK\r\n\r\n"s, "HTTP/1.1 200OK\r\n\r\n"s, "HTTP/1.1\r\n\r\n"s,
      "HTTP/2 200 OK\r\n\r\n"s, "ICY 200 OK\r\n\r\n"s, "HTTP/1.1 100 Continue\r\n\r\n"s,
      "HTTP/1.1 204 No Content\r\n\r\n"s, "HTTP/1.1 206 Partial Content\r\n\r\n"s,
      "HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n"s, "HTTP/1.1 304 Not Modified\r\n\r\n"s,
      "HTTP/1.1 101 Switching\r\n\r\n"s, "HTTP/1.1 600 X\r\n\r\n"s, "HTTP/1.1 000 X\r\n\r\n"s,
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"s,
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n"s,
      "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"s,
      "HTTP/1.1 200 OK\r\nContent-Length: 262145\r\n\r\n"s,
      "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"s,
      "HTTP/1.1 200 "s + std::string(2000, 'O'),
      "HTTP/1.1 200 OK\r\nA: "s + std::string(10000, 'O'));
  CAPTURE(bytes.substr(0, 80));
  const XendResponse refused = fed(bytes);
  CHECK(refused.state() == State::malformed);
  CHECK_FALSE(refused.wrong().empty());
  CHECK(refused.wrong().find_first_of("\r\n") == std::string::npos);
  CHECK(refused.body().empty());
}

TEST_CASE("the body is bounded, with and without a length", "[policy][xend]") {
  const std::string most = "(" + std::string(XendResponse::kLargestBody - 2, 'a') + ")";
  CHECK(complete(response("200 OK", most)).body() == most);
  XendResponse open = fed("HTTP/1.1 200 OK\r\n\r\n" + most);
  REQUIRE(open.state() == State::reading);
  CHECK(open.body() == most);
  XendResponse more = open;
  CHECK(open.end() == State::complete);
  CHECK(more.feed(base::bytes_of(" ")) == State::malformed);
}

TEST_CASE("the client gets xend's status, and its body without passwords", "[policy][xend]") {
  const HttpAnswer domain = answer("200 OK", "(domain (vncpasswd geheim) (a b))");
  CHECK(domain.status == 200);
  CHECK(domain.type == "application/sxp");
  CHECK(domain.body == "(domain (a b))");
  CHECK(answer("202 Accepted", "(xend.err failed)").status == 202);
  const HttpAnswer error = answer("500 Whatever", "(xend.err 'no' (vncpasswd geheim))");
  CHECK(error.status == 500);
  CHECK(error.body == "(xend.err 'no')");
  const HttpAnswer html = answer("404 Whatever", "<html>(vncpasswd geheim)</html>");
  CHECK(html.status == 404);
  CHECK(html.body == "virtgate: xend says 404 Not Found\n");
  CHECK(answer("418 Geheim", "").body == "virtgate: xend says 418 Unknown\n");
  for (const char* body :
       {"", "x", "(a (vncpasswd geheim)", "(vncpasswd geheim)", "\x1f\x8b\x08"}) {
    CAPTURE(body);
    const HttpAnswer none = answer("200 OK", body);
    CHECK(none.status == 502);
    CHECK(none.body.find("geheim") == std::string::npos);
  }
}

TEST_CASE("what is written to the client is one whole message", "[policy][xend]") {
  CHECK(base::text_of(policy::encode_http_answer({404, "application/sxp", "(a)"})) ==
        "HTTP/1.1 404 Not Found\r\nContent-Type: application/sxp\r\nContent-Length: 3\r\n"
        "Connection: close\r\n\r\n(a)");
  CHECK(base::text_of(policy::encode_http_answer(policy::http_text(599, "no"))) ==
        "HTTP/1.1 599 Unknown\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 13\r\n"
        "Connection: close\r\n\r\nvirtgate: no\n");
}

// Both sides of the filter before xend. The first byte of the input says which, and how the rest is
// cut when it is fed.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "policy/http.h"
#include "policy/sexpr.h"
#include "policy/xend_request.h"
#include "policy/xend_response.h"

namespace {

using policy::HttpAnswer;
using policy::SexprKind;
using policy::XendRequest;
using policy::XendResponse;

template <typename Engine>
void feed_in_pieces(Engine& engine, base::Bytes bytes, std::size_t seed) {
  std::size_t piece = seed;
  for (std::size_t at = 0; at < bytes.size();) {
    piece = 1 + (piece * 31 + 7) % (1 + seed);
    const base::Bytes cut = bytes.subspan(at, std::min(piece, bytes.size() - at));
    engine.feed(cut);
    at += cut.size();
  }
}

bool is_plain(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-.:+").find(c) != std::string_view::npos;
  });
}

// Written down once more, without looking at how the filter does it.
bool reads(std::string_view path) {
  constexpr std::string_view kDomain = "/xend/domain/";
  if (path == "/xend/node/" || path == "/xend/domain" || path == "/xend/domain?state=halted" ||
      path == "/xend/domain?detail=1") {
    return true;
  }
  if (!path.starts_with(kDomain)) return false;
  path.remove_prefix(kDomain.size());
  const std::size_t mark = path.find('?');
  if (mark == std::string_view::npos) return false;
  const std::string_view name = path.substr(0, mark);
  const std::string_view query = path.substr(mark + 1);
  return is_plain(name) && name != "." && name != ".." &&
         (query == "detail=1" || query == "op=vcpuinfo");
}

void check_answer(const HttpAnswer& answer) {
  CHECK(answer.status >= 200 && answer.status <= 599);
  const base::Buffer bytes = policy::encode_http_answer(answer);
  XendResponse again;
  CHECK(again.feed(bytes) == XendResponse::State::complete);
  CHECK(again.status() == answer.status && again.body() == answer.body);
}

void check_request(base::Bytes bytes, std::size_t seed) {
  XendRequest whole;
  whole.feed(bytes);
  XendRequest pieces;
  feed_in_pieces(pieces, bytes, seed);
  CHECK(pieces.state() == whole.state());
  CHECK(pieces.reason() == whole.reason());
  CHECK(pieces.question().path == whole.question().path);
  CHECK(whole.first_line().size() <= XendRequest::kLongestLine);
  if (whole.state() == XendRequest::State::refused) {
    CHECK(whole.question().path.empty());
    CHECK(whole.refusal().status >= 400 && whole.refusal().status < 500);
    check_answer(whole.refusal());
  }
  if (whole.state() != XendRequest::State::accepted) return;
  CHECK(base::text_of(bytes).starts_with("GET "));
  CHECK(reads(whole.question().path));
  XendRequest again;
  const std::string sent = policy::xend_request(whole.question(), "localhost");
  CHECK(again.feed(base::bytes_of(sent)) == XendRequest::State::accepted);
  CHECK(again.question().path == whole.question().path);
}

void check_scrubbed(std::string_view text, SexprKind kind) {
  const auto clean = policy::without_passwords(text, kind);
  if (!clean) return;
  CHECK(clean->size() <= text.size());
  CHECK(policy::without_passwords(*clean, kind) == clean);
  if (kind != SexprKind::nodes) return;
  for (const std::string_view key : {"(vncpasswd ", "(passwd ", "(vncpassword ", "(VNCPASSWD "}) {
    // In a string it is no key.
    if (text.find_first_of("'\"") == std::string_view::npos) {
      CHECK(clean->find(key) == std::string::npos);
    }
  }
}

void check_response(base::Bytes bytes, std::size_t seed) {
  XendResponse whole;
  whole.feed(bytes);
  whole.end();
  XendResponse pieces;
  feed_in_pieces(pieces, bytes, seed);
  pieces.end();
  CHECK(pieces.state() == whole.state());
  CHECK(pieces.body() == whole.body());
  CHECK(pieces.wrong() == whole.wrong());
  CHECK(whole.body().size() <= XendResponse::kLargestBody);
  if (whole.state() == XendResponse::State::malformed) {
    CHECK(!whole.wrong().empty());
    return;
  }
  CHECK(whole.state() == XendResponse::State::complete);
  for (const SexprKind kind : {SexprKind::nodes, SexprKind::names}) {
    check_answer(policy::answer_of_xend({"/xend/domain", kind}, whole));
    check_scrubbed(whole.body(), kind);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const base::Bytes bytes(data + 1, size - 1);
  const std::size_t seed = data[0] / 3;
  switch (data[0] % 3) {
    case 0:
      check_request(bytes, seed);
      break;
    case 1:
      check_response(bytes, seed);
      break;
    default:
      check_scrubbed(base::text_of(bytes), SexprKind::nodes);
      check_scrubbed(base::text_of(bytes), SexprKind::names);
      break;
  }
  return 0;
}

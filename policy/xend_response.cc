#include "policy/xend_response.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace policy {
namespace {

constexpr std::string_view kType = "application/sxp";

// Three digits behind the version, and then nothing or a blank and any text; 0: it is not so.
int status_of(std::string_view line) {
  constexpr std::size_t kVersion = 9;  // "HTTP/1.x "
  if (!line.starts_with("HTTP/1.1 ") && !line.starts_with("HTTP/1.0 ")) return 0;
  line.remove_prefix(kVersion);
  if (line.size() < 3 || (line.size() > 3 && line[3] != ' ')) return 0;
  int status = 0;
  for (const char c : line.substr(0, 3)) {
    if (c < '0' || c > '9') return 0;
    status = status * 10 + (c - '0');
  }
  return status;
}

bool is_success(int status) { return status >= 200 && status <= 202; }

// xend has no others, and the rest would have a meaning for our client that it cannot have here.
bool is_known(int status) { return is_success(status) || (status >= 400 && status <= 599); }

}  // namespace

XendResponse::State XendResponse::feed(base::Bytes data) {
  if (state_ != State::reading) return state_;
  if (!in_body_) {
    switch (head_.feed(data)) {
      case HttpHead::State::reading:
        return state_;
      case HttpHead::State::complete:
        break;
      case HttpHead::State::malformed:
        return fail("its head is malformed: " + head_.wrong());
      case HttpHead::State::long_line:
      case HttpHead::State::long_fields:
        return fail("its head is too long");
    }
    if (!judge_head()) return state_;
    in_body_ = true;
  }
  add_body(data);
  return state_;
}

bool XendResponse::judge_head() {
  status_ = status_of(head_.first_line());
  if (!is_known(status_)) {
    fail("its first line is \"" + base::shortened(head_.first_line(), 128) + '"');
    return false;
  }
  if (head_.count("transfer-encoding") > 0) {
    fail("it has a Transfer-Encoding");
    return false;
  }
  const auto length = head_.content_length();
  if (!length) {
    fail(length.error());
    return false;
  }
  has_length_ = length->has_value();
  if (length->value_or(0) > kLargestBody) {
    fail("its body has " + std::to_string(**length) + " bytes, and " +
         std::to_string(kLargestBody) + " are the most that is taken");
    return false;
  }
  length_ = static_cast<std::size_t>(length->value_or(kLargestBody));
  return true;
}

void XendResponse::add_body(base::Bytes data) {
  const std::size_t room = length_ - body_.size();
  if (!has_length_ && data.size() > room) {
    fail("its body has more than " + std::to_string(kLargestBody) + " bytes");
    return;
  }
  body_ += base::text_of(data.first(std::min(room, data.size())));
  if (has_length_ && body_.size() == length_) state_ = State::complete;
}

XendResponse::State XendResponse::end() {
  if (state_ != State::reading) return state_;
  if (!in_body_) return fail("it ended before its head was complete");
  if (has_length_) {
    return fail("it ended after " + std::to_string(body_.size()) + " of " +
                std::to_string(length_) + " bytes of its body");
  }
  state_ = State::complete;
  return state_;
}

XendResponse::State XendResponse::fail(std::string wrong) {
  wrong_ = std::move(wrong);
  body_.clear();
  return state_ = State::malformed;
}

HttpAnswer XendCleaning::take() {
  if (auto body = scrubber_.take()) return {status_, std::string(kType), std::move(*body)};
  if (!is_success(status_)) {
    std::string text = "xend says " + std::to_string(status_) + ' ';
    return http_text(status_, text.append(http_reason(status_)));
  }
  return http_text(http::kBadGateway,
                   "xend's answer is no S-expression, so its passwords cannot be taken out");
}

HttpAnswer answer_of_xend(const XendQuestion& question, const XendResponse& response) {
  XendCleaning cleaning(question, response);
  cleaning.go_on(response.body().size());
  return cleaning.take();
}

}  // namespace policy

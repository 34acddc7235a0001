// What xend answers. It is trusted no more than a client: its head and body are bounded, and of
// what it sends only the status and an S-expression without passwords go any further.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "policy/http.h"
#include "policy/xend_request.h"

namespace policy {

class XendResponse {
 public:
  static constexpr std::size_t kLongestLine = 1024;
  static constexpr std::size_t kMostFields = 64;
  static constexpr std::size_t kLongestFields = 8192;
  // As libvirt's client bounds it.
  static constexpr std::size_t kLargestBody = 262144;

  enum class State : std::uint8_t {
    reading,
    complete,
    malformed,  // wrong() says how
  };

  // Takes the response from its first byte on, cut anywhere. What follows it is dropped.
  State feed(base::Bytes data);
  // The other side has sent all that it will.
  State end();

  [[nodiscard]] State state() const { return state_; }
  // Safe to show.
  [[nodiscard]] const std::string& wrong() const { return wrong_; }
  // Of complete.
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] const std::string& body() const { return body_; }

 private:
  bool judge_head();
  void add_body(base::Bytes data);
  State fail(std::string wrong);

  State state_ = State::reading;
  HttpHead head_{{kLongestLine, kMostFields, kLongestFields}};
  bool in_body_ = false;
  bool has_length_ = false;
  std::size_t length_ = 0;
  int status_ = 0;
  std::string body_;
  std::string wrong_;
};

// What the client gets for a response that is complete: xend's status, and its S-expression without
// passwords; or 502 with a text that says why there is none.
HttpAnswer answer_of_xend(const XendQuestion& question, const XendResponse& response);

}  // namespace policy

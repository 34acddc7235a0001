// What xend answers. It is trusted no more than a client: its head and body are bounded, and of
// what it sends only the status and an S-expression without passwords go any further.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "policy/http.h"
#include "policy/sexpr.h"
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

// Makes of a response that is complete what the client gets: xend's status, and its S-expression
// without passwords; or 502 with a text that says why there is none.
class XendCleaning {
 public:
  XendCleaning(const XendQuestion& question, const XendResponse& response)
      : status_(response.status()), body_(response.body()), scrubber_(body_, question.answer) {}
  XendCleaning(const XendCleaning&) = delete;
  XendCleaning& operator=(const XendCleaning&) = delete;
  ~XendCleaning() = default;

  // As Scrubber's.
  bool go_on(std::size_t bytes) { return scrubber_.go_on(bytes); }
  HttpAnswer take();
  // xend's own.
  [[nodiscard]] int status() const { return status_; }

 private:
  const int status_;
  const std::string body_;
  Scrubber scrubber_;
};

// All at once.
HttpAnswer answer_of_xend(const XendQuestion& question, const XendResponse& response);

}  // namespace policy

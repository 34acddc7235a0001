// The filter before xend: what of its HTTP interface may be asked. Only GET, and only the paths
// with which libvirt 0.10 and before read from xend:
//   /xend/node/                        the host
//   /xend/domain                       the names of the domains; ?state=halted: of inactive ones;
//                                      ?detail=1: all that there is about each
//   /xend/domain/NAME, UUID or ID      with ?detail=1, or ?op=vcpuinfo
// A request has no body, and nothing of it is sent on: what xend gets is made anew from what has
// been judged.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "policy/http.h"
#include "policy/sexpr.h"

namespace policy {

struct XendQuestion {
  std::string path;  // with its query
  SexprKind answer = SexprKind::nodes;
};

class XendRequest {
 public:
  static constexpr std::size_t kLongestLine = 2048;
  static constexpr std::size_t kMostFields = 64;
  static constexpr std::size_t kLongestFields = 8192;

  enum class State : std::uint8_t {
    reading,
    accepted,
    refused,  // refusal() says why, in a form for the client
  };

  // Takes the request from its first byte on, cut anywhere. What follows it is dropped.
  State feed(base::Bytes data);

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] const XendQuestion& question() const { return question_; }
  [[nodiscard]] const HttpAnswer& refusal() const { return refusal_; }
  // The reason in it.
  [[nodiscard]] const std::string& reason() const { return reason_; }
  // The first line, foreign text, for the log.
  [[nodiscard]] const std::string& first_line() const { return head_.first_line(); }

 private:
  void judge();
  bool judge_line();
  bool judge_method(std::string_view method);
  bool judge_target(std::string_view target);
  bool judge_path(std::string_view path);
  bool judge_query(std::string_view query);
  bool judge_fields();
  bool refuse(int status, std::string text);

  State state_ = State::reading;
  HttpHead head_{{kLongestLine, kMostFields, kLongestFields}};
  bool old_version_ = false;  // HTTP/1.0
  XendQuestion question_;
  HttpAnswer refusal_;
  std::string reason_;
};

// The request to send. `host` is that of the target, and a port where it has one.
std::string xend_request(const XendQuestion& question, std::string_view host);

}  // namespace policy

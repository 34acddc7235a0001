// The head of an HTTP/1.x message (RFC 9112), as much of it as the interface of xend needs: a first
// line, and fields. It is stricter than the RFC wherever that leaves a choice, because two readers
// that choose differently are how requests are smuggled: lines end in CR LF and in nothing else, no
// line is folded, and no control characters occur.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace policy {

// Status codes that the gate gives by itself, of RFC 9110 and RFC 6585.
namespace http {
inline constexpr int kOk = 200;
inline constexpr int kBadRequest = 400;
inline constexpr int kForbidden = 403;
inline constexpr int kNotFound = 404;
inline constexpr int kMethodNotAllowed = 405;
inline constexpr int kRequestTimeout = 408;
inline constexpr int kUriTooLong = 414;
inline constexpr int kFieldsTooLarge = 431;
inline constexpr int kBadGateway = 502;
inline constexpr int kUnavailable = 503;
inline constexpr int kGatewayTimeout = 504;
}  // namespace http

class HttpHead {
 public:
  struct Bounds {
    std::size_t first_line = 0;  // bytes without CR LF
    std::size_t fields = 0;      // how many
    std::size_t bytes = 0;       // of all fields, without CR LF
  };

  enum class State : std::uint8_t {
    reading,
    complete,   // with its empty line
    malformed,  // wrong() says how
    long_line,  // the first
    long_fields,
  };

  struct Field {
    std::string name;  // in lower case
    std::string value;
  };

  explicit HttpHead(Bounds bounds) : bounds_(bounds) {}

  // Takes from the front of `data` what belongs to the head. Once it is not reading, it takes
  // nothing.
  State feed(base::Bytes& data);

  [[nodiscard]] State state() const { return state_; }
  // Of malformed: a sentence without its end, not escaped.
  [[nodiscard]] const std::string& wrong() const { return wrong_; }
  // As far as it has come.
  [[nodiscard]] const std::string& first_line() const { return first_line_; }

  // The value of the first field of this name, which is in lower case; empty: there is none.
  [[nodiscard]] std::string_view find(std::string_view name) const;
  // How many fields have this name, which is in lower case.
  [[nodiscard]] std::size_t count(std::string_view name) const;
  // Content-Length: nothing when there is none; or what is wrong with it.
  [[nodiscard]] base::Result<std::optional<std::uint64_t>, std::string> content_length() const;

 private:
  void take(char c);
  void end_line();
  void add_field();
  void fail(std::string_view wrong);

  const Bounds bounds_;
  State state_ = State::reading;
  bool first_done_ = false;
  bool after_cr_ = false;
  std::string first_line_;
  std::string line_;
  std::size_t bytes_ = 0;
  std::vector<Field> fields_;
  std::string wrong_;
};

// What the gate answers or refuses with.
struct HttpAnswer {
  int status = 200;
  std::string type;  // of the body
  std::string body;
};

// An answer that says `text` to a person. `text` is escaped here, and has no end of line.
HttpAnswer http_text(int status, std::string_view text);

// The whole message: it ends the connection.
base::Buffer encode_http_answer(const HttpAnswer& answer);

// "Not Found" and the like; "Unknown" for those without a name here.
std::string_view http_reason(int status);

}  // namespace policy

#include "policy/http.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"

namespace policy {
namespace {

constexpr std::size_t kLongestLength = 18;  // digits that fit 64 bits
constexpr std::size_t kLongestText = 4096;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool in_token(char c) {
  return is_letter(c) || is_digit(c) ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

char lowered(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

constexpr std::array<std::pair<int, std::string_view>, 16> kReasons = {{
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {414, "URI Too Long"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
}};

}  // namespace

HttpHead::State HttpHead::feed(base::Bytes& data) {
  while (state_ == State::reading && !data.empty()) {
    take(static_cast<char>(data.front()));
    data = data.subspan(1);
  }
  return state_;
}

void HttpHead::take(char c) {
  if (after_cr_) {
    after_cr_ = false;
    return c == '\n' ? end_line() : fail("a CR is not followed by LF");
  }
  if (c == '\r') {
    after_cr_ = true;
    return;
  }
  if (c == '\n') return fail("a line ends in LF without CR");
  if (base::is_control(c) && (c != '\t' || !first_done_)) return fail("it has a control character");
  if (!first_done_) {
    if (first_line_.size() == bounds_.first_line) {
      state_ = State::long_line;
    } else {
      first_line_ += c;
    }
    return;
  }
  if (++bytes_ > bounds_.bytes) {
    state_ = State::long_fields;
    return;
  }
  line_ += c;
}

void HttpHead::end_line() {
  if (!first_done_) {
    first_done_ = true;
    if (first_line_.empty()) fail("its first line is empty");
  } else if (line_.empty()) {
    state_ = State::complete;
  } else {
    add_field();
    line_.clear();
  }
}

void HttpHead::add_field() {
  if (line_.front() == ' ' || line_.front() == '\t') return fail("a line is folded");
  const std::string_view line = line_;
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return fail("a field has no colon");
  Field field;
  field.name = line.substr(0, colon);
  const bool token = std::all_of(field.name.begin(), field.name.end(), in_token);
  if (field.name.empty() || !token) return fail("the name of a field is malformed");
  if (fields_.size() == bounds_.fields) {
    state_ = State::long_fields;
    return;
  }
  std::transform(field.name.begin(), field.name.end(), field.name.begin(), lowered);
  field.value = base::trimmed(line.substr(colon + 1));
  fields_.push_back(std::move(field));
}

void HttpHead::fail(std::string_view wrong) {
  state_ = State::malformed;
  wrong_ = wrong;
}

std::string_view HttpHead::find(std::string_view name) const {
  const auto found = std::find_if(fields_.begin(), fields_.end(),
                                  [&](const Field& field) { return field.name == name; });
  return found == fields_.end() ? std::string_view() : std::string_view(found->value);
}

std::size_t HttpHead::count(std::string_view name) const {
  return static_cast<std::size_t>(std::count_if(
      fields_.begin(), fields_.end(), [&](const Field& field) { return field.name == name; }));
}

base::Result<std::optional<std::uint64_t>, std::string> HttpHead::content_length() const {
  using Length = std::optional<std::uint64_t>;
  constexpr std::string_view kName = "content-length";
  const std::size_t times = count(kName);
  if (times == 0) return Length();
  if (times > 1) return base::Failure{std::string("it has more than one Content-Length")};
  const auto found = std::find_if(fields_.begin(), fields_.end(),
                                  [&](const Field& field) { return field.name == kName; });
  const std::string& text = found->value;
  const bool digits = std::all_of(text.begin(), text.end(), is_digit);
  if (text.empty() || text.size() > kLongestLength || !digits) {
    return base::Failure{"its Content-Length is \"" + base::shortened(text, 64) + '"'};
  }
  std::uint64_t value = 0;
  for (const char c : text) value = value * 10 + static_cast<std::uint64_t>(c - '0');
  return Length(value);
}

HttpAnswer http_text(int status, std::string_view text) {
  return {status, "text/plain; charset=utf-8",
          "virtgate: " + base::printable(text, kLongestText) + '\n'};
}

base::Buffer encode_http_answer(const HttpAnswer& answer) {
  std::string head = "HTTP/1.1 " + std::to_string(answer.status) + ' ';
  head += http_reason(answer.status);
  head += "\r\nContent-Type: " + answer.type;
  head += "\r\nContent-Length: " + std::to_string(answer.body.size());
  head += "\r\nConnection: close\r\n\r\n";
  base::Buffer out;
  out.reserve(head.size() + answer.body.size());
  base::append(out, base::bytes_of(head));
  base::append(out, base::bytes_of(answer.body));
  return out;
}

std::string_view http_reason(int status) {
  for (const auto& [number, reason] : kReasons) {
    if (number == status) return reason;
  }
  return "Unknown";
}

}  // namespace policy

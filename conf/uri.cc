#include "conf/uri.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "conf/parameters.h"
#include "conf/text.h"

namespace conf {
namespace {

// As libxml2 does: a larger one does not parse, whatever the transport would say to it.
constexpr std::uint64_t kLargestPort = 2147483647;

using Allowed = bool (*)(char);

bool is_unreserved(char c) {
  return is_letter(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}
bool is_delimiter(char c) {
  return std::string_view("!$&'()*+,;=").find(c) != std::string_view::npos;
}
bool in_host(char c) { return is_unreserved(c) || is_delimiter(c); }
bool in_user(char c) { return in_host(c) || c == ':'; }
// A zone may be written [fe80::1%eth0] as well as [fe80::1%25eth0].
bool in_brackets(char c) { return in_user(c) || c == '%'; }
bool in_path(char c) { return in_user(c) || c == '@' || c == '/'; }
bool in_query(char c) { return in_path(c) || c == '?'; }
bool in_fragment(char c) { return in_query(c) || c == '[' || c == ']'; }

// The sets that libxml2 leaves unescaped when it writes a URI; they follow an older RFC than those
// it reads with.
bool kept_in_path(char c) {
  return is_letter(c) || is_digit(c) ||
         std::string_view("-_.!~*'()/;@&=+$,").find(c) != std::string_view::npos;
}
bool kept_in_user(char c) {
  return is_letter(c) || is_digit(c) ||
         std::string_view("-_.!~*'();:&=+$,").find(c) != std::string_view::npos;
}
bool kept_in_fragment(char c) {
  return kept_in_path(c) || std::string_view("?:[]").find(c) != std::string_view::npos;
}

bool is_escape(std::string_view text) {
  return text.size() >= 3 && text[0] == '%' && base::hex_digit(text[1]) >= 0 &&
         base::hex_digit(text[2]) >= 0;
}

// A % without two digits behind it stays as it is.
std::string decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    if (is_escape(text)) {
      out += static_cast<char>(base::hex_digit(text[1]) * 16 + base::hex_digit(text[2]));
      text.remove_prefix(3);
    } else {
      out += text[0];
      text.remove_prefix(1);
    }
  }
  return out;
}

void append_encoded(std::string& to, std::string_view text, Allowed kept) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  for (const char c : text) {
    if (kept(c)) {
      to += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    to += '%';
    to += kDigits[byte >> 4];
    to += kDigits[byte & 15];
  }
}

// One pass over the text; each step takes its part from the front, or says what is wrong there.
class UriParser {
 public:
  explicit UriParser(std::string_view text) : text_(text) {}

  base::Result<Uri, UriError> run();

 private:
  using Wrong = std::optional<UriError>;

  Wrong scheme();
  Wrong authority();
  Wrong host();
  Wrong bracketed_host();
  Wrong port();
  Wrong path();
  Wrong query();
  Wrong fragment();
  Wrong decode(std::string_view part, std::string& to) const;
  Wrong parameters(std::string_view raw);
  Wrong add_parameter(std::string_view section);

  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
  [[nodiscard]] bool next_is(char c) const { return !at_end() && text_[at_] == c; }
  [[nodiscard]] bool next_ends_authority() const {
    return at_end() || next_is('/') || next_is('?') || next_is('#');
  }
  std::string_view take_while(Allowed allowed);
  [[nodiscard]] UriError unexpected(std::string_view where) const;
  [[nodiscard]] std::size_t offset_of(std::string_view part) const {
    return static_cast<std::size_t>(part.data() - text_.data());
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Uri uri_;
};

std::string_view UriParser::take_while(Allowed allowed) {
  const std::size_t start = at_;
  while (!at_end()) {
    if (allowed(text_[at_])) {
      ++at_;
    } else if (is_escape(text_.substr(at_))) {
      at_ += 3;
    } else {
      break;
    }
  }
  return text_.substr(start, at_ - start);
}

UriError UriParser::unexpected(std::string_view where) const {
  std::string what;
  if (at_end()) {
    what = "the URI ends";
  } else if (next_is('%')) {
    what = "a percent sign without two hexadecimal digits";
  } else if (next_is(' ')) {
    what = "a space (write it as %20)";
  } else {
    what = "unexpected " + quoted(text_.substr(at_, 1));
  }
  return {what + " in the " + std::string(where), at_};
}

base::Result<Uri, UriError> UriParser::run() {
  using Step = Wrong (UriParser::*)();
  static constexpr std::array<Step, 5> kSteps = {&UriParser::scheme, &UriParser::authority,
                                                 &UriParser::path, &UriParser::query,
                                                 &UriParser::fragment};
  if (text_.size() > kLongestUri) {
    return base::Failure{
        UriError{"the URI is longer than " + std::to_string(kLongestUri) + " bytes", kLongestUri}};
  }
  for (const Step step : kSteps) {
    if (Wrong wrong = (this->*step)()) return base::Failure{std::move(*wrong)};
  }
  return std::move(uri_);
}

UriParser::Wrong UriParser::scheme() {
  while (!at_end() && (is_letter(text_[at_]) || (at_ > 0 && (is_digit(text_[at_]) || next_is('+') ||
                                                             next_is('-') || next_is('.'))))) {
    ++at_;
  }
  if (at_ == 0 || !next_is(':')) {
    return UriError{"the URI does not begin with a driver and a colon, as qemu: does", at_};
  }
  const std::string_view scheme = text_.substr(0, at_++);
  const std::size_t plus = scheme.find('+');
  uri_.driver = scheme.substr(0, plus);
  if (plus == std::string_view::npos) return std::nullopt;
  uri_.transport = lower(scheme.substr(plus + 1));
  if (uri_.transport.empty()) return UriError{"no transport follows the +", plus + 1};
  return std::nullopt;
}

UriParser::Wrong UriParser::authority() {
  if (text_.substr(at_, 2) != "//") return std::nullopt;
  at_ += 2;
  const std::size_t start = at_;
  const std::string_view user = take_while(in_user);
  if (next_is('@')) {
    ++at_;
    if (Wrong wrong = decode(user, uri_.user)) return wrong;
  } else {
    at_ = start;
  }
  if (Wrong wrong = next_is('[') ? bracketed_host() : host()) return wrong;
  if (Wrong wrong = port()) return wrong;
  if (!next_ends_authority()) return unexpected("host");
  return std::nullopt;
}

UriParser::Wrong UriParser::host() {
  const std::size_t start = at_;
  const std::string_view host = take_while(in_host);
  const std::string_view rest = text_.substr(start);
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  if (std::count(authority.begin(), authority.end(), ':') > 1) {
    return UriError{"more than one colon in the host; an IPv6 address needs brackets", at_};
  }
  return decode(host, uri_.host);
}

UriParser::Wrong UriParser::bracketed_host() {
  ++at_;
  const std::string_view host = take_while(in_brackets);
  if (!next_is(']')) return unexpected("address in brackets");
  if (host.empty()) return unexpected("empty brackets");
  ++at_;
  return decode(host, uri_.host);
}

UriParser::Wrong UriParser::port() {
  if (!next_is(':')) return std::nullopt;
  const std::size_t start = ++at_;
  while (!at_end() && is_digit(text_[at_])) ++at_;
  if (at_ == start || !next_ends_authority()) return unexpected("port, which is not a number");
  const auto number = decimal(text_.substr(start, at_ - start), kLargestPort);
  if (!number) return UriError{"the port is too large", start};
  if (!uri_.host.empty()) uri_.port = static_cast<std::uint32_t>(*number);
  return std::nullopt;
}

UriParser::Wrong UriParser::path() {
  const std::string_view path = take_while(in_path);
  if (!at_end() && !next_is('?') && !next_is('#')) return unexpected("path");
  return decode(path, uri_.path);
}

UriParser::Wrong UriParser::query() {
  if (!next_is('?')) return std::nullopt;
  ++at_;
  const std::string_view raw = take_while(in_query);
  if (!at_end() && !next_is('#')) return unexpected("parameters");
  return parameters(raw);
}

UriParser::Wrong UriParser::fragment() {
  if (!next_is('#')) return std::nullopt;
  ++at_;
  const std::string_view fragment = take_while(in_fragment);
  if (!at_end()) return unexpected("fragment");
  return decode(fragment, uri_.fragment);
}

UriParser::Wrong UriParser::decode(std::string_view part, std::string& to) const {
  to = decoded(part);
  if (to.find('\0') == std::string::npos) return std::nullopt;
  return UriError{"%00 stands for a byte that no text may have",
                  offset_of(part) + part.find("%00")};
}

// A ; separates only where no & follows any more: so does libvirt.
UriParser::Wrong UriParser::parameters(std::string_view raw) {
  const std::size_t last_ampersand = raw.rfind('&');
  std::size_t start = 0;
  while (start < raw.size()) {
    const bool more_ampersands =
        last_ampersand != std::string_view::npos && start <= last_ampersand;
    const std::size_t end = std::min(raw.find(more_ampersands ? '&' : ';', start), raw.size());
    if (Wrong wrong = add_parameter(raw.substr(start, end - start))) return wrong;
    start = end + 1;
  }
  return std::nullopt;
}

UriParser::Wrong UriParser::add_parameter(std::string_view section) {
  const std::size_t equals = section.find('=');
  if (section.empty() || equals == 0) return std::nullopt;
  auto& [name, value] = uri_.parameters.emplace_back();
  if (Wrong wrong = decode(section.substr(0, equals), name)) return wrong;
  if (equals == std::string_view::npos) return std::nullopt;
  return decode(section.substr(equals + 1), value);
}

}  // namespace

std::optional<std::string> Uri::parameter(std::string_view name) const {
  for (auto it = parameters.rbegin(); it != parameters.rend(); ++it) {
    if (same_ignoring_case(it->first, name)) return it->second;
  }
  return std::nullopt;
}

base::Result<Uri, UriError> parse_uri(std::string_view text) { return UriParser(text).run(); }

bool is_transport_parameter(std::string_view name) { return find_parameter(name) != nullptr; }

void append_parameter(std::string& uri, std::string_view name, std::string_view value) {
  uri += uri.find('?') == std::string::npos ? '?' : '&';
  uri += name;
  uri += '=';
  append_encoded(uri, value, is_unreserved);
}

void append_path(std::string& uri, std::string_view path) {
  append_encoded(uri, path, kept_in_path);
}

std::string shown_uri(const Uri& uri, std::string_view text) {
  std::string out(text.substr(0, text.find(':')));
  out += "://";
  if (!uri.user.empty()) {
    append_encoded(out, uri.user, kept_in_user);
    out += '@';
  }
  const bool brackets = uri.host.find(':') != std::string::npos;
  out += brackets ? '[' + uri.host + ']' : uri.host;
  if (uri.port != 0) out += ':' + std::to_string(uri.port);
  append_path(out, uri.path);
  const std::string_view rest = text.substr(0, text.find('#'));
  if (const std::size_t query = rest.find('?'); query != std::string_view::npos) {
    out += rest.substr(query);
  }
  if (!uri.fragment.empty()) {
    out += '#';
    append_encoded(out, uri.fragment, kept_in_fragment);
  }
  return out;
}

std::string connect_name(const Uri& uri) {
  if (auto name = uri.parameter("name")) return std::move(*name);
  if (uri.driver == "remote") return {};
  std::string out = uri.driver + "://";
  append_path(out, uri.path);
  for (const auto& [name, value] : uri.parameters) {
    if (!is_transport_parameter(name)) append_parameter(out, name, value);
  }
  if (!uri.fragment.empty()) {
    out += '#';
    append_encoded(out, uri.fragment, kept_in_fragment);
  }
  return out;
}

}  // namespace conf

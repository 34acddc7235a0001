#include "conf/libvirt_conf.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "conf/file.h"
#include "conf/text.h"

namespace conf {
namespace {

constexpr int kDeepestList = 32;
constexpr std::string_view kTripleQuote = "\"\"\"";

enum class Type : std::uint8_t { text, number, list };

struct Value {
  Type type = Type::text;
  std::string_view text;
  std::vector<std::string_view> texts;  // of a list
  bool only_texts = true;               // the list holds nothing else
};

bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool is_line_end(char c) { return c == '\n' || c == '\r'; }

// A step that fails has said why in error_, with the line that it stood on.
class LibvirtConfParser {
 public:
  explicit LibvirtConfParser(std::string_view text) : text_(text) {}

  base::Result<LibvirtConf, LibvirtConfError> run();

 private:
  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
  [[nodiscard]] bool next_is(char c) const { return !at_end() && text_[at_] == c; }
  bool fail(std::string text);
  void skip_blanks();
  void skip_blanks_and_lines();
  void skip_comment();

  bool statement();
  bool separator();
  bool name(std::string_view& to);
  bool value(Value& to, int depth);
  bool list(Value& to, int depth);
  bool item(Value& to, int depth);
  bool number(Value& to);
  bool quoted_text(Value& to);
  bool triple_quoted_text(Value& to);

  bool assign(std::string_view name, const Value& value);
  bool assign_aliases(const Value& value);

  std::string_view text_;
  std::size_t at_ = 0;
  std::uint32_t line_ = 1;
  LibvirtConfError error_;
  LibvirtConf conf_;
  std::vector<std::string_view> assigned_;  // those of our keys that have been
};

bool LibvirtConfParser::fail(std::string text) {
  error_ = {line_, std::move(text)};
  return false;
}

void LibvirtConfParser::skip_blanks() {
  while (!at_end() && is_blank(text_[at_])) ++at_;
}

void LibvirtConfParser::skip_blanks_and_lines() {
  for (; !at_end() && (is_blank(text_[at_]) || is_line_end(text_[at_])); ++at_) {
    if (next_is('\n')) ++line_;
  }
}

void LibvirtConfParser::skip_comment() {
  while (!at_end() && !is_line_end(text_[at_])) ++at_;
}

base::Result<LibvirtConf, LibvirtConfError> LibvirtConfParser::run() {
  if (text_.size() > kLargestLibvirtConf) {
    return base::Failure{LibvirtConfError{0, "larger than 10 MiB"}};
  }
  for (skip_blanks_and_lines(); !at_end(); skip_blanks_and_lines()) {
    if (next_is('#')) {
      skip_comment();
    } else if (!statement()) {
      return base::Failure{std::move(error_)};
    }
  }
  return std::move(conf_);
}

bool LibvirtConfParser::statement() {
  std::string_view key;
  Value to;
  if (!name(key)) return false;
  skip_blanks();
  if (!next_is('=')) return fail("expecting an assignment");
  ++at_;
  skip_blanks();
  if (!value(to, 0)) return false;
  if (!assign(key, to)) return false;
  skip_blanks();
  if (next_is('#')) skip_comment();
  return separator();
}

bool LibvirtConfParser::separator() {
  skip_blanks();
  if (at_end() || is_line_end(text_[at_])) return true;
  if (!next_is(';')) return fail("expecting a separator");
  ++at_;
  return true;
}

bool LibvirtConfParser::name(std::string_view& to) {
  const std::size_t start = at_;
  if (!is_letter(text_[at_])) return fail("expecting a name");
  while (!at_end() && (is_letter(text_[at_]) || is_digit(text_[at_]) || next_is('_'))) ++at_;
  to = text_.substr(start, at_ - start);
  return true;
}

bool LibvirtConfParser::value(Value& to, int depth) {
  if (at_end()) return fail("expecting a value");
  const char c = text_[at_];
  if (text_.substr(at_, kTripleQuote.size()) == kTripleQuote) return triple_quoted_text(to);
  if (c == '"' || c == '\'') return quoted_text(to);
  if (c == '[') return list(to, depth);
  if (is_digit(c) || c == '-' || c == '+') return number(to);
  return fail("expecting a value");
}

bool LibvirtConfParser::list(Value& to, int depth) {
  if (depth == kDeepestList) return fail("lists are nested too deeply");
  to.type = Type::list;
  ++at_;
  skip_blanks_and_lines();
  for (bool first = true; !at_end() && !next_is(']'); first = false) {
    if (!first) {
      if (!next_is(',')) return fail("expecting a separator in list");
      ++at_;
      skip_blanks_and_lines();
      if (next_is(']')) break;
    }
    if (!item(to, depth + 1)) return false;
    skip_blanks_and_lines();
  }
  if (!next_is(']')) return fail("list is not closed with ]");
  ++at_;
  return true;
}

bool LibvirtConfParser::item(Value& to, int depth) {
  Value element;
  if (!value(element, depth)) return false;
  to.only_texts = to.only_texts && element.type == Type::text;
  to.texts.push_back(element.text);
  return true;
}

bool LibvirtConfParser::number(Value& to) {
  to.type = Type::number;
  if (!is_digit(text_[at_])) ++at_;
  const std::size_t start = at_;
  while (!at_end() && is_digit(text_[at_])) ++at_;
  return at_ != start || fail("unterminated number");
}

bool LibvirtConfParser::quoted_text(Value& to) {
  const char quote = text_[at_++];
  const std::size_t start = at_;
  while (!at_end() && !next_is(quote) && !is_line_end(text_[at_])) ++at_;
  if (!next_is(quote)) return fail("unterminated string");
  to.text = text_.substr(start, at_ - start);
  ++at_;
  return true;
}

bool LibvirtConfParser::triple_quoted_text(Value& to) {
  const std::size_t start = at_ + kTripleQuote.size();
  const std::size_t end = text_.find(kTripleQuote, start);
  if (end == std::string_view::npos) return fail("unterminated string");
  to.text = text_.substr(start, end - start);
  line_ += static_cast<std::uint32_t>(std::count(to.text.begin(), to.text.end(), '\n'));
  at_ = end + kTripleQuote.size();
  return true;
}

bool LibvirtConfParser::assign(std::string_view name, const Value& value) {
  const bool ours = name == "uri_aliases" || name == "uri_default" || name == "remote_mode" ||
                    name == "remote_proxy" || name == "tls_priority";
  if (!ours || std::find(assigned_.begin(), assigned_.end(), name) != assigned_.end()) return true;
  assigned_.push_back(name);
  if (value.text.find('\0') != std::string_view::npos) return fail("a string has a NUL byte");
  if (name == "uri_aliases") return assign_aliases(value);
  if (value.type != Type::text) {
    return fail("expected a string for '" + std::string(name) + "' parameter");
  }
  if (name == "uri_default") conf_.uri_default = value.text;
  if (name == "remote_mode") conf_.remote_mode = value.text;
  if (name == "remote_proxy") conf_.remote_proxy = value.text;
  if (name == "tls_priority") conf_.tls_priority = value.text;
  return true;
}

bool LibvirtConfParser::assign_aliases(const Value& value) {
  if (value.type != Type::list || !value.only_texts) {
    return fail("expected a string list for 'uri_aliases' parameter");
  }
  for (const std::string_view text : value.texts) {
    if (text.find('\0') != std::string_view::npos) return fail("a string has a NUL byte");
    conf_.uri_aliases.emplace_back(text);
  }
  return true;
}

bool in_alias(char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '-'; }

}  // namespace

base::Result<LibvirtConf, LibvirtConfError> parse_libvirt_conf(std::string_view text) {
  return LibvirtConfParser(text).run();
}

std::string libvirt_conf_path(const Environment& environment) {
  if (environment.uid == 0) return environment.system_folder + "/libvirt.conf";
  const std::string folder =
      environment.config_home.empty() ? environment.home + "/.config" : environment.config_home;
  return folder + "/libvirt/libvirt.conf";
}

base::Result<LibvirtConf, Mistake> load_libvirt_conf(const Environment& environment) {
  const std::string path = libvirt_conf_path(environment);
  const auto text = read_file(path, kLargestLibvirtConf);
  if (!text && (text.error().code == ENOENT || text.error().code == ENOTDIR)) return LibvirtConf{};
  if (!text) return base::Failure{Mistake{{path}, text.error().text}};
  auto conf = parse_libvirt_conf(*text);
  if (!conf) return base::Failure{Mistake{{path, conf.error().line}, conf.error().text}};
  return std::move(conf).value();
}

base::Result<std::optional<std::string>, std::string> find_alias(const LibvirtConf& conf,
                                                                 std::string_view alias) {
  using Found = std::optional<std::string>;
  for (const std::string_view entry : conf.uri_aliases) {
    const std::size_t equals = entry.find('=');
    if (equals == std::string_view::npos) {
      return base::Failure{"malformed entry " + quoted(entry) +
                           " in uri_aliases of libvirt.conf: it has no ="};
    }
    const std::string_view name = entry.substr(0, equals);
    if (!std::all_of(name.begin(), name.end(), in_alias)) {
      return base::Failure{"malformed entry " + quoted(entry) +
                           " in uri_aliases of libvirt.conf: an alias is of letters, digits, _ "
                           "and - only"};
    }
    if (name == alias) return Found(entry.substr(equals + 1));
  }
  return Found();
}

}  // namespace conf

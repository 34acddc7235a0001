#include "conf/document.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include "base/text.h"
#include "conf/text.h"

namespace conf {
namespace {

LineColumn position_of(const toml::source_region& region) {
  return {region.begin.line, region.begin.column};
}

Node converted(const toml::node& from);

Node converted_table(const toml::table& from) {
  Node out;
  out.kind = NodeKind::table;
  for (const auto& [key, value] : from) {
    Node child = converted(value);
    child.key = key.str();
    child.key_position = position_of(key.source());
    out.children.push_back(std::move(child));
  }
  std::stable_sort(out.children.begin(), out.children.end(), [](const Node& a, const Node& b) {
    return std::tie(a.key_position.line, a.key_position.column) <
           std::tie(b.key_position.line, b.key_position.column);
  });
  return out;
}

Node converted_array(const toml::array& from) {
  Node out;
  out.kind = NodeKind::array;
  for (const toml::node& element : from) out.children.push_back(converted(element));
  return out;
}

Node converted_scalar(const toml::node& from) {
  Node out;
  if (const auto* text = from.as_string()) {
    out.kind = NodeKind::text;
    out.text = text->get();
  } else if (const auto* integer = from.as_integer()) {
    out.kind = NodeKind::integer;
    out.integer = integer->get();
  } else if (const auto* boolean = from.as_boolean()) {
    out.kind = NodeKind::boolean;
    out.boolean = boolean->get();
  } else {
    out.kind = from.is_floating_point() ? NodeKind::number : NodeKind::time;
  }
  return out;
}

// The library bounds how deep a text may nest.
Node converted(const toml::node& from) {
  Node out = from.is_table()   ? converted_table(*from.as_table())
             : from.is_array() ? converted_array(*from.as_array())
                               : converted_scalar(from);
  out.position = position_of(from.source());
  out.key_position = out.position;
  return out;
}

std::string_view line_of(std::string_view text, std::uint32_t number) {
  for (std::uint32_t line = 1; line < number; ++line) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  return text.substr(0, text.find('\n'));
}

// A key may be written with quotes here and without them there.
std::string_view without_quotes(std::string_view key) {
  const bool quotes =
      key.size() > 1 && (key.front() == '"' || key.front() == '\'') && key.front() == key.back();
  return quotes ? key.substr(1, key.size() - 2) : key;
}

// The first line before `line`, in the same table as far as that can be seen, that gives the key a
// value.
std::uint32_t first_with_key(std::string_view text, std::string_view key, std::uint32_t line) {
  std::uint32_t found = 0;
  for (std::uint32_t at = 1; at < line; ++at) {
    std::string_view one = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(one.size() + 1, text.size()));
    one.remove_prefix(std::min(one.find_first_not_of(" \t"), one.size()));
    if (one.starts_with('[')) found = 0;
    one = one.substr(0, one.find('='));
    one = one.substr(0, one.find_last_not_of(" \t") + 1);
    if (found == 0 && without_quotes(one) == without_quotes(key)) found = at;
  }
  return found;
}

// The library has read a key and its = before it finds that the key was there already; what to look
// at is the key, which its own text does not always spell right.
void describe_repeated_key(std::string_view text, SyntaxError& error) {
  std::string_view key = line_of(text, error.position.line).substr(0, error.position.column - 1);
  const std::size_t end = key.find_last_not_of(" \t=");
  if (end == std::string_view::npos) return;
  key = key.substr(0, end + 1);
  const std::size_t start = key.find_last_of(" \t{,\n") + 1;
  error.position.column = static_cast<std::uint32_t>(start + 1);
  key.remove_prefix(start);
  const std::uint32_t first = first_with_key(text, key, error.position.line);
  error.text = "the key " + base::shortened(key) + " is defined twice";
  if (first != 0) error.text += "; first at line " + std::to_string(first);
}

// The library stops somewhere in the number or behind it.
void describe_leading_zero(std::string_view line, SyntaxError& error) {
  std::size_t start = std::min<std::size_t>(error.position.column - 1, line.size());
  while (start > 0 && is_digit(line[start - 1])) --start;
  std::string_view number = line.substr(start);
  number = number.substr(0, number.find_first_not_of("0123456789"));
  error.position.column = static_cast<std::uint32_t>(start + 1);
  error.text = "a number cannot begin with 0; write an octal mode in quotes: \"" +
               base::shortened(number) + '"';
}

// Those of word processors, and of web pages that mean to look better.
bool is_curly_quote(std::string_view text) {
  constexpr std::array<std::string_view, 5> kCurly = {"\u201c", "\u201d", "\u201e", "\u2018",
                                                      "\u2019"};
  return std::ranges::any_of(kCurly, [&](std::string_view one) { return text.starts_with(one); });
}

// The library's words for what people do wrong most often are about the grammar of TOML.
void describe(std::string_view text, std::string_view description, SyntaxError& error) {
  const auto says = [&](std::string_view words) {
    return description.find(words) != std::string_view::npos;
  };
  const std::string_view line = line_of(text, error.position.line);
  if (error.position.column == 0) return;
  const std::size_t column = error.position.column - 1;
  const bool at_end = column >= line.size() || line[column] == '\r';
  if (says("pair: cannot redefine")) return describe_repeated_key(text, error);
  if (says("leading zeroes")) {
    describe_leading_zero(line, error);
  } else if (says("parsing string") && (at_end || says("end-of-file"))) {
    error.text = "the string is not closed; add a quote at its end";
  } else if (says("parsing table header") || says("parsing array-of-tables")) {
    if (at_end || says("end-of-file")) {
      error.text = line.find("[[") == std::string_view::npos
                       ? "the heading is not closed; write it as [NAME]"
                       : "the heading is not closed; write it as [[NAME]]";
    }
  } else if (says("expected value, saw") && at_end) {
    error.text = "the key has no value";
  } else if (says("determine value type") && is_curly_quote(line.substr(column))) {
    error.text = "a string needs straight quotes: \"...\"";
  }
}

// The library escapes what it quotes; errors are escaped again where they are shown.
std::string without_escapes(std::string text) {
  constexpr std::string_view kEscapes = "bfnrte\\";
  constexpr std::string_view kMeanings = "\b\f\n\r\t\x1b\\";
  for (std::size_t at = 0; (at = text.find('\\', at)) != std::string::npos; ++at) {
    const std::size_t which = at + 1 < text.size() ? kEscapes.find(text[at + 1]) : kEscapes.npos;
    if (which != kEscapes.npos) text.replace(at, 2, 1, kMeanings[which]);
  }
  return text;
}

SyntaxError syntax_error(const toml::parse_error& error, std::string_view text) {
  const std::string_view description = error.description();
  SyntaxError out{position_of(error.source()), without_escapes(base::shortened(description))};
  describe(text, description, out);
  return out;
}

void name_elements(Node& node) {
  for (Node& child : node.children) {
    if (node.kind == NodeKind::array) child.key = node.key;
    name_elements(child);
  }
}

}  // namespace

std::string_view to_string(NodeKind kind) {
  switch (kind) {
    case NodeKind::table:
      return "a table";
    case NodeKind::array:
      return "a list";
    case NodeKind::text:
      return "a string";
    case NodeKind::integer:
      return "an integer";
    case NodeKind::number:
      return "a number with a fraction";
    case NodeKind::boolean:
      return "true or false";
    case NodeKind::time:
      return "a date or time";
  }
  return "";
}

const Node* Node::find(std::string_view name) const {
  for (const Node& child : children) {
    if (child.key == name) return &child;
  }
  return nullptr;
}

base::Result<Node, SyntaxError> parse_document(std::string_view text) {
  const toml::parse_result result = toml::parse(text);
  if (!result) return base::Failure{syntax_error(result.error(), text)};
  Node root = converted(result.table());
  name_elements(root);
  return root;
}

}  // namespace conf

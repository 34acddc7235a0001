#include "conf/document.h"

#include <algorithm>
#include <tuple>
#include <utility>

#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include "base/text.h"

namespace conf {
namespace {

Position position_of(const toml::source_region& region) {
  return {region.begin.line, region.begin.column};
}

Node converted(const toml::node& from);

Node converted_table(const toml::table& from) {
  Node out;
  out.kind = Kind::table;
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
  out.kind = Kind::array;
  for (const toml::node& element : from) out.children.push_back(converted(element));
  return out;
}

Node converted_scalar(const toml::node& from) {
  Node out;
  if (const auto* text = from.as_string()) {
    out.kind = Kind::text;
    out.text = text->get();
  } else if (const auto* integer = from.as_integer()) {
    out.kind = Kind::integer;
    out.integer = integer->get();
  } else if (const auto* boolean = from.as_boolean()) {
    out.kind = Kind::boolean;
    out.boolean = boolean->get();
  } else {
    out.kind = from.is_floating_point() ? Kind::number : Kind::time;
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

// The library has read a key and its = before it finds that the key was there already; what to look
// at is the key, which its own text does not always spell right.
void describe_repeated_key(std::string_view text, SyntaxError& error) {
  for (std::uint32_t line = 1; line < error.position.line; ++line) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
  std::string_view key = text.substr(0, error.position.column - 1);
  const std::size_t end = key.find_last_not_of(" \t=");
  if (end == std::string_view::npos) return;
  key = key.substr(0, end + 1);
  const std::size_t start = key.find_last_of(" \t{,\n") + 1;
  error.position.column = static_cast<std::uint32_t>(start + 1);
  error.text = "the key " + base::printable(key.substr(start)) + " is there already";
}

SyntaxError syntax_error(const toml::parse_error& error, std::string_view text) {
  const std::string_view description = error.description();
  SyntaxError out{position_of(error.source()), base::printable(description)};
  // What the library quotes it has escaped already.
  for (std::size_t at = 0; (at = out.text.find("\\\\", at)) != std::string::npos; ++at) {
    out.text.erase(at, 1);
  }
  if (description.find("pair: cannot redefine") != std::string_view::npos) {
    describe_repeated_key(text, out);
  }
  return out;
}

void name_elements(Node& node) {
  for (Node& child : node.children) {
    if (node.kind == Kind::array) child.key = node.key;
    name_elements(child);
  }
}

}  // namespace

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::table:
      return "a table";
    case Kind::array:
      return "a list";
    case Kind::text:
      return "a text";
    case Kind::integer:
      return "an integer";
    case Kind::number:
      return "a number with a fraction";
    case Kind::boolean:
      return "true or false";
    case Kind::time:
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

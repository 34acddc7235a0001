#include "policy/document.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace policy {
namespace {

constexpr std::string_view kBlank = " \t\r\n";
constexpr std::size_t kMaxBlankLines = 64;
constexpr std::size_t kMaxElements = 2048;
constexpr std::size_t kMaxAttributes = 32;
// Of all elements together. Those of a processor have some two thousand; the longest document could
// hold 13,000, and a call has many documents, which the loop and the daemon go through.
constexpr std::size_t kMaxAllAttributes = 8192;
constexpr std::size_t kMaxDepth = 32;

bool take(std::string_view& text, std::string_view token) {
  if (!text.starts_with(token)) return false;
  text.remove_prefix(token.size());
  return true;
}

void skip_blank(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
}

bool equal_without_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

// `text` begins behind the word "encoding".
bool is_plain_encoding(std::string_view text) {
  skip_blank(text);
  if (!take(text, "=")) return false;
  skip_blank(text);
  if (text.empty() || (text[0] != '"' && text[0] != '\'')) return false;
  const std::size_t end = text.find(text[0], 1);
  if (end == std::string_view::npos) return false;
  const std::string_view name = text.substr(1, end - 1);
  static constexpr std::array<std::string_view, 3> kPlain = {"utf-8", "us-ascii", "ascii"};
  return std::any_of(kPlain.begin(), kPlain.end(),
                     [&](std::string_view plain) { return equal_without_case(name, plain); });
}

bool declares_plain_encoding(std::string_view document) {
  if (!take(document, "<?xml")) return true;
  const std::string_view declaration = document.substr(0, document.find("?>"));
  const std::size_t at = declaration.find("encoding");
  return at == std::string_view::npos || is_plain_encoding(declaration.substr(at + 8));
}

bool has_document_type(std::string_view document) {
  for (std::size_t at = document.find("<!"); at != std::string_view::npos;
       at = document.find("<!", at + 2)) {
    const std::string_view behind = document.substr(at + 2);
    if (!behind.starts_with("--") && !behind.starts_with("[CDATA[")) return true;
  }
  return false;
}

bool has_many_blank_lines(std::string_view document) {
  std::size_t lines = 0;
  for (const char c : document) {
    if (c == '\n' || c == '\r') {
      if (++lines > kMaxBlankLines) return true;
    } else if (c != ' ' && c != '\t') {
      lines = 0;
    }
  }
  return false;
}

// Counts what could be an element or an attribute to any parser, whatever comments and quotes make
// of it: that is never too little, since neither can do without its "<" or "=".
class Cost {
 public:
  // `next` is behind `at`; 0 where the document ends. Empty: it may go on.
  std::string_view add(char at, char next) {
    if (at == '=') return add_attribute();
    if (at == '/' && next == '>') leave();
    if (at != '<') return {};
    attributes_ = 0;
    if (next == '/') leave();
    if (next == '/' || next == '!' || next == '?') return {};
    if (++elements_ > kMaxElements) return "has too many elements";
    if (++depth_ > kMaxDepth) return "is nested too deeply";
    return {};
  }

 private:
  std::string_view add_attribute() {
    if (++attributes_ > kMaxAttributes) return "has an element with too many attributes";
    if (++all_attributes_ > kMaxAllAttributes) return "has too many attributes";
    return {};
  }
  void leave() {
    if (depth_ > 0) --depth_;
  }

  std::size_t elements_ = 0;
  std::size_t attributes_ = 0;  // of the element
  std::size_t all_attributes_ = 0;
  std::size_t depth_ = 0;
};

// A character costs a few comparisons, since this is done in the loop for as many as a call has.
std::string_view costs_too_much(std::string_view document) {
  Cost cost;
  for (std::size_t i = 0; i < document.size(); ++i) {
    const char at = document[i];
    if (at != '=' && at != '<' && at != '/') continue;
    const std::string_view wrong = cost.add(at, i + 1 < document.size() ? document[i + 1] : '\0');
    if (!wrong.empty()) return wrong;
  }
  return {};
}

}  // namespace

std::string_view objection_to(std::string_view document) {
  std::string_view start = document;
  if (!take(start, "\xef\xbb\xbf")) skip_blank(start);
  if (!start.starts_with('<')) return "does not begin as an XML document";
  if (!declares_plain_encoding(start)) return "has an encoding other than UTF-8";
  if (has_document_type(document)) return "has a document type or other declarations";
  if (has_many_blank_lines(document)) return "has too many blank lines";
  return costs_too_much(document);
}

}  // namespace policy

#include "policy/sexpr.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"

namespace policy {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::string_view kNotInAtoms = "()\"'\\#{}<>[]!;`";

constexpr std::array<bool, 256> table_of(std::string_view characters) {
  std::array<bool, 256> out{};
  for (const char c : characters) out[static_cast<unsigned char>(c)] = true;
  return out;
}

constexpr std::array<bool, 256> kIsBlank = table_of(kBlanks);
constexpr std::array<bool, 256> kEndsAtoms = table_of(kNotInAtoms);

bool is_blank(char c) { return kIsBlank[static_cast<unsigned char>(c)]; }

bool in_atom(char c) {
  return c != ' ' && !base::is_control(c) && !kEndsAtoms[static_cast<unsigned char>(c)];
}

bool ends_with_ignoring_case(std::string_view text, std::string_view end) {
  if (text.size() < end.size()) return false;
  const std::string_view tail = text.substr(text.size() - end.size());
  return std::equal(tail.begin(), tail.end(), end.begin(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

bool is_secret(std::string_view key) {
  const bool is_quoted = key.front() == '\'' || key.front() == '"';
  if (is_quoted) key = key.substr(1, key.size() - 2);
  return key.find('\\') != std::string_view::npos || ends_with_ignoring_case(key, "passwd") ||
         ends_with_ignoring_case(key, "password");
}

}  // namespace

bool Scrubber::go_on(std::size_t bytes) {
  const std::size_t begun = at_;
  while (at_ < text_.size() && !wrong_) {
    if (at_ - begun >= bytes) return false;
    wrong_ = !step();
  }
  return true;
}

bool Scrubber::step() {
  const char c = text_[at_];
  if (is_blank(c)) {
    copy(at_ + 1);
    return true;
  }
  return c == '(' ? open() : c == ')' ? close() : token();
}

std::optional<std::string> Scrubber::take() {
  if (wrong_ || !lists_.empty() || out_.find('(') == std::string::npos) return std::nullopt;
  return std::move(out_);
}

void Scrubber::copy(std::size_t end) {
  out_ += text_.substr(at_, end - at_);
  at_ = end;
  gap_ = false;
}

void Scrubber::separate() {
  if (gap_) out_ += ' ';
}

bool Scrubber::open() {
  if (lists_.size() == kDeepestSexpr) return false;
  List list;
  if (!lists_.empty()) {
    list.is_first = !lists_.back().has_first;
    lists_.back().has_first = true;
  }
  separate();
  list.start = out_.size();
  lists_.push_back(list);
  copy(at_ + 1);
  return true;
}

// A node that turns out to be secret is cut off the copy again when it ends.
bool Scrubber::close() {
  if (lists_.empty()) return false;
  copy(at_ + 1);
  const List list = lists_.back();
  lists_.pop_back();
  if (!list.secret) return true;
  out_.resize(list.start);
  while (!out_.empty() && is_blank(out_.back())) out_.pop_back();
  // What follows must neither grow together with what is before, nor be a key that was not judged.
  gap_ = !out_.empty() && out_.back() != '(';
  if (!lists_.empty() && list.is_first) lists_.back().has_first = false;
  return true;
}

bool Scrubber::token() {
  const std::size_t end = token_end();
  if (lists_.empty() || end == std::string_view::npos) return false;
  List& list = lists_.back();
  const bool is_name = kind_ == SexprKind::names && lists_.size() == 1;
  if (!list.has_first && !is_name) list.secret = is_secret(text_.substr(at_, end - at_));
  list.has_first = true;
  separate();
  copy(end);
  return true;
}

// npos: there is no token here, or something clings to it.
std::size_t Scrubber::token_end() const {
  std::size_t end = at_;
  if (text_[at_] == '\'' || text_[at_] == '"') {
    end = string_end();
    if (end == std::string_view::npos) return end;
  } else {
    while (end < text_.size() && in_atom(text_[end])) ++end;
    if (end == at_) return std::string_view::npos;
  }
  const bool stands_alone =
      end == text_.size() || is_blank(text_[end]) || text_[end] == '(' || text_[end] == ')';
  return stands_alone ? end : std::string_view::npos;
}

std::size_t Scrubber::string_end() const {
  bool escaped = false;
  for (std::size_t end = at_ + 1; end < text_.size(); ++end) {
    const char c = text_[end];
    if (base::is_control(c) && !is_blank(c)) break;
    if (c == text_[at_] && !escaped) return end + 1;
    escaped = c == '\\' && !escaped;
  }
  return std::string_view::npos;
}

std::optional<std::string> without_passwords(std::string_view text, SexprKind kind) {
  Scrubber scrubber(text, kind);
  scrubber.go_on(text.size());
  return scrubber.take();
}

}  // namespace policy

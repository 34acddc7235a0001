#include "policy/sexpr.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/text.h"

namespace policy {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::string_view kNotInAtoms = "()\"'\\#{}<>[]!;`";

bool is_blank(char c) { return kBlanks.find(c) != std::string_view::npos; }

bool in_atom(char c) {
  return c != ' ' && !base::is_control(c) && kNotInAtoms.find(c) == std::string_view::npos;
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

// Goes over the text once, copying as it goes; a node that turns out to be secret is cut off the
// copy again when it ends.
class Scrubber {
 public:
  Scrubber(std::string_view text, SexprKind kind) : text_(text), kind_(kind) {}

  bool run();
  std::string take() { return std::move(out_); }

 private:
  struct List {
    std::size_t start = 0;   // in the copy
    bool is_first = false;   // in the list around it
    bool has_first = false;  // of its own elements
    bool secret = false;
  };

  bool open();
  bool close();
  bool token();
  [[nodiscard]] std::size_t token_end() const;
  [[nodiscard]] std::size_t string_end() const;
  void copy(std::size_t end);
  void separate();

  std::string_view text_;
  SexprKind kind_;
  std::size_t at_ = 0;
  std::string out_;
  bool gap_ = false;  // something has just been left out
  std::vector<List> lists_;
};

bool Scrubber::run() {
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (is_blank(c)) {
      copy(at_ + 1);
    } else if (!(c == '(' ? open() : c == ')' ? close() : token())) {
      return false;
    }
  }
  return lists_.empty() && out_.find('(') != std::string::npos;
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

}  // namespace

std::optional<std::string> without_passwords(std::string_view text, SexprKind kind) {
  Scrubber scrubber(text, kind);
  if (!scrubber.run()) return std::nullopt;
  return scrubber.take();
}

}  // namespace policy

// Reply signatures: what a daemon sends back for a procedure, and what an event's message holds.
//
//   reply  := "-" | item { " " item }
//   item   := name ":" type [ "?" | "[" count "]" | "[.." count "]" ]
//   type   := word | "{" item { " " item } "}"
//
// "-" is nothing at all, "?" an optional of XDR, "[count]" exactly that many elements without a
// count before them, "[..count]" at most that many behind their count. The braces hold the members
// of each element of an array; a structure that is in no array is only its members, one after the
// other. `opaque` comes as an array of bytes alone, `param` is a typed parameter. Bounds are those
// of libvirt's protocol files, 11.3.
//
// Compiled as argument signatures are: a mistake is a compile error.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "policy/signature.h"

namespace policy {

enum class ReplyType : std::uint8_t {
  int_,
  uint,
  hyper,
  uhyper,
  char_,   // a word, as XDR has small numbers
  uchar,   // likewise
  ushort,  // likewise
  string,
  opaque,
  param,   // a name, and a value behind its type
  object,  // one of kLayouts: a domain, a network...
  group,   // the items that follow, once for each element
};

enum class ReplyShape : std::uint8_t { single, optional, fixed, counted };

struct ReplyItem {
  std::string_view name;
  ReplyType type = ReplyType::int_;
  ReplyShape shape = ReplyShape::single;
  ArgumentType object = ArgumentType::int_;  // of an object: which
  std::uint8_t members = 0;                  // of a group: how many items follow that are within
  std::uint32_t bound = 1;                   // of elements
};

inline constexpr std::size_t kMaxReplyItems = 16;

struct ReplySignature {
  std::array<ReplyItem, kMaxReplyItems> items;
  std::size_t count = 0;

  [[nodiscard]] constexpr std::span<const ReplyItem> all() const {
    return std::span(items).first(count);
  }
};

namespace detail {

class ReplyParser : public SignatureScanner {
 public:
  using SignatureScanner::SignatureScanner;

  constexpr ReplySignature parse() {
    if (!rest_.empty() && !take("-")) items();
    if (!rest_.empty()) good_ = false;
    return reply_;
  }

 private:
  static constexpr bool in_name(char c) { return is_small(c) || is_capital(c); }

  constexpr void items() {
    do {
      if (good_) item();
    } while (good_ && take(" "));
  }

  constexpr void item() {
    if (reply_.count == kMaxReplyItems) {
      good_ = false;
      return;
    }
    ReplyItem& item = reply_.items[reply_.count++];
    item.name = some(in_name);
    expect(":");
    if (take("{")) {
      group(item);
    } else {
      type(item);
    }
    shape(item);
    if (item.type == ReplyType::group && item.shape != ReplyShape::counted) good_ = false;
    if (item.type == ReplyType::opaque && item.shape != ReplyShape::counted) good_ = false;
  }

  constexpr void group(ReplyItem& item) {
    const std::size_t first = reply_.count;
    item.type = ReplyType::group;
    items();
    expect("}");
    item.members = static_cast<std::uint8_t>(reply_.count - first);
  }

  constexpr void type(ReplyItem& item) {
    constexpr std::array<std::string_view, 10> kWords{
        "int", "uint", "hyper", "uhyper", "char", "uchar", "ushort", "string", "opaque", "param"};
    const std::string_view name = word();
    for (std::size_t i = 0; i < kWords.size(); ++i) {
      if (kWords[i] != name) continue;
      item.type = static_cast<ReplyType>(i);
      return;
    }
    for (auto i = static_cast<std::size_t>(ArgumentType::domain); i < kLayouts.size(); ++i) {
      if (kLayouts[i].word != name) continue;
      item.type = ReplyType::object;
      item.object = static_cast<ArgumentType>(i);
      return;
    }
    good_ = false;
  }

  constexpr void shape(ReplyItem& item) {
    if (take("?")) {
      item.shape = ReplyShape::optional;
      return;
    }
    if (!take("[")) return;
    item.shape = take("..") ? ReplyShape::counted : ReplyShape::fixed;
    item.bound = static_cast<std::uint32_t>(digits(10));
    if (item.bound == 0) good_ = false;
    expect("]");
  }

  ReplySignature reply_;
};

}  // namespace detail

constexpr bool is_reply(std::string_view text) { return detail::parses<detail::ReplyParser>(text); }

consteval ReplySignature compile_reply(std::string_view text) {
  return detail::compile<detail::ReplyParser>(text);
}

}  // namespace policy

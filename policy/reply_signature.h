// Reply signatures: what a daemon sends back for a procedure, and what an event's message holds.
//
//   reply  := "-" | item { " " item }
//   item   := name ":" type [ "?" | "[" count "]" | "[.." count "]" | "=" list ]
//   type   := word | "{" item { " " item } "}"
//
// "-" is nothing at all, "?" an optional of XDR, "[count]" exactly that many elements without a
// count before them, "[..count]" at most that many behind their count. The braces hold the members
// of each element of an array; a structure that is in no array is only its members, one after the
// other. `opaque` comes as an array of bytes alone, `param` is a typed parameter, and an array of
// `char` is a text that ends in NUL. Bounds are those of libvirt's protocol files, 11.3.
//
// "=list" is behind a number that says how much there is in the first list of the reply, or where
// the call asked for that number alone, how much there would be: elements; of an opaque, bits; of
// parameters, those of each processor.
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

// What a number says of the first list.
enum class ReplyTotal : std::uint8_t { nothing, elements, bits, each };

struct ReplyItem {
  std::string_view name;
  ReplyType type = ReplyType::int_;
  ReplyShape shape = ReplyShape::single;
  ArgumentType object = ArgumentType::int_;  // of an object: which
  ReplyTotal total = ReplyTotal::nothing;
  std::uint8_t members = 0;  // of a group: how many items follow that are within
  std::uint32_t bound = 1;   // of elements
};

inline constexpr std::size_t kMaxReplyItems = 16;
// Of items in groups, with those that are in none.
inline constexpr std::size_t kMaxReplyDepth = 3;

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
    if (item.shape == ReplyShape::counted && depth_ == 0 && list_ == nullptr) list_ = &item;
  }

  constexpr void group(ReplyItem& item) {
    const std::size_t first = reply_.count;
    item.type = ReplyType::group;
    if (++depth_ == kMaxReplyDepth) good_ = false;
    items();
    --depth_;
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
    if (take("=")) return total(item);
    if (!take("[")) return;
    item.shape = take("..") ? ReplyShape::counted : ReplyShape::fixed;
    item.bound = static_cast<std::uint32_t>(digits(10));
    if (item.bound == 0) good_ = false;
    expect("]");
  }

  constexpr void total(ReplyItem& item) {
    const std::string_view name = some(in_name);
    const bool is_number = item.type == ReplyType::int_ || item.type == ReplyType::uint;
    if (!is_number || depth_ != 0 || list_ == nullptr || list_->name != name) {
      good_ = false;
      return;
    }
    item.total = list_->type == ReplyType::opaque  ? ReplyTotal::bits
                 : list_->type == ReplyType::param ? ReplyTotal::each
                                                   : ReplyTotal::elements;
  }

  ReplySignature reply_;
  std::size_t depth_ = 0;
  const ReplyItem* list_ = nullptr;  // the first that is in no group
};

}  // namespace detail

constexpr bool is_reply(std::string_view text) { return detail::parses<detail::ReplyParser>(text); }

consteval ReplySignature compile_reply(std::string_view text) {
  return detail::compile<detail::ReplyParser>(text);
}

}  // namespace policy

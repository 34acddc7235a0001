// What the reply of a procedure carries that a rule can hide: a column of the table.
//
//   carried := "" | "-" | value { " " value }
//   value   := name ":" ( "<" root ">" | [ "?" | "!" ] class { "," class } )
//
// "" is for replies without any text, "-" for those of whose texts none is of a class. Otherwise
// there are the names of items of the reply, each with what it is: a description with that
// outermost element, of which places.h knows the rest; or a value of these classes. "?" is for a
// text that is of the class if it has a slash in it; "!" says that without this value the reply
// would be of no use, so that it is refused. Of typed parameters, those are meant that
// cut_reply() knows by their names; of a volume its key, of a secret its usage.
//
// Compiled as signatures are: a mistake is a compile error, and so is a reply with a text of which
// the column says nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "policy/redact/hidden.h"
#include "policy/reply_signature.h"
#include "policy/signature.h"

namespace policy {

enum class Carrying : std::uint8_t { description, value, with_slash, all };

struct CarriedValue {
  std::size_t item = 0;  // of the reply
  Carrying how = Carrying::value;
  HiddenSet classes;
  std::string_view root;  // of a description
};

inline constexpr std::size_t kMaxCarried = 6;

struct Carried {
  std::array<CarriedValue, kMaxCarried> values;
  std::size_t count = 0;
  bool said = false;  // the column is not empty
  HiddenSet classes;  // of all values

  [[nodiscard]] constexpr std::span<const CarriedValue> all() const {
    return std::span(values).first(count);
  }
};

// Whether libvirt says with the item what is not a number or the name of an object.
constexpr bool holds_text(const ReplyItem& item) {
  switch (item.type) {
    case ReplyType::string:
    case ReplyType::param:
      return true;
    case ReplyType::char_:
      return item.shape == ReplyShape::counted;
    case ReplyType::object:
      return item.object == ArgumentType::volume || item.object == ArgumentType::secret ||
             item.object == ArgumentType::interface || item.object == ArgumentType::binding ||
             item.object == ArgumentType::node_device;
    default:
      return false;
  }
}

constexpr bool holds_text(const ReplySignature& reply) {
  for (const ReplyItem& item : reply.all()) {
    if (holds_text(item)) return true;
  }
  return false;
}

namespace detail {

class CarriedParser : public SignatureScanner {
 public:
  constexpr CarriedParser(std::string_view text, const ReplySignature& reply)
      : SignatureScanner(text), reply_(reply) {}

  constexpr Carried parse() {
    carried_.said = !rest_.empty();
    if (!rest_.empty() && !take("-")) {
      do {
        if (good_) value();
      } while (good_ && take(" "));
    }
    if (!rest_.empty()) good_ = false;
    return carried_;
  }

 private:
  static constexpr bool in_name(char c) { return is_small(c) || is_capital(c); }

  constexpr void value() {
    if (carried_.count == kMaxCarried) {
      good_ = false;
      return;
    }
    CarriedValue& value = carried_.values[carried_.count++];
    value.item = item(some(in_name));
    expect(":");
    if (!good_) return;
    if (take("<")) {
      value.how = Carrying::description;
      value.classes = HiddenSet::everything();
      value.root = word();
      expect(">");
      if (reply_.items[value.item].type != ReplyType::string) good_ = false;
    } else {
      if (take("?"))
        value.how = Carrying::with_slash;
      else if (take("!"))
        value.how = Carrying::all;
      do {
        one_class(value);
      } while (good_ && take(","));
    }
    carried_.classes = carried_.classes.with(value.classes);
  }

  constexpr std::size_t item(std::string_view name) {
    for (std::size_t i = 0; i < reply_.count; ++i) {
      if (reply_.items[i].name == name && holds_text(reply_.items[i])) return i;
    }
    good_ = false;
    return 0;
  }

  constexpr void one_class(CarriedValue& value) {
    const auto found = find_hidden(word());
    if (!found || value.classes.has(*found)) {
      good_ = false;
      return;
    }
    value.classes.add(*found);
  }

  const ReplySignature& reply_;
  Carried carried_;
};

}  // namespace detail

constexpr bool is_carried(std::string_view text, const ReplySignature& reply) {
  detail::CarriedParser parser(text, reply);
  parser.parse();
  return parser.good();
}

consteval Carried compile_carried(std::string_view text, const ReplySignature& reply) {
  detail::CarriedParser parser(text, reply);
  const Carried carried = parser.parse();
  if (!parser.good()) detail::malformed_signature();
  return carried;
}

}  // namespace policy

// Signatures: what arguments a procedure takes, and which values of each may pass.
//
//   signature  := "" | argument { " " argument }
//   argument   := name ":" type [ "?" | "[" count "]" ] [ "{" values "}" ]
//   values     := low ".." high | number { "," number } | "0x" mask
//
// "?" is an optional of XDR, "[count]" an array of at most that many elements. The values are a
// range, a set of at most four numbers, or the bits that may be set; they can be given for a single
// int or uint only, and without them any value passes. As an example, this is DOMAIN_GET_METADATA:
//
//   "dom:domain type:int{0..2} uri:string? flags:uint{0x3}"
//
// The parser runs while the table is compiled; a signature that it does not take is a compile
// error.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

namespace policy {

// The types of remote_protocol.x, by the words that signatures use for them.
enum class ArgumentType : std::uint8_t {
  int_,
  uint,
  string,    // a name, a path, a key: at most kMaxString bytes
  document,  // an XML document: at most kMaxDocument bytes in all of the call's documents
  uuid,
  domain,
  network,
  nwfilter,
  pool,
  volume,
  interface,
  node_device,
  secret,
  snapshot,
  checkpoint,
  binding,  // of a network filter
  port,     // of a network
};

// What the types are made of.
enum class Field : std::uint8_t { int_, uint, string, document, uuid };

struct Layout {
  std::string_view word;
  std::array<Field, 4> fields;
  std::size_t count;
  std::size_t title;  // the field that names the object to people
};

inline constexpr std::array<Layout, 17> kLayouts = {{
    {"int", {Field::int_}, 1, 0},
    {"uint", {Field::uint}, 1, 0},
    {"string", {Field::string}, 1, 0},
    {"document", {Field::document}, 1, 0},
    {"uuid", {Field::uuid}, 1, 0},
    {"domain", {Field::string, Field::uuid, Field::int_}, 3, 0},
    {"network", {Field::string, Field::uuid}, 2, 0},
    {"nwfilter", {Field::string, Field::uuid}, 2, 0},
    {"pool", {Field::string, Field::uuid}, 2, 0},
    {"volume", {Field::string, Field::string, Field::string}, 3, 1},
    {"interface", {Field::string, Field::string}, 2, 0},
    {"node_device", {Field::string}, 1, 0},
    {"secret", {Field::uuid, Field::int_, Field::string}, 3, 2},
    {"snapshot", {Field::string, Field::string, Field::uuid, Field::int_}, 4, 0},
    {"checkpoint", {Field::string, Field::string, Field::uuid, Field::int_}, 4, 0},
    {"binding", {Field::string, Field::string}, 2, 0},
    {"port", {Field::string, Field::uuid, Field::uuid}, 3, 0},
}};

constexpr const Layout& layout_of(ArgumentType type) {
  return kLayouts[static_cast<std::size_t>(type)];
}

// The longest name that a Linux file system takes in full, and far below what a daemon accepts
// (4 MiB).
inline constexpr std::size_t kMaxString = 4096;
// A CPU description has some kilobytes; a baseline is made from those of many hosts.
inline constexpr std::size_t kMaxDocument = std::size_t{1024} * 1024;

enum class Shape : std::uint8_t { single, optional, array };
enum class Values : std::uint8_t { any, range, set, mask };

struct ArgumentSpec {
  std::string_view name;
  ArgumentType type = ArgumentType::int_;
  Shape shape = Shape::single;
  Values values = Values::any;
  std::uint8_t set_size = 0;
  std::uint32_t max_count = 1;           // of elements
  std::array<std::int64_t, 4> number{};  // low and high; the set; the mask

  [[nodiscard]] constexpr bool takes(std::int64_t value) const {
    switch (values) {
      case Values::any:
        return true;
      case Values::range:
        return value >= number[0] && value <= number[1];
      case Values::mask:
        return (value & ~number[0]) == 0;
      case Values::set:
        for (std::size_t i = 0; i < set_size; ++i) {
          if (number[i] == value) return true;
        }
        return false;
    }
    return false;
  }
};

inline constexpr std::size_t kMaxArguments = 5;

struct Signature {
  std::array<ArgumentSpec, kMaxArguments> arguments;
  std::size_t count = 0;

  [[nodiscard]] constexpr std::span<const ArgumentSpec> specs() const {
    return std::span(arguments).first(count);
  }
};

namespace detail {

// Never defined: a call of it makes the signature no constant, and thus a compile error.
void malformed_signature();

class SignatureParser {
 public:
  constexpr explicit SignatureParser(std::string_view text) : rest_(text) {}

  constexpr Signature parse() {
    Signature signature;
    while (good_ && !rest_.empty()) {
      if (signature.count != 0) expect(" ");
      if (signature.count == kMaxArguments) {
        good_ = false;
        break;
      }
      signature.arguments[signature.count++] = argument();
    }
    return signature;
  }

  [[nodiscard]] constexpr bool good() const { return good_; }

 private:
  constexpr bool take(std::string_view token) {
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }

  constexpr void expect(std::string_view token) {
    if (!take(token)) good_ = false;
  }

  constexpr std::string_view word() {
    std::size_t end = 0;
    while (end < rest_.size() && ((rest_[end] >= 'a' && rest_[end] <= 'z') || rest_[end] == '_')) {
      ++end;
    }
    if (end == 0) good_ = false;
    const std::string_view result = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return result;
  }

  constexpr ArgumentType type() {
    const std::string_view name = word();
    for (std::size_t i = 0; i < kLayouts.size(); ++i) {
      if (kLayouts[i].word == name) return static_cast<ArgumentType>(i);
    }
    good_ = false;
    return ArgumentType::int_;
  }

  static constexpr int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return 16;
  }

  constexpr std::int64_t digits(int base) {
    std::int64_t value = 0;
    std::size_t used = 0;
    while (used < rest_.size() && digit(rest_[used]) < base) {
      value = value * base + digit(rest_[used]);
      ++used;
      if (value > std::numeric_limits<std::uint32_t>::max()) good_ = false;
      if (!good_) return 0;
    }
    if (used == 0) good_ = false;
    rest_.remove_prefix(used);
    return value;
  }

  constexpr std::int64_t integer() {
    const bool negative = take("-");
    const std::int64_t value = digits(10);
    return negative ? -value : value;
  }

  constexpr void values(ArgumentSpec& spec) {
    if (take("0x")) {
      spec.values = Values::mask;
      spec.number[0] = digits(16);
      return;
    }
    spec.number[0] = integer();
    if (take("..")) {
      spec.values = Values::range;
      spec.number[1] = integer();
      if (spec.number[0] > spec.number[1]) good_ = false;
      return;
    }
    spec.values = Values::set;
    spec.set_size = 1;
    while (good_ && take(",")) {
      if (spec.set_size == spec.number.size()) {
        good_ = false;
        return;
      }
      spec.number[spec.set_size++] = integer();
    }
  }

  constexpr ArgumentSpec argument() {
    ArgumentSpec spec;
    spec.name = word();
    expect(":");
    spec.type = type();
    if (take("?")) {
      spec.shape = Shape::optional;
    } else if (take("[")) {
      spec.shape = Shape::array;
      spec.max_count = static_cast<std::uint32_t>(digits(10));
      expect("]");
    }
    if (take("{")) {
      values(spec);
      expect("}");
      const bool is_number = spec.type == ArgumentType::int_ || spec.type == ArgumentType::uint;
      if (!is_number || spec.shape != Shape::single) good_ = false;
      if (spec.values == Values::mask && spec.type != ArgumentType::uint) good_ = false;
    }
    return spec;
  }

  std::string_view rest_;
  bool good_ = true;
};

}  // namespace detail

constexpr bool is_signature(std::string_view text) {
  detail::SignatureParser parser(text);
  parser.parse();
  return parser.good();
}

consteval Signature compile_signature(std::string_view text) {
  detail::SignatureParser parser(text);
  const Signature result = parser.parse();
  if (!parser.good()) detail::malformed_signature();
  return result;
}

}  // namespace policy

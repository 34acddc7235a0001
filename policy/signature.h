// Signatures: what arguments a procedure takes, and which values of each may pass.
//
//   signature  := "" | argument { " " argument }
//   argument   := name ":" type [ "?" | "[" count "]" ] [ "{" values "}" ]
//   values     := low ".." high | member { "," member } | "0x" mask { "," flag }
//   member     := number [ ">" number ]
//   flag       := NAME ( "~" | "!" ) "0x" bit
//
// "?" is an optional of XDR, "[count]" an array of at most that many elements, none of which occurs
// twice: each costs the daemon work. The values are a
// range, a set of at most four numbers, or the bits that may be set; they can be given for a single
// int or uint only, and without them any value passes. As an example, this is DOMAIN_GET_METADATA:
//
//   "dom:domain type:int{0..2} uri:string? flags:uint{0x3}"
//
// Some values that programs ask with have a twin that only reads: "1>3" takes 1 and sends 3 on in
// its place, and "SECURE~0x1" takes a bit and leaves it out of what is sent on. "MIGRATABLE!0x8" is
// a bit that is refused like any other outside of the mask, and has a name.
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
  document,  // an XML document: at most kMaxDocument bytes; see document.h
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
  // What daemons find it by, or its owner where that is what is locked: a snapshot's machine, a
  // port's network.
  std::size_t key;       // the first of these fields
  std::size_t key_size;  // how many they are
  std::size_t owner;     // the field that names to people what the key means
};

inline constexpr std::size_t kNoField = 4;

inline constexpr std::array<Layout, 17> kLayouts = {{
    {"int", {Field::int_}, 1, 0, 0, 1, kNoField},
    {"uint", {Field::uint}, 1, 0, 0, 1, kNoField},
    {"string", {Field::string}, 1, 0, 0, 1, 0},
    {"document", {Field::document}, 1, 0, 0, 1, kNoField},
    {"uuid", {Field::uuid}, 1, 0, 0, 1, kNoField},
    {"domain", {Field::string, Field::uuid, Field::int_}, 3, 0, 1, 1, 0},
    {"network", {Field::string, Field::uuid}, 2, 0, 1, 1, 0},
    {"nwfilter", {Field::string, Field::uuid}, 2, 0, 1, 1, 0},
    {"pool", {Field::string, Field::uuid}, 2, 0, 1, 1, 0},
    {"volume", {Field::string, Field::string, Field::string}, 3, 1, 0, 2, 1},
    {"interface", {Field::string, Field::string}, 2, 0, 0, 1, 0},
    {"node_device", {Field::string}, 1, 0, 0, 1, 0},
    {"secret", {Field::uuid, Field::int_, Field::string}, 3, 2, 0, 1, 2},
    {"snapshot", {Field::string, Field::string, Field::uuid, Field::int_}, 4, 0, 2, 1, 1},
    {"checkpoint", {Field::string, Field::string, Field::uuid, Field::int_}, 4, 0, 2, 1, 1},
    {"binding", {Field::string, Field::string}, 2, 0, 0, 1, 0},
    {"port", {Field::string, Field::uuid, Field::uuid}, 3, 0, 1, 1, 0},
}};

constexpr const Layout& layout_of(ArgumentType type) {
  return kLayouts[static_cast<std::size_t>(type)];
}

// The longest name that a Linux file system takes in full, and far below what a daemon accepts
// (4 MiB).
inline constexpr std::size_t kMaxString = 4096;
// A CPU description has some kilobytes.
inline constexpr std::size_t kMaxDocument = std::size_t{64} * 1024;

enum class Shape : std::uint8_t { single, optional, array };
enum class Values : std::uint8_t { any, range, set, mask };

// A bit that does not read.
struct NamedFlag {
  std::string_view name;
  std::int64_t bit = 0;
  bool omitted = false;  // from what is sent on; otherwise a call with it is refused
};

struct ArgumentSpec {
  std::string_view name;
  ArgumentType type = ArgumentType::int_;
  Shape shape = Shape::single;
  Values values = Values::any;
  std::uint8_t set_size = 0;
  std::uint32_t max_count = 1;           // of elements
  std::array<std::int64_t, 4> number{};  // low and high; the set; the mask
  std::array<std::int64_t, 4> twin{};    // of each of the set, what is sent on
  std::array<NamedFlag, 2> flags{};      // beside the mask; unused ones have no bit

  [[nodiscard]] constexpr bool takes(std::int64_t value) const {
    switch (values) {
      case Values::any:
        return true;
      case Values::range:
        return value >= number[0] && value <= number[1];
      case Values::mask:
        return (value & ~(number[0] | omitted())) == 0;
      case Values::set:
        for (std::size_t i = 0; i < set_size; ++i) {
          if (number[i] == value) return true;
        }
        return false;
    }
    return false;
  }

  // What is sent on for a value that is taken.
  [[nodiscard]] constexpr std::int64_t sent_for(std::int64_t value) const {
    if (values == Values::mask) return value & ~omitted();
    if (values != Values::set) return value;
    for (std::size_t i = 0; i < set_size; ++i) {
      if (number[i] == value) return twin[i];
    }
    return value;
  }

  // The bits that are left out of what is sent on.
  [[nodiscard]] constexpr std::int64_t omitted() const {
    std::int64_t bits = 0;
    for (const NamedFlag& flag : flags) {
      if (flag.omitted) bits |= flag.bit;
    }
    return bits;
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

// What the parsers of signatures and of replies read with.
class SignatureScanner {
 public:
  constexpr explicit SignatureScanner(std::string_view text) : rest_(text) {}

  [[nodiscard]] constexpr bool good() const { return good_; }

 protected:
  constexpr bool take(std::string_view token) {
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }

  constexpr void expect(std::string_view token) {
    if (!take(token)) good_ = false;
  }

  // As many characters as `allowed` takes, and one at least.
  template <typename Allowed>
  constexpr std::string_view some(Allowed allowed) {
    std::size_t end = 0;
    while (end < rest_.size() && allowed(rest_[end])) ++end;
    if (end == 0) good_ = false;
    const std::string_view result = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return result;
  }

  static constexpr bool is_small(char c) { return (c >= 'a' && c <= 'z') || c == '_'; }
  static constexpr bool is_capital(char c) { return (c >= 'A' && c <= 'Z') || c == '_'; }

  constexpr std::string_view word() { return some(is_small); }

  static constexpr int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return 16;
  }

  constexpr std::int64_t digits(int base) {
    std::int64_t value = 0;
    for (const char c : some([base](char one) { return digit(one) < base; })) {
      value = value * base + digit(c);
      if (value > std::numeric_limits<std::uint32_t>::max()) good_ = false;
      if (!good_) return 0;
    }
    return value;
  }

  std::string_view rest_;
  bool good_ = true;
};

class SignatureParser : public SignatureScanner {
 public:
  using SignatureScanner::SignatureScanner;

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

 private:
  constexpr ArgumentType type() {
    const std::string_view name = word();
    for (std::size_t i = 0; i < kLayouts.size(); ++i) {
      if (kLayouts[i].word == name) return static_cast<ArgumentType>(i);
    }
    good_ = false;
    return ArgumentType::int_;
  }

  constexpr std::int64_t integer() {
    const bool negative = take("-");
    const std::int64_t value = digits(10);
    return negative ? -value : value;
  }

  constexpr void flag(ArgumentSpec& spec, NamedFlag& to) {
    to.name = some(is_capital);
    to.omitted = take("~");
    if (!to.omitted) expect("!");
    expect("0x");
    to.bit = digits(16);
    if (to.bit == 0 || (to.bit & (to.bit - 1)) != 0 || (to.bit & spec.number[0]) != 0) {
      good_ = false;
    }
  }

  constexpr void mask(ArgumentSpec& spec) {
    spec.values = Values::mask;
    spec.number[0] = digits(16);
    for (NamedFlag& one : spec.flags) {
      if (!good_ || !take(",")) return;
      flag(spec, one);
    }
  }

  constexpr void member(ArgumentSpec& spec) {
    if (spec.set_size == spec.number.size()) {
      good_ = false;
      return;
    }
    const std::size_t at = spec.set_size++;
    if (at != 0) spec.number[at] = integer();
    spec.twin[at] = take(">") ? integer() : spec.number[at];
  }

  constexpr void values(ArgumentSpec& spec) {
    if (take("0x")) return mask(spec);
    spec.number[0] = integer();
    if (take("..")) {
      spec.values = Values::range;
      spec.number[1] = integer();
      if (spec.number[0] > spec.number[1]) good_ = false;
      return;
    }
    spec.values = Values::set;
    member(spec);
    while (good_ && take(",")) member(spec);
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
};

template <typename Parser>
constexpr bool parses(std::string_view text) {
  Parser parser(text);
  parser.parse();
  return parser.good();
}

template <typename Parser>
consteval auto compile(std::string_view text) {
  Parser parser(text);
  const auto result = parser.parse();
  if (!parser.good()) malformed_signature();
  return result;
}

}  // namespace detail

constexpr bool is_signature(std::string_view text) {
  return detail::parses<detail::SignatureParser>(text);
}

consteval Signature compile_signature(std::string_view text) {
  return detail::compile<detail::SignatureParser>(text);
}

}  // namespace policy

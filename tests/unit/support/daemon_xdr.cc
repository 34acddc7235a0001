#include "tests/unit/support/daemon_xdr.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace test {
namespace {

using policy::ArgumentSpec;
using policy::ArgumentType;
using policy::Shape;

constexpr std::uint32_t kStringMax = 4194304;  // REMOTE_STRING_MAX

// i and u: integers; s: a string; 6: a UUID.
std::string_view members_of(ArgumentType type) {
  switch (type) {
    case ArgumentType::int_:
      return "i";
    case ArgumentType::uint:
      return "u";
    case ArgumentType::string:
    case ArgumentType::document:
    case ArgumentType::node_device:
      return "s";
    case ArgumentType::uuid:
      return "6";
    case ArgumentType::domain:
      return "s6i";
    case ArgumentType::network:
    case ArgumentType::nwfilter:
    case ArgumentType::pool:
      return "s6";
    case ArgumentType::volume:
      return "sss";
    case ArgumentType::interface:
    case ArgumentType::binding:
      return "ss";
    case ArgumentType::secret:
      return "6is";
    case ArgumentType::snapshot:
    case ArgumentType::checkpoint:
      return "ss6i";
    case ArgumentType::port:
      return "s66";
  }
  std::abort();
}

class DaemonReader {
 public:
  explicit DaemonReader(base::Bytes body) : body_(body) {}

  bool argument(const ArgumentSpec& spec) {
    std::uint32_t count = 1;
    if (spec.shape != Shape::single && !word(count)) return false;
    if (spec.shape == Shape::optional) {
      count = count == 0 ? 0 : 1;
      if (count == 0) read.fields.emplace_back("none");
    } else if (spec.shape == Shape::array) {
      if (count > spec.max_count) return false;
      read.fields.push_back(std::to_string(count) + " of");
    }
    for (std::uint32_t i = 0; i < count; ++i) {
      for (const char member : members_of(spec.type)) {
        if (!one(member)) return false;
      }
    }
    return true;
  }

  DaemonArguments read;

 private:
  bool one(char member) {
    std::uint32_t value = 0;
    switch (member) {
      case 'i':
        if (!word(value)) return false;
        read.fields.push_back(std::to_string(static_cast<std::int32_t>(value)));
        return true;
      case 'u':
        if (!word(value)) return false;
        read.fields.push_back(std::to_string(value));
        return true;
      case 's':
        return word(value) && value <= kStringMax && bytes("text:", value, true);
      default:
        return bytes("16:", 16, false);
    }
  }

  bool word(std::uint32_t& value) {
    if (body_.size() - read.used < 4) return false;
    value = 0;
    for (std::size_t i = 0; i < 4; ++i) value = value * 256 + body_[read.used + i];
    read.used += 4;
    return true;
  }

  bool bytes(const char* what, std::size_t size, bool ends_at_nul) {
    const std::size_t whole = (size + 3) / 4 * 4;
    if (body_.size() - read.used < whole) return false;
    std::string text(reinterpret_cast<const char*>(body_.data()) + read.used, size);
    if (ends_at_nul) text = text.substr(0, text.find('\0'));
    read.fields.push_back(what + text);
    read.used += whole;
    return true;
  }

  base::Bytes body_;
};

}  // namespace

std::optional<DaemonArguments> read_as_daemon(const policy::Signature& signature,
                                              base::Bytes body) {
  DaemonReader reader(body);
  for (const ArgumentSpec& spec : signature.specs()) {
    if (!reader.argument(spec)) return std::nullopt;
  }
  return std::move(reader.read);
}

}  // namespace test

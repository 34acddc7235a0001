#include "policy/example.h"

#include <algorithm>
#include <array>

#include "policy/xdr.h"

namespace policy {
namespace {

constexpr std::string_view kFlags = "flags";
constexpr std::array<std::uint8_t, 16> kUuid = {};

std::uint32_t good_number(const ArgumentSpec& spec) {
  switch (spec.values) {
    case Values::range:
      return static_cast<std::uint32_t>(
          std::clamp<std::int64_t>(1, spec.number[0], spec.number[1]));
    case Values::set:
      return static_cast<std::uint32_t>(spec.number[0]);
    case Values::mask:
      return 0;
    case Values::any:
      break;
  }
  return 1;
}

void write_single(XdrWriter& writer, const ArgumentSpec& spec, std::optional<std::uint32_t> flags) {
  const Layout& layout = layout_of(spec.type);
  for (std::size_t i = 0; i < layout.count; ++i) {
    switch (layout.fields[i]) {
      case Field::int_:
      case Field::uint:
        writer.word(flags && spec.name == kFlags ? *flags : good_number(spec));
        break;
      case Field::string:
        writer.string("x");
        break;
      case Field::document:
        writer.string("<x/>");
        break;
      case Field::uuid:
        writer.fixed(kUuid);
        break;
    }
  }
}

}  // namespace

base::Buffer example_arguments(const Procedure& procedure, std::optional<std::uint32_t> flags) {
  base::Buffer body;
  XdrWriter writer(body);
  for (const ArgumentSpec& spec : procedure.arguments.specs()) {
    if (spec.shape == Shape::optional) {
      writer.optional(false);
    } else {
      if (spec.shape == Shape::array) writer.word(1);
      write_single(writer, spec, flags);
    }
  }
  return body;
}

bool has_flags(const Procedure& procedure) {
  return std::ranges::any_of(procedure.arguments.specs(),
                             [](const ArgumentSpec& spec) { return spec.name == kFlags; });
}

}  // namespace policy

#include "tests/unit/support/random_bodies.h"

#include <algorithm>
#include <array>

#include "policy/signature.h"

namespace test {
namespace {

using policy::ArgumentSpec;
using policy::Field;
using policy::Shape;
using policy::Values;

void put_word(base::Buffer& to, std::uint32_t word) {
  for (int shift = 24; shift >= 0; shift -= 8)
    to.push_back(static_cast<std::uint8_t>(word >> shift));
}

}  // namespace

std::uint32_t RandomBodies::odd_word() {
  static constexpr std::array<std::uint32_t, 12> kEdges = {
      0,          1,          2,          0x7fffffff, 0x80000000, 0xffffffff,
      0xfffffffc, 0x01000000, 0x00000100, 4096,       4097,       16385};
  return chance(3) ? static_cast<std::uint32_t>(source_()) : kEdges[below(kEdges.size())];
}

std::int64_t RandomBodies::number(const ArgumentSpec& spec) {
  switch (spec.values) {
    case Values::any:
      return odd_word();
    case Values::mask:
      return static_cast<std::int64_t>(source_()) & spec.number[0];
    case Values::set:
      return spec.number[below(spec.set_size)];
    case Values::range:
      break;
  }
  const std::int64_t span = spec.number[1] - spec.number[0];
  if (chance(4)) return spec.number[below(2)];
  const std::int64_t most = chance(2) ? span : std::min<std::int64_t>(span, 30);
  return spec.number[0] + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(most) + 1));
}

std::string RandomBodies::text(bool document) {
  if (document) return chance(2) ? "<cpu/>" : "<cpu><model>\n m\n</model></cpu>";
  std::string made(chance(20) ? policy::kMaxString - below(5) : below(40), 'a');
  for (char& c : made) c = static_cast<char>(1 + below(255));
  return made;
}

void RandomBodies::string(const std::string& text, bool loosely, base::Buffer& to) {
  put_word(to, static_cast<std::uint32_t>(text.size()));
  to.insert(to.end(), text.begin(), text.end());
  for (std::size_t i = text.size(); i % 4 != 0; ++i) {
    to.push_back(loosely ? static_cast<std::uint8_t>(source_()) : std::uint8_t{0});
  }
}

void RandomBodies::value(const ArgumentSpec& spec, bool loosely, base::Buffer& to) {
  const policy::Layout& layout = policy::layout_of(spec.type);
  for (std::size_t i = 0; i < layout.count; ++i) {
    switch (layout.fields[i]) {
      case Field::int_:
      case Field::uint:
        put_word(to, static_cast<std::uint32_t>(layout.count == 1 ? number(spec) : odd_word()));
        break;
      case Field::string:
        string(text(false), loosely, to);
        break;
      case Field::document:
        string(text(true), loosely, to);
        break;
      case Field::uuid:
        for (int byte = 0; byte < 16; ++byte) to.push_back(static_cast<std::uint8_t>(source_()));
        break;
    }
  }
}

base::Buffer RandomBodies::body(const policy::Procedure& procedure, bool loosely) {
  base::Buffer made;
  for (const ArgumentSpec& spec : procedure.arguments.specs()) {
    std::uint32_t count = 1;
    if (spec.shape == Shape::optional) {
      count = static_cast<std::uint32_t>(below(2));
      const std::uint32_t some = loosely ? std::max(odd_word(), 1U) : 1U;
      put_word(made, count == 0 ? 0 : some);
    } else if (spec.shape == Shape::array) {
      count = static_cast<std::uint32_t>(below(std::min(spec.max_count, 5U) + 1));
      put_word(made, count);
    }
    const bool numbers = spec.shape == Shape::array && spec.type == policy::ArgumentType::uint;
    for (std::uint32_t i = 0; i < count; ++i) {
      if (numbers) {
        put_word(made, 7 * i + static_cast<std::uint32_t>(below(7)));
      } else {
        value(spec, loosely, made);
      }
    }
  }
  return made;
}

base::Buffer RandomBodies::damaged(base::Buffer body) {
  const auto place = [&](std::size_t size) { return static_cast<std::ptrdiff_t>(below(size)); };
  const std::uint64_t how = below(body.size() < 4 ? 1 : 5);
  if (how == 0) {
    const std::ptrdiff_t at = place(body.size() + 1);
    body.insert(body.begin() + at, 1 + below(8), static_cast<std::uint8_t>(source_()));
  } else if (how == 1) {
    const std::ptrdiff_t at = place(body.size());
    body.erase(body.begin() + at,
               body.begin() + at + 1 + place(body.size() - static_cast<std::size_t>(at)));
  } else if (how == 2) {
    body[below(body.size())] ^= static_cast<std::uint8_t>(1U << below(8));
  } else if (how == 3) {
    body[below(body.size())] = 0;
  } else {
    base::Buffer word;
    put_word(word, odd_word());
    std::copy(word.begin(), word.end(), body.begin() + 4 * place(body.size() / 4));
  }
  return body;
}

}  // namespace test

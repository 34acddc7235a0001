#include "policy/asked.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace policy {
namespace {

constexpr bool is_one_of(std::string_view name, std::span<const std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

// A number of elements. 0 of some of these asks how many there are.
constexpr std::array<std::string_view, 9> kNumbers{"maxnames",  "maxids",    "maxuuids",
                                                   "maxinfo",   "max_stats", "max_cells",
                                                   "maxerrors", "nparams",   "ncpumaps"};
constexpr std::array<std::string_view, 2> kSwitches{"need_results", "need_map"};
// So many times what was said before.
constexpr std::array<std::string_view, 3> kFactors{"ncpus", "cell_count", "maplen"};
constexpr std::array<std::string_view, 3> kMultiplied{"nparams", "pages", "ncpumaps"};

class CallReader {
 public:
  CallReader(const Procedure& row, base::Bytes call)
      : row_(row),
        is_look_up_(row.name.find("LOOKUP_BY_") != std::string_view::npos),
        call_(call),
        in_(call) {}

  Asked read() {
    for (const ArgumentSpec& spec : row_.arguments.specs()) {
      if (!argument(spec)) return {};
    }
    return asked_;
  }

 private:
  bool argument(const ArgumentSpec& spec) {
    std::uint32_t count = 1;
    bool present = true;
    if (spec.shape == Shape::array && !in_.word(count)) return false;
    if (spec.shape == Shape::optional && !in_.optional(present)) return false;
    if (!present) count = 0;
    const std::size_t begin = call_.size() - in_.left();
    for (std::uint32_t i = 0; i < count; ++i) {
      if (!value(spec)) return false;
    }
    if (spec.shape == Shape::array) {
      if (spec.type == ArgumentType::domain) {
        asked_.machines = call_.subspan(begin, call_.size() - in_.left() - begin);
      }
      if (count != 0) asked_.most = count;
      before_ = spec.name;
    }
    return true;
  }

  bool value(const ArgumentSpec& spec) {
    const Layout& layout = layout_of(spec.type);
    for (std::size_t i = 0; i < layout.count; ++i) {
      std::uint32_t word = 0;
      std::string_view text;
      base::Bytes uuid;
      switch (layout.fields[i]) {
        case Field::int_:
        case Field::uint:
          if (!in_.word(word)) return false;
          break;
        case Field::string:
        case Field::document:
          if (!in_.string(text)) return false;
          break;
        case Field::uuid:
          if (!in_.fixed(16, uuid)) return false;
          break;
      }
      if (layout.count != 1 || spec.shape == Shape::array) continue;
      limit(spec.name, word);
      if (is_look_up_) look_up(spec.name, word, text, uuid);
    }
    return true;
  }

  void limit(std::string_view name, std::uint32_t word) {
    // libvirtd does not look at the number there.
    if (row_.name == "NETWORK_PORT_GET_PARAMETERS") return;
    if (is_one_of(name, kNumbers)) {
      asked_.most = word;
      asked_.list = word != 0;
      asked_.each = word;
      before_ = name;
    } else if (is_one_of(name, kSwitches)) {
      asked_.list = word != 0;
      if (word == 0) asked_.most = 0;
    } else if (is_one_of(name, kFactors)) {
      if (is_one_of(before_, kMultiplied)) {
        asked_.most = asked_.most.value_or(0) * word;
      } else if (!asked_.most) {
        asked_.most = word;
      }
    }
  }

  void look_up(std::string_view name, std::uint32_t word, std::string_view text, base::Bytes uuid) {
    if (name == "name") asked_.name = text;
    if (name == "uuid") asked_.uuid = uuid;
    if (name == "id") asked_.id = word;
  }

  const Procedure& row_;
  const bool is_look_up_;
  base::Bytes call_;
  XdrReader in_;
  std::string_view before_;  // the number or array that was said last
  Asked asked_;
};

}  // namespace

Asked asked_by(const Procedure& procedure, base::Bytes call) {
  return CallReader(procedure, call).read();
}

bool NamedMachines::take(base::Bytes uuid) {
  if (list_.empty()) return true;
  const std::size_t begun = next_;
  bool again = false;
  while (!again || next_ < begun) {
    if (rest_.left() == 0) {
      if (again) return false;
      rest_ = XdrReader(list_);
      next_ = 0;
      again = true;
      continue;
    }
    std::string_view name;
    base::Bytes one;
    std::uint32_t id = 0;
    const bool read = rest_.string(name) && rest_.fixed(16, one) && rest_.word(id);
    CHECK(read && next_ < kMost);
    const std::size_t at = next_++;
    if (taken_[at] || !std::ranges::equal(one, uuid)) continue;
    taken_[at] = true;
    return true;
  }
  return false;
}

}  // namespace policy

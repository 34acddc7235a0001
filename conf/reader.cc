#include "conf/reader.h"

#include <array>
#include <limits>
#include <utility>

#include "conf/text.h"

namespace conf {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// The largest first, so that a range is shown in the unit that it has.
constexpr std::array<Unit, 4> kTimes = {{{"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}}};
constexpr std::array<Unit, 4> kSizes = {
    {{"GiB", 1U << 30}, {"MiB", 1U << 20}, {"KiB", 1U << 10}, {"", 1}}};

constexpr std::string_view kTimeWanted =
    "a time in quotes, such as \"500ms\", \"30s\", \"5min\" or \"1h\"";
constexpr std::string_view kSizeWanted =
    "a number of bytes, or a size in quotes such as \"64KiB\", \"16MiB\" or \"1GiB\"";

std::optional<std::uint64_t> with_unit(std::string_view text, std::span<const Unit> units) {
  std::size_t digits = 0;
  while (digits < text.size() && is_digit(text[digits])) ++digits;
  for (const Unit& unit : units) {
    if (text.substr(digits) != unit.name) continue;
    const std::uint64_t most = std::numeric_limits<std::int64_t>::max() / unit.factor;
    const auto number = decimal(text.substr(0, digits), most);
    if (!number) return std::nullopt;
    return *number * unit.factor;
  }
  return std::nullopt;
}

std::string in_units(std::uint64_t value, std::span<const Unit> units) {
  for (const Unit& unit : units) {
    if (value >= unit.factor && value % unit.factor == 0) {
      return std::to_string(value / unit.factor) + std::string(unit.name);
    }
  }
  return "0" + std::string(units.back().name);
}

std::string shown_count(std::uint64_t value) { return std::to_string(value); }
std::string shown_size(std::uint64_t value) { return in_units(value, kSizes); }
std::string shown_time(Milliseconds value) {
  return in_units(static_cast<std::uint64_t>(value.count()), kTimes);
}

std::string as_written(const Node& node) {
  return node.kind == NodeKind::text ? quoted(node.text) : std::to_string(node.integer);
}

}  // namespace

Reader::Reader(std::string file, std::vector<Mistake>& mistakes, std::vector<Mistake>& warnings)
    : file_(std::move(file)), mistakes_(mistakes), warnings_(warnings) {}

Position Reader::position_of(LineColumn position) const {
  return {file_, position.line, position.column};
}

void Reader::mistake(LineColumn position, std::string text) {
  mistakes_.push_back({position_of(position), std::move(text)});
}

void Reader::warn(LineColumn position, std::string text) {
  warnings_.push_back({position_of(position), std::move(text)});
}

void Reader::lapse(LineColumn position, std::string text) {
  warn(position, std::move(text));
  warnings_.back().lapsed = true;
}

void Reader::expect_keys(const Node& table, std::string_view name,
                         std::span<const std::string_view> known) {
  for (const Node& child : table.children) {
    bool found = false;
    for (const std::string_view key : known) found = found || key == child.key;
    if (found) continue;
    std::string text = "unknown key " + quoted(child.key) + " in " + std::string(name);
    if (const auto meant = nearest(child.key, known)) {
      text += "; did you mean " + quoted(*meant) + "?";
    } else {
      text += "; known are ";
      for (const std::string_view key : known) {
        text += (key == known.front() ? "" : ", ") + std::string(key);
      }
    }
    mistake(child.key_position, std::move(text));
  }
}

bool Reader::expect(const Node& node, NodeKind kind, std::string_view wanted) {
  if (node.kind == kind) return true;
  mistake(node.position, quoted(node.key) + " is " + std::string(to_string(node.kind)) +
                             "; it must be " + std::string(wanted));
  return false;
}

template <typename T>
std::optional<T> Reader::in_range(const Node& node, T value, T least, T most,
                                  std::string (*shown)(T)) {
  if (value >= least && value <= most) return value;
  mistake(node.position, quoted(node.key) + " is " + as_written(node) + "; it must be from " +
                             shown(least) + " to " + shown(most));
  return std::nullopt;
}

std::optional<std::string> Reader::text(const Node& node, std::string_view wanted) {
  if (!expect(node, NodeKind::text, wanted)) return std::nullopt;
  return node.text;
}

std::optional<bool> Reader::boolean(const Node& node) {
  if (!expect(node, NodeKind::boolean, "true or false")) return std::nullopt;
  return node.boolean;
}

std::optional<std::uint64_t> Reader::count(const Node& node, std::uint64_t least,
                                           std::uint64_t most) {
  const std::string wanted =
      "an integer from " + std::to_string(least) + " to " + std::to_string(most);
  if (!expect(node, NodeKind::integer, wanted)) return std::nullopt;
  // A negative number becomes a huge one, which no range has.
  return in_range(node, static_cast<std::uint64_t>(node.integer), least, most, shown_count);
}

std::optional<Milliseconds> Reader::time(const Node& node, Milliseconds least, Milliseconds most) {
  if (!expect(node, NodeKind::text, kTimeWanted)) return std::nullopt;
  const auto value = with_unit(node.text, kTimes);
  if (!value) {
    mistake(node.position, quoted(node.key) + " is " + quoted(node.text) + "; it must be " +
                               std::string(kTimeWanted));
    return std::nullopt;
  }
  return in_range(node, Milliseconds(*value), least, most, shown_time);
}

std::optional<std::uint64_t> Reader::size(const Node& node, std::uint64_t least,
                                          std::uint64_t most) {
  std::optional<std::uint64_t> value;
  if (node.kind == NodeKind::integer) {
    value = static_cast<std::uint64_t>(node.integer);
  } else if (expect(node, NodeKind::text, kSizeWanted)) {
    value = with_unit(node.text, kSizes);
    if (!value) {
      mistake(node.position, quoted(node.key) + " is " + quoted(node.text) + "; it must be " +
                                 std::string(kSizeWanted));
    }
  }
  if (!value) return std::nullopt;
  return in_range(node, *value, least, most, shown_size);
}

std::vector<const Node*> Reader::texts(const Node& node) {
  constexpr std::string_view kWanted = "a list of strings";
  std::vector<const Node*> found;
  if (node.kind == NodeKind::text) {
    mistake(node.position, quoted(node.key) + " is a string; write [" + quoted(node.text) + "]");
    return found;
  }
  if (!expect(node, NodeKind::array, kWanted)) return found;
  for (const Node& child : node.children) {
    if (child.kind == NodeKind::text) {
      found.push_back(&child);
    } else {
      mistake(child.position, quoted(node.key) + " holds " + std::string(to_string(child.kind)) +
                                  "; it must be " + std::string(kWanted));
    }
  }
  return found;
}

std::vector<const Node*> Reader::tables(const Node& node, std::string_view written) {
  std::vector<const Node*> found;
  const std::string wanted = "write " + std::string(written) + " with two brackets";
  if (node.kind == NodeKind::table) {
    mistake(node.key_position, wanted);
    return found;
  }
  if (node.kind != NodeKind::array) {
    mistake(node.key_position,
            quoted(node.key) + " is " + std::string(to_string(node.kind)) + "; " + wanted);
    return found;
  }
  for (const Node& child : node.children) {
    if (child.kind == NodeKind::table) {
      found.push_back(&child);
    } else {
      mistake(child.position,
              quoted(node.key) + " holds " + std::string(to_string(child.kind)) + "; " + wanted);
    }
  }
  return found;
}

}  // namespace conf

// Keys of a section whose values are times.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "conf/reader.h"

namespace conf {

inline constexpr Milliseconds kLongestTime = std::chrono::hours(24);

template <typename Owner>
struct TimeKey {
  std::string_view key;
  Milliseconds Owner::*field;
  Milliseconds least;
  Milliseconds most = kLongestTime;
};

template <typename Owner, std::size_t N>
void read_times(Reader& reader, const Node& table, const std::array<TimeKey<Owner>, N>& keys,
                Owner& to) {
  for (const TimeKey<Owner>& key : keys) {
    const Node* node = table.find(key.key);
    if (node == nullptr) continue;
    if (const auto value = reader.time(*node, key.least, key.most)) to.*key.field = *value;
  }
}

}  // namespace conf

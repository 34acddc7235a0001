// What a rule can cut out of replies: classes of values, by the names that people write.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace policy {

enum class Hidden : std::uint8_t {
  paths,        // where disks, kernels, sockets, logs and devices are on the host or the network
  graphics,     // how a screen is reached
  commandline,  // of the emulator and the kernel, and all that is in another namespace
  smbios,       // what a guest is given as its firmware's strings, credentials among them
  fwcfg,        // likewise as files
  metadata,     // what owners write about their machines
  network,      // names of bridges and interfaces of the host
  seclabel,     // security labels
};

inline constexpr std::array<std::string_view, 8> kHiddenNames = {
    "paths", "graphics", "commandline", "smbios", "fwcfg", "metadata", "network", "seclabel"};

constexpr std::string_view name_of(Hidden one) {
  return kHiddenNames[static_cast<std::size_t>(one)];
}

// Nothing: there is no such class.
constexpr std::optional<Hidden> find_hidden(std::string_view name) {
  const auto* const found = std::find(kHiddenNames.begin(), kHiddenNames.end(), name);
  if (found == kHiddenNames.end()) return std::nullopt;
  return static_cast<Hidden>(found - kHiddenNames.begin());
}

class HiddenSet {
 public:
  constexpr HiddenSet() = default;
  constexpr HiddenSet(std::initializer_list<Hidden> all) {
    for (const Hidden one : all) add(one);
  }
  static constexpr HiddenSet everything() {
    HiddenSet all;
    all.bits_ = 0xff;
    return all;
  }

  constexpr void add(Hidden one) { bits_ = static_cast<std::uint8_t>(bits_ | bit(one)); }
  [[nodiscard]] constexpr bool has(Hidden one) const { return (bits_ & bit(one)) != 0; }
  [[nodiscard]] constexpr bool empty() const { return bits_ == 0; }
  [[nodiscard]] constexpr HiddenSet with(HiddenSet other) const {
    return of(static_cast<std::uint8_t>(bits_ | other.bits_));
  }
  [[nodiscard]] constexpr HiddenSet without(HiddenSet other) const {
    return of(static_cast<std::uint8_t>(bits_ & ~other.bits_));
  }
  [[nodiscard]] constexpr HiddenSet both(HiddenSet other) const {
    return of(static_cast<std::uint8_t>(bits_ & other.bits_));
  }
  constexpr bool operator==(const HiddenSet&) const = default;

 private:
  static constexpr std::uint8_t bit(Hidden one) {
    return static_cast<std::uint8_t>(1U << static_cast<unsigned>(one));
  }
  static constexpr HiddenSet of(std::uint8_t bits) {
    HiddenSet set;
    set.bits_ = bits;
    return set;
  }

  std::uint8_t bits_ = 0;
};

// Of everybody, unless a rule says that it is shown. Cloud images take passwords and keys from
// there, and whoever may read a description would have them.
inline constexpr HiddenSet kHiddenByDefault = {Hidden::smbios, Hidden::fwcfg};

// "paths, graphics"; empty: none.
inline std::string names_of(HiddenSet set) {
  std::string text;
  for (std::size_t i = 0; i < kHiddenNames.size(); ++i) {
    if (!set.has(static_cast<Hidden>(i))) continue;
    if (!text.empty()) text += ", ";
    text += kHiddenNames[i];
  }
  return text;
}

}  // namespace policy

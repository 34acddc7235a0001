// The byte types that all folders share: a view that owns nothing, a buffer that does, and what
// keeps bytes that several have a view of.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace base {

using Bytes = std::span<const std::uint8_t>;
using Buffer = std::vector<std::uint8_t>;
// Whoever has one may use the bytes that it was given with. Null: they live as long as the call.
using Keeper = std::shared_ptr<const void>;

inline Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

inline std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline void append(Buffer& to, Bytes what) { to.insert(to.end(), what.begin(), what.end()); }

}  // namespace base

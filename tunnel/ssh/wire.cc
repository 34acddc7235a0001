#include "tunnel/ssh/wire.h"

namespace tunnel::ssh {

base::Bytes WireReader::raw(std::size_t length) {
  if (!ok_ || length > rest_.size()) {
    ok_ = false;
    rest_ = {};
    return {};
  }
  const base::Bytes taken = rest_.first(length);
  rest_ = rest_.subspan(length);
  return taken;
}

std::uint8_t WireReader::byte() {
  const base::Bytes taken = raw(1);
  return taken.empty() ? std::uint8_t{0} : taken[0];
}

std::uint32_t WireReader::number() {
  const base::Bytes taken = raw(4);
  if (taken.empty()) return 0;
  return std::uint32_t{taken[0]} << 24 | std::uint32_t{taken[1]} << 16 |
         std::uint32_t{taken[2]} << 8 | std::uint32_t{taken[3]};
}

base::Bytes WireReader::string() { return raw(number()); }

void put_number(base::Buffer& to, std::uint32_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    to.push_back(static_cast<std::uint8_t>(number >> shift));
  }
}

void put_string(base::Buffer& to, base::Bytes string) {
  put_number(to, static_cast<std::uint32_t>(string.size()));
  base::append(to, string);
}

}  // namespace tunnel::ssh

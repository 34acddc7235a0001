#include "policy/xen_packet.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace policy {
namespace {

constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kCommandAt = 2;
constexpr std::size_t kLengthAt = 6;
constexpr std::size_t kNumberAt = 8;
constexpr auto kLastCommand = static_cast<std::uint16_t>(XenCommand::capabilities);

template <typename Value>
Value load(const XenHeader& header, std::size_t at) {
  Value value;
  std::memcpy(&value, header.data() + at, sizeof value);
  return value;
}

template <typename Bytes, typename Value>
void store(Bytes& to, std::size_t at, Value value) {
  CHECK(at <= to.size() && sizeof value <= to.size() - at);
  std::memcpy(to.data() + at, &value, sizeof value);
}

// A name and its NUL have at least the latter.
bool length_fits(XenCommand command, std::size_t length) {
  switch (command) {
    case XenCommand::lookup_uuid:
      return length == kXenHeaderSize + kUuidSize;
    case XenCommand::lookup_name:
      return length > kXenHeaderSize && length <= kXenHeaderSize + kLongestXenName;
    default:
      return length == kXenHeaderSize;
  }
}

}  // namespace

void XenPacketReader::feed(base::Bytes bytes) {
  input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(read_));
  read_ = 0;
  base::append(input_, bytes);
}

bool XenPacketReader::fail(std::string wrong) {
  wrong_ = std::move(wrong);
  return false;
}

bool XenPacketReader::check_header(const XenHeader& header) {
  const auto version = load<std::uint16_t>(header, 0);
  const auto command = load<std::uint16_t>(header, kCommandAt);
  const auto length = load<std::uint16_t>(header, kLengthAt);
  if (version != kVersion) {
    return fail("it sent a packet of version " + std::to_string(version));
  }
  if (command > kLastCommand) return fail("it sent command " + std::to_string(command));
  if (!length_fits(static_cast<XenCommand>(command), length)) {
    return fail("it sent command " + std::to_string(command) + " in a packet of " +
                std::to_string(length) + " bytes");
  }
  return true;
}

std::optional<XenRequest> XenPacketReader::next() {
  if (broken() || held() < kXenHeaderSize) return std::nullopt;
  XenRequest request;
  const base::Bytes rest = base::Bytes(input_).subspan(read_);
  std::copy_n(rest.begin(), kXenHeaderSize, request.header.begin());
  if (!check_header(request.header)) return std::nullopt;
  const std::size_t length = load<std::uint16_t>(request.header, kLengthAt);
  if (rest.size() < length) return std::nullopt;
  request.command = static_cast<XenCommand>(load<std::uint16_t>(request.header, kCommandAt));
  request.argument = load<std::int32_t>(request.header, kNumberAt);
  base::append(request.extra, rest.subspan(kXenHeaderSize, length - kXenHeaderSize));
  if (request.command == XenCommand::lookup_name) {
    const auto nul = std::find(request.extra.begin(), request.extra.end(), 0);
    if (nul == request.extra.end() || nul + 1 != request.extra.end()) {
      fail("it sent a name whose end is not that of its packet");
      return std::nullopt;
    }
    request.extra.pop_back();
  }
  read_ += length;
  if (held() == 0) {
    base::Buffer().swap(input_);
    read_ = 0;
  }
  return request;
}

void XenAnswer::set_int(std::int32_t value) { store(header_, kNumberAt, value); }

bool XenAnswer::set_long(std::uint64_t value) {
  if (abi_ == XenAbi::x86_64) {
    store(header_, kNumberAt, value);
    return true;
  }
  if (value > UINT32_MAX) return false;
  store(header_, kNumberAt, static_cast<std::uint32_t>(value));
  return true;
}

void XenAnswer::add(base::Bytes extra) {
  CHECK(extra.size() <= kMostXenExtra - extra_.size());
  base::append(extra_, extra);
}

base::Buffer XenAnswer::packet() const {
  base::Buffer out(header_.begin(), header_.end());
  store(out, kLengthAt, static_cast<std::uint16_t>(kXenHeaderSize + extra_.size()));
  base::append(out, extra_);
  return out;
}

void XenStructure::put_short(std::size_t at, std::uint16_t value) { store(bytes_, at, value); }

void XenStructure::put_int(std::size_t at, std::uint32_t value) { store(bytes_, at, value); }

void XenStructure::put_long_long(std::size_t at, std::uint64_t value) { store(bytes_, at, value); }

bool XenStructure::put_long(std::size_t at, std::uint64_t value, std::size_t size) {
  if (size == sizeof value) {
    store(bytes_, at, value);
    return true;
  }
  if (value > UINT32_MAX) return false;
  store(bytes_, at, static_cast<std::uint32_t>(value));
  return true;
}

}  // namespace policy

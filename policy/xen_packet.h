// The packets of the old Xen proxy, which libvirt 0.1 to 0.8.5 had for users who are not root: a
// header of 16 bytes and at most 4080 more, in the byte order of the machine. The layout is that of
// libvirt's src/proxy_internal.h and proxy/libvirt_proxy.c.
//
//   0   2   version, 1
//   2   2   command
//   4   2   serial, of the client's choice
//   6   2   length of the whole packet
//   8   8   an int, or a long of the client's size
//   16      what the command has besides
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "policy/xen_abi.h"

namespace policy {

inline constexpr std::size_t kXenHeaderSize = 16;
inline constexpr std::size_t kLongestXenPacket = 4096;
inline constexpr std::size_t kMostXenExtra = kLongestXenPacket - kXenHeaderSize;
inline constexpr std::size_t kLongestXenName = 1000;  // longer ones are cut
inline constexpr std::size_t kUuidSize = 16;

enum class XenCommand : std::uint16_t {
  none,
  version,
  node_info,
  list,
  num_domain,
  lookup_id,
  lookup_uuid,
  lookup_name,
  max_memory,
  domain_info,
  domain_xml,
  domain_os_type,
  capabilities,
};

using XenHeader = std::array<std::uint8_t, kXenHeaderSize>;

// One that has been checked in full: its version, its command, and that it has exactly what that
// command has. `extra` is the uuid of lookup_uuid and the name of lookup_name, without its NUL, and
// empty for all others.
struct XenRequest {
  XenHeader header{};  // as it came
  XenCommand command = XenCommand::none;
  std::int32_t argument = 0;
  base::Buffer extra;
};

// Cuts a stream into requests, wherever that is cut itself. The old proxy ended a client whose
// header came in two reads; here nothing depends on how bytes arrive, and the owner of the stream
// ends one whose packet is not whole in time.
class XenPacketReader {
 public:
  // Keeps what is not whole yet; the caller bounds it, by held().
  void feed(base::Bytes bytes);

  // The next request, or nothing: more bytes are needed, or broken().
  std::optional<XenRequest> next();

  // A packet broke the rules, and the client must be ended without an answer. It is final.
  [[nodiscard]] bool broken() const { return !wrong_.empty(); }
  [[nodiscard]] const std::string& wrong() const { return wrong_; }

  // Bytes that no request has been made of yet.
  [[nodiscard]] std::size_t held() const { return input_.size() - read_; }

 private:
  [[nodiscard]] bool check_header(const XenHeader& header);
  bool fail(std::string wrong);

  base::Buffer input_;
  std::size_t read_ = 0;
  std::string wrong_;
};

// An answer begins as the request did: version, command and serial are the client's, and so is what
// it had in place of a number that is not set.
class XenAnswer {
 public:
  XenAnswer(const XenHeader& request, XenAbi abi) : header_(request), abi_(abi) {}

  void set_int(std::int32_t value);
  // False: it does not fit the client's long.
  [[nodiscard]] bool set_long(std::uint64_t value);
  // Behind what was added before; all of it must fit kMostXenExtra.
  void add(base::Bytes extra);

  [[nodiscard]] std::size_t long_size() const { return abi_ == XenAbi::x86_64 ? 8 : 4; }
  [[nodiscard]] base::Buffer packet() const;

 private:
  XenHeader header_;
  XenAbi abi_;
  base::Buffer extra_;
};

// A structure in the client's memory.
class XenStructure {
 public:
  explicit XenStructure(std::size_t size) : bytes_(size) {}

  void put_byte(std::size_t at, std::uint8_t value) { bytes_[at] = value; }
  void put_short(std::size_t at, std::uint16_t value);
  void put_int(std::size_t at, std::uint32_t value);
  void put_long_long(std::size_t at, std::uint64_t value);
  // False: it does not fit the `size` bytes of a long.
  [[nodiscard]] bool put_long(std::size_t at, std::uint64_t value, std::size_t size);

  [[nodiscard]] base::Bytes bytes() const { return bytes_; }

 private:
  base::Buffer bytes_;
};

}  // namespace policy

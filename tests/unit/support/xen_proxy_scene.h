// Clients of the old Xen proxy before a gate in memory, and what a daemon says of one host with the
// running domain "web" (id 7) and the inactive one "old".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/unit/support/world.h"
#include "tests/unit/support/xend_scene.h"

namespace test {

inline constexpr std::uint16_t kLastXenCommand = 12;
inline constexpr std::int32_t kWebId = 7;

struct XenPacket {
  std::uint16_t version = 1;
  std::uint16_t command = 0;
  std::uint16_t serial = 1;
  std::optional<std::uint16_t> length;  // other than what it has
  std::uint64_t number = 0;             // int or long, at offset 8
  std::string extra;
};

std::string bytes_of_packet(const XenPacket& packet);
// The same for a command with what that has, as a client asks for "web".
std::string request_for(std::uint16_t command, std::uint16_t serial = 1);

struct XenReply {
  std::uint16_t command = 0;
  std::uint16_t serial = 0;
  std::uint16_t length = 0;
  std::int32_t argument = 0;
  std::uint64_t number = 0;
  std::string extra;
};

// All of `bytes`, which are whole packets.
std::vector<XenReply> replies_in(std::string_view bytes);

// A value of the machine at an offset.
template <typename Value>
Value value_at(std::string_view bytes, std::size_t at);

// The uuid of "web".
std::string web_uuid();

// How the daemon answers; what it knows nothing of gets an empty reply, which is malformed.
struct XenHost {
  std::string name = "web";
  std::int32_t id = kWebId;
  std::string xml = "<domain/>";
  std::uint64_t memory = 524288;
  std::uint32_t ids = 2;
  base::Buffer reply(const policy::Header& call, base::Bytes body) const;
};

class XenScene {
 public:
  explicit XenScene(policy::XenAbi abi = policy::XenAbi::x86_64);
  XenScene(const XenScene&) = delete;
  XenScene& operator=(const XenScene&) = delete;
  ~XenScene();

  TextClient& client(uid_t uid = 1000, std::size_t cut = 0);
  // One that has sent `bytes`, when all is quiet.
  TextClient& asked(std::string_view bytes, uid_t uid = 1000);
  // What has come for it.
  [[nodiscard]] static std::vector<XenReply> replies(const TextClient& client) {
    return replies_in(client.got);
  }

  World world;
  XenHost host;

 private:
  std::vector<std::unique_ptr<TextClient>> clients_;
};

}  // namespace test

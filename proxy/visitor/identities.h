// Whom the kernel's words about a peer mean. A process can be seen under a uid that is nobody's
// own: one that /etc/subuid lends to a user, who has thousands of them, or the overflow uid, which
// stands for all that our user namespace does not map.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "tunnel/io/peer.h"

namespace proxy {

class Identities {
 public:
  static constexpr std::size_t kMostRanges = 65536;

  // The uid of a user by name or number; nothing: there is none.
  using FindUser = std::function<std::optional<uid_t>(const std::string&)>;

  // Everybody is who the kernel says.
  Identities() = default;

  // The lines of subuid(5), each user looked up once. Malformed lines are ignored. Those
  // of root are left out: they belong to containers, which are not root. A range whose owner is not
  // known counts as one user, that of its first uid.
  void lend(std::string_view subuid, const FindUser& find_user);
  // What /proc/self/uid_map and gid_map say, and /proc/sys/kernel/overflowuid and overflowgid.
  void map(std::string_view uid_map, std::string_view gid_map, uid_t overflow_uid,
           gid_t overflow_gid);
  // The same from these files and /etc/subuid.
  static Identities of_system(const FindUser& find_user);
  // What is mapped is what it was when `first` was made: it does not change, and a process that has
  // given up files cannot read it again.
  void keep_map(const Identities& first) {
    overflow_uid_ = first.overflow_uid_;
    overflow_gid_ = first.overflow_gid_;
  }

  // Some users cannot be told apart here.
  [[nodiscard]] bool blurred() const { return overflow_uid_.has_value(); }
  [[nodiscard]] uid_t owner(uid_t uid) const;
  // owner(), or nobody in particular.
  [[nodiscard]] uid_t counted_as(uid_t uid) const;
  void apply(tunnel::io::Peer& peer) const;

 private:
  struct Range {
    std::uint64_t first = 0;
    std::uint64_t end = 0;
    uid_t owner = 0;
  };

  std::vector<Range> ranges_;  // by first; none overlap
  std::optional<uid_t> overflow_uid_;
  std::optional<gid_t> overflow_gid_;
};

}  // namespace proxy

#include "tunnel/io/peer.h"

#include <algorithm>

namespace tunnel::io {

bool Peer::in_group(gid_t group) const {
  return gid == group || std::find(groups.begin(), groups.end(), group) != groups.end();
}

}  // namespace tunnel::io

// How many descriptors clients leave to whatever else a gate needs them for: control, metrics,
// files, connections to targets, and to tell clients that there are none for them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>

#include "tunnel/io/descriptors.h"
#include "tunnel/io/loop.h"

namespace proxy {

class Headroom {
 public:
  // What the process has besides its streams is counted now. The loop outlives it.
  explicit Headroom(const tunnel::io::Loop& loop)
      : loop_(loop),
        limit_(tunnel::io::descriptor_limit()),
        kept_(tunnel::io::kept(tunnel::io::kKeptFromClients, limit_)),
        others_(tunnel::io::descriptors_in_use() + kept_ / 4) {}
  Headroom(const Headroom&) = delete;
  Headroom& operator=(const Headroom&) = delete;
  ~Headroom() = default;

  // Clients that may still come, if only to hear that they are too many.
  [[nodiscard]] std::size_t newcomers() const { return left() - std::min(left(), kept_); }
  // Another one may stay.
  [[nodiscard]] bool ok() const { return left() >= 2 * kept_; }
  [[nodiscard]] std::string refusal() const {
    return "virtgate has no descriptors left for another client: it may have " +
           std::to_string(limit_) + " (RLIMIT_NOFILE, or LimitNOFILE= of its unit)";
  }
  // How many clients fit beside so many sockets.
  static std::size_t clients_within(std::size_t limit, std::size_t sockets) {
    const std::size_t kept = tunnel::io::kept(tunnel::io::kKeptFromClients, limit);
    const std::size_t others = 2 * kept + kept / 4 + sockets + kUsual;
    return limit - std::min(limit, others);
  }

 private:
  // Standard streams, the loop's own, files.
  static constexpr std::size_t kUsual = 16;

  [[nodiscard]] std::size_t left() const {
    const std::size_t used = others_ + loop_.descriptors();
    return limit_ - std::min(limit_, used);
  }

  const tunnel::io::Loop& loop_;
  const std::size_t limit_;
  const std::size_t kept_;
  const std::size_t others_;
};

}  // namespace proxy

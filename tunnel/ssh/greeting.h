// The first words of an ssh server, read beside the library: lines before its version, the version,
// and the algorithms of its first key exchange (RFC 4253 sections 4.2 and 7.1). All of it comes
// before any encryption and is good for error messages only: libssh2 says that there is no common
// algorithm, not which.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace tunnel::ssh {

// Comma-separated names, best first.
struct Algorithms {
  std::string key_exchange;
  std::string host_key;
  std::string cipher;  // to the server; what it sends with is the same in practice
  std::string mac;
};

class Greeting {
 public:
  // Takes what the server sends, in any pieces, and stops looking once it has seen enough.
  void feed(base::Bytes data);

  // The first line that is no version, as servers send it that refuse at once. Cut.
  [[nodiscard]] const std::string& notice() const { return notice_; }
  // "SSH-2.0-..." Empty until it was there.
  [[nodiscard]] const std::string& version() const { return version_; }
  // Of the version's line, with its end; the version itself is cut.
  [[nodiscard]] std::size_t version_size() const { return version_size_; }
  [[nodiscard]] const std::optional<Algorithms>& algorithms() const { return algorithms_; }

 private:
  void take_lines();
  void take_packet();
  void stop();

  base::Buffer seen_;
  bool done_ = false;
  std::string notice_;
  std::string version_;
  std::size_t version_size_ = 0;
  std::optional<Algorithms> algorithms_;
};

// Of one kind of algorithm, what the server has and what is here.
struct Mismatch {
  std::string_view kind;  // "cipher", ...
  std::string_view key;   // of sshd_config: "Ciphers", ...
  std::string server;
  std::string ours;
};

// The kinds of algorithm that have nothing in common.
std::vector<Mismatch> nothing_in_common(const Algorithms& server, const Algorithms& ours);

}  // namespace tunnel::ssh

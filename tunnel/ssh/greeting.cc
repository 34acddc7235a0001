#include "tunnel/ssh/greeting.h"

#include <algorithm>

#include "tunnel/ssh/wire.h"

namespace tunnel::ssh {
namespace {

constexpr std::size_t kLongestLine = 1024;
constexpr std::size_t kLongestPacket = 35000;  // RFC 4253 section 6.1
constexpr std::size_t kMostSeen = std::size_t{64} * 1024;
constexpr std::uint8_t kKexInit = 20;

std::string_view first_of(std::string_view& names) {
  const std::size_t length = std::min(names.find(','), names.size());
  const std::string_view name = names.substr(0, length);
  names.remove_prefix(std::min(length + 1, names.size()));
  return name;
}

bool lists(std::string_view names, std::string_view wanted) {
  while (!names.empty()) {
    if (first_of(names) == wanted) return true;
  }
  return false;
}

// The first of ours that the server has too: what is agreed on.
std::string_view common(std::string_view server, std::string_view ours) {
  while (!ours.empty()) {
    const std::string_view name = first_of(ours);
    if (lists(server, name)) return name;
  }
  return {};
}

}  // namespace

void Greeting::stop() {
  done_ = true;
  seen_ = {};
}

void Greeting::feed(base::Bytes data) {
  if (done_) return;
  base::append(seen_, data.first(std::min(data.size(), kMostSeen)));
  if (version_.empty()) take_lines();
  if (!done_ && !version_.empty()) take_packet();
  if (seen_.size() > kMostSeen) stop();
}

void Greeting::take_lines() {
  const std::string_view seen = base::text_of(seen_);
  std::size_t begin = 0;
  while (version_.empty()) {
    const std::size_t end = seen.find('\n', begin);
    if (end == std::string_view::npos) break;
    std::string_view line = seen.substr(begin, std::min(end - begin, kLongestLine));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with("SSH-")) {
      version_ = line;
      version_size_ = end + 1 - begin;
    } else if (notice_.empty() && !line.empty()) {
      notice_ = line;
    }
    begin = end + 1;
  }
  seen_.erase(seen_.begin(), seen_.begin() + static_cast<std::ptrdiff_t>(begin));
}

void Greeting::take_packet() {
  WireReader frame(seen_);
  const std::uint32_t length = frame.number();
  if (!frame.ok()) return;
  if (length > kLongestPacket) return stop();
  WireReader packet(frame.raw(length));
  if (!frame.ok()) return;
  packet.byte();
  const std::uint8_t type = packet.byte();
  packet.raw(16);
  Algorithms found;
  found.key_exchange = packet.text();
  found.host_key = packet.text();
  found.cipher = packet.text();
  packet.text();
  found.mac = packet.text();
  if (packet.ok() && type == kKexInit) algorithms_ = found;
  stop();
}

std::vector<Mismatch> nothing_in_common(const Algorithms& server, const Algorithms& ours) {
  std::vector<Mismatch> out;
  const auto compare = [&](std::string_view kind, std::string_view key, const std::string& theirs,
                           const std::string& here) {
    if (common(theirs, here).empty()) out.push_back({kind, key, theirs, here});
  };
  compare("key exchange", "KexAlgorithms", server.key_exchange, ours.key_exchange);
  compare("host key", "HostKeyAlgorithms", server.host_key, ours.host_key);
  compare("cipher", "Ciphers", server.cipher, ours.cipher);
  const std::string_view cipher = common(server.cipher, ours.cipher);
  const bool authenticates = cipher.find("gcm") != std::string_view::npos ||
                             cipher.find("poly1305") != std::string_view::npos;
  if (!authenticates) compare("MAC", "MACs", server.mac, ours.mac);
  return out;
}

}  // namespace tunnel::ssh

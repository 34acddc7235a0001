#include "tunnel/ssh/known_hosts.h"

#include <algorithm>
#include <array>

#include "base/base64.h"
#include "base/pattern.h"
#include "base/text.h"
#include "tunnel/ssh/digest.h"
#include "tunnel/ssh/wire.h"
#include "tunnel/target.h"

namespace tunnel::ssh {
namespace {

constexpr std::size_t kMostNotes = 16;

// The next word, which blanks end; `text` loses it and the blanks around it.
std::string_view word(std::string_view& text) {
  const std::size_t start = text.find_first_not_of(" \t");
  if (start == std::string_view::npos) {
    text = {};
    return {};
  }
  text.remove_prefix(start);
  const std::size_t length = std::min(text.find_first_of(" \t"), text.size());
  const std::string_view taken = text.substr(0, length);
  text.remove_prefix(length);
  return taken;
}

bool matches(std::string_view pattern, std::string_view text) {
  return base::matches(pattern, text, base::Wildcards::star_and_question);
}

bool matches_hash(std::string_view hashed, std::string_view host) {
  const std::size_t bar = hashed.find('|');
  if (bar == std::string_view::npos) return false;
  const auto salt = base::decode_base64(hashed.substr(0, bar));
  const auto hash = base::decode_base64(hashed.substr(bar + 1));
  if (!salt || !hash || salt->empty()) return false;
  return hmac_sha1(*salt, base::bytes_of(host)) == *hash;
}

struct Algorithm {
  std::string_view name;
  std::string_view type;
};
constexpr std::array<Algorithm, 7> kBestFirst{{
    {"ssh-ed25519", "ssh-ed25519"},
    {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"},
    {"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"},
    {"ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521"},
    {"rsa-sha2-512", "ssh-rsa"},
    {"rsa-sha2-256", "ssh-rsa"},
    {"ssh-rsa", "ssh-rsa"},
}};

bool can_be_shown(std::string_view type) {
  return std::ranges::find(kBestFirst, type, &Algorithm::type) != kBestFirst.end();
}

}  // namespace

std::string_view key_type(base::Bytes key) {
  WireReader reader(key);
  return reader.text();
}

KnownHosts::KnownHosts(std::string_view host, std::uint16_t port)
    : bare_(port == kSshPort ? base::lower(host) : std::string()),
      with_port_("[" + base::lower(host) + "]:" + std::to_string(port)) {}

void KnownHosts::add_note(std::string text) {
  if (notes_.size() > kMostNotes) return;
  if (notes_.size() == kMostNotes) text = "known_hosts: and more lines that were skipped";
  notes_.push_back(std::move(text));
}

void KnownHosts::skip(const std::string& place, std::string_view why) {
  add_note(place + ": skipped: " + std::string(why));
}

bool KnownHosts::names_host(std::string_view patterns) const {
  if (patterns.starts_with("|1|")) {
    const std::string_view hashed = patterns.substr(3);
    return matches_hash(hashed, with_port_) || (!bare_.empty() && matches_hash(hashed, bare_));
  }
  bool found = false;
  while (!patterns.empty()) {
    const std::size_t length = std::min(patterns.find(','), patterns.size());
    std::string pattern = base::lower(patterns.substr(0, length));
    patterns.remove_prefix(std::min(length + 1, patterns.size()));
    const bool negated = pattern.starts_with('!');
    if (negated) pattern.erase(0, 1);
    if (pattern.empty()) continue;
    if (!matches(pattern, with_port_) && (bare_.empty() || !matches(pattern, bare_))) continue;
    if (negated) return false;
    found = true;
  }
  return found;
}

void KnownHosts::read(std::string_view file, std::string_view text) {
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t length = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, length);
    text.remove_prefix(std::min(length + 1, text.size()));
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) {
      line.remove_suffix(1);
    }
    const std::string place = std::string(file) + ":" + std::to_string(number);
    if (line.size() > kLongestKnownHostsLine) {
      skip(place, "the line is too long");
    } else {
      read_line(place, line);
    }
  }
}

void KnownHosts::read_line(const std::string& place, std::string_view line) {
  std::string_view hosts = word(line);
  if (hosts.empty() || hosts.starts_with('#')) return;
  const std::string_view mark = hosts.starts_with('@') ? hosts : std::string_view();
  if (!mark.empty()) hosts = word(line);
  const std::string_view type = word(line);
  const std::string_view encoded = word(line);
  if (encoded.empty()) return skip(place, "a host name, a key type and a key are expected");
  if (!mark.empty() && mark != "@revoked" && mark != "@cert-authority") {
    return skip(place, "the mark " + base::shortened(mark, 40) + " is not known");
  }
  if (hosts.starts_with('|') && !hosts.starts_with("|1|")) {
    return skip(place, "the name is hashed in an unknown way");
  }
  auto key = base::decode_base64(encoded);
  if (!key || key_type(*key) != type) {
    return skip(place, "the key cannot be decoded, or is of another type than the line says");
  }
  if (!names_host(hosts)) return;
  if (mark == "@cert-authority") {
    if (authority_.empty()) authority_ = place;
    return;
  }
  entries_.push_back({mark == "@revoked", std::string(type), std::move(*key), place});
}

HostKeyAnswer KnownHosts::check(base::Bytes key) const {
  using Kind = HostKeyAnswer::Kind;
  const auto same = [&](const Entry& entry) { return std::ranges::equal(entry.key, key); };
  // How well an entry explains why the key is not accepted.
  const auto rank = [&](const Entry& entry) {
    return entry.type == key_type(key) ? 2 : can_be_shown(entry.type) ? 1 : 0;
  };
  for (const Entry& entry : entries_) {
    if (entry.revoked && same(entry)) return {Kind::revoked, entry.place, {}, {}};
  }
  const Entry* other = nullptr;
  for (const Entry& entry : entries_) {
    if (entry.revoked) continue;
    if (same(entry)) return {Kind::known, entry.place, {}, {}};
    if (other == nullptr || rank(entry) > rank(*other)) other = &entry;
  }
  if (other == nullptr) return {};
  return {rank(*other) == 0 ? Kind::incomparable : Kind::changed, other->place, other->type,
          fingerprint(other->key)};
}

std::vector<std::string> KnownHosts::types() const {
  std::vector<std::string> types;
  for (const Entry& entry : entries_) {
    if (entry.revoked || std::ranges::find(types, entry.type) != types.end()) continue;
    types.push_back(entry.type);
  }
  return types;
}

std::string KnownHosts::line_for(base::Bytes key) const {
  return (bare_.empty() ? with_port_ : bare_) + " " + std::string(key_type(key)) + " " +
         base::encode_base64(key) + "\n";
}

std::vector<std::string> host_key_algorithms(const std::vector<std::string>& supported,
                                             const std::vector<std::string>& known_types) {
  std::vector<std::string> chosen;
  for (const bool known : {true, false}) {
    for (const Algorithm& algorithm : kBestFirst) {
      if (std::ranges::find(supported, algorithm.name) == supported.end()) continue;
      const bool is_known = std::ranges::find(known_types, algorithm.type) != known_types.end();
      if (is_known == known) chosen.emplace_back(algorithm.name);
    }
  }
  return chosen;
}

}  // namespace tunnel::ssh

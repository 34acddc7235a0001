#include "proxy/visitor/identities.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>

#include "conf/file.h"
#include "conf/text.h"
#include "policy/rules.h"

namespace proxy {
namespace {

constexpr std::uint64_t kUids = std::numeric_limits<std::uint32_t>::max();  // the last is no uid
constexpr std::size_t kLargestFile = std::size_t{8} << 20;

template <typename Each>
void each_line(std::string_view text, Each each) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    each(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

std::vector<std::string_view> fields_of(std::string_view line, std::string_view separators) {
  std::vector<std::string_view> out;
  for (;;) {
    const std::size_t end = line.find_first_of(separators);
    if (end != 0 && !line.empty()) out.push_back(line.substr(0, end));
    if (end == std::string_view::npos) return out;
    line.remove_prefix(end + 1);
  }
}

// Whether each id has one here. The kernel gives the lines without overlaps; without user
// namespaces there is no such file.
bool maps_all(std::string_view map) {
  if (map.empty()) return true;
  std::uint64_t mapped = 0;
  each_line(map, [&](std::string_view line) {
    const auto fields = fields_of(line, " \t");
    if (fields.size() == 3) mapped += conf::decimal(fields[2], kUids).value_or(0);
  });
  return mapped >= kUids;
}

// Files of /proc have no size, which read_file() asks for.
std::string of_kernel(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::uint32_t overflow(const std::string& path) {
  constexpr std::uint32_t kUsual = 65534;
  const std::string text = of_kernel(path);
  const auto number = conf::decimal(text.substr(0, text.find('\n')), kUids - 1);
  return number ? static_cast<std::uint32_t>(*number) : kUsual;
}

}  // namespace

void Identities::lend(std::string_view subuid, const FindUser& find_user) {
  ranges_.clear();
  std::map<std::string, std::optional<uid_t>, std::less<>> owners;
  std::vector<Range> all;
  each_line(subuid, [&](std::string_view line) {
    const auto fields = fields_of(line, ":");
    if (fields.size() != 3 || all.size() >= kMostRanges) return;
    const auto first = conf::decimal(fields[1], kUids - 1);
    const auto count = conf::decimal(fields[2], kUids);
    if (!first || !count || *count == 0) return;
    auto owner = owners.find(fields[0]);
    if (owner == owners.end()) {
      const std::string name(fields[0]);
      owner = owners.emplace(name, find_user(name)).first;
    }
    if (owner->second == uid_t{0}) return;
    all.push_back({*first, std::min(*first + *count, kUids),
                   owner->second.value_or(static_cast<uid_t>(*first))});
  });
  std::ranges::stable_sort(all, {}, &Range::first);
  // Of ranges that overlap the first has what both have.
  for (Range range : all) {
    if (!ranges_.empty()) range.first = std::max(range.first, ranges_.back().end);
    if (range.first < range.end) ranges_.push_back(range);
  }
}

void Identities::map(std::string_view uid_map, std::string_view gid_map, uid_t overflow_uid,
                     gid_t overflow_gid) {
  overflow_uid_.reset();
  overflow_gid_.reset();
  if (!maps_all(uid_map)) overflow_uid_ = overflow_uid;
  if (!maps_all(gid_map)) overflow_gid_ = overflow_gid;
}

Identities Identities::of_system(const FindUser& find_user) {
  Identities out;
  out.map(of_kernel("/proc/self/uid_map"), of_kernel("/proc/self/gid_map"),
          overflow("/proc/sys/kernel/overflowuid"), overflow("/proc/sys/kernel/overflowgid"));
  if (const auto subuid = conf::read_file("/etc/subuid", kLargestFile)) {
    out.lend(*subuid, find_user);
  }
  return out;
}

uid_t Identities::owner(uid_t uid) const {
  const auto after = std::ranges::upper_bound(ranges_, std::uint64_t{uid}, {}, &Range::first);
  if (after == ranges_.begin()) return uid;
  const Range& range = *std::prev(after);
  return uid < range.end ? range.owner : uid;
}

uid_t Identities::counted_as(uid_t uid) const {
  return overflow_uid_ == uid ? policy::kUnknown : owner(uid);
}

void Identities::apply(tunnel::io::Peer& peer) const {
  const uid_t said = peer.uid;
  peer.uid = counted_as(said);
  if (peer.uid != said) peer.subordinate = said;
  if (!overflow_gid_) return;
  if (peer.gid == *overflow_gid_) peer.gid = static_cast<gid_t>(-1);
  std::erase(peer.groups, *overflow_gid_);
}

}  // namespace proxy

#include "conf/accounts.h"

#include <cerrno>
#include <limits>
#include <vector>

#include <grp.h>
#include <pwd.h>

#include "conf/text.h"

namespace conf {
namespace {

// A group's entry holds all its members.
constexpr std::size_t kLongestEntry = 1U << 22;

template <typename Entry, typename LookUp>
std::optional<Entry> find_entry(const std::string& name, LookUp look_up) {
  for (std::size_t size = 4096; size <= kLongestEntry; size *= 4) {
    std::vector<char> buffer(size);
    Entry entry{};
    Entry* found = nullptr;
    const int result = look_up(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (result == ERANGE || result == EINTR) continue;
    if (found == nullptr) return std::nullopt;
    return entry;
  }
  return std::nullopt;
}

// All ones is what the kernel calls "no id".
std::optional<std::uint32_t> as_number(const std::string& text) {
  const auto number = decimal(text, std::numeric_limits<std::uint32_t>::max() - 1);
  if (!number) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

}  // namespace

std::optional<uid_t> find_user(const std::string& name_or_number) {
  if (const auto number = as_number(name_or_number)) return *number;
  const auto entry = find_entry<passwd>(name_or_number, getpwnam_r);
  if (!entry) return std::nullopt;
  return entry->pw_uid;
}

std::optional<gid_t> find_group(const std::string& name_or_number) {
  if (const auto number = as_number(name_or_number)) return *number;
  const auto entry = find_entry<group>(name_or_number, getgrnam_r);
  if (!entry) return std::nullopt;
  return entry->gr_gid;
}

}  // namespace conf

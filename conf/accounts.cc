#include "conf/accounts.h"

#include <algorithm>
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

// What `take` makes of the entry, whose texts go with it.
template <typename Entry, typename LookUp, typename Take>
auto from_entry(LookUp look_up, Take take) -> std::optional<decltype(take(Entry{}))> {
  for (std::size_t size = 4096; size <= kLongestEntry; size *= 4) {
    std::vector<char> buffer(size);
    Entry entry{};
    Entry* found = nullptr;
    const int result = look_up(&entry, buffer.data(), buffer.size(), &found);
    if (result == ERANGE || result == EINTR) continue;
    if (found == nullptr) return std::nullopt;
    return take(entry);
  }
  return std::nullopt;
}

// All ones is what the kernel calls "no id".
std::optional<std::uint32_t> as_number(const std::string& text) {
  const auto number = decimal(text, std::numeric_limits<std::uint32_t>::max() - 1);
  if (!number) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

// The kernel's overflow gid.
constexpr gid_t kNoGroup = 65534;

Account account_of(const passwd& entry) {
  Account account{entry.pw_uid, entry.pw_gid, {}};
  int count = 0;
  getgrouplist(entry.pw_name, entry.pw_gid, nullptr, &count);
  account.groups.resize(static_cast<std::size_t>(std::max(count, 0)));
  if (getgrouplist(entry.pw_name, entry.pw_gid, account.groups.data(), &count) < 0) {
    account.groups.clear();
  }
  return account;
}

}  // namespace

std::optional<uid_t> find_user(const std::string& name_or_number) {
  if (const auto number = as_number(name_or_number)) return *number;
  return from_entry<passwd>(
      [&](auto... rest) { return getpwnam_r(name_or_number.c_str(), rest...); },
      [](const passwd& entry) { return entry.pw_uid; });
}

std::optional<gid_t> find_group(const std::string& name_or_number) {
  if (const auto number = as_number(name_or_number)) return *number;
  return from_entry<group>(
      [&](auto... rest) { return getgrnam_r(name_or_number.c_str(), rest...); },
      [](const group& entry) { return entry.gr_gid; });
}

std::optional<Account> find_account(const std::string& name_or_number) {
  const auto uid = find_user(name_or_number);
  if (!uid) return std::nullopt;
  const auto account =
      from_entry<passwd>([&](auto... rest) { return getpwuid_r(*uid, rest...); }, account_of);
  return account ? account : Account{*uid, kNoGroup, {}};
}

}  // namespace conf

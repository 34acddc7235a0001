#include "conf/accounts.h"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <vector>

#include <grp.h>
#include <pwd.h>

#include "base/file.h"
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

std::string user_name(uid_t uid) {
  const auto name =
      from_entry<passwd>([&](auto... rest) { return getpwuid_r(uid, rest...); },
                         [](const passwd& entry) { return std::string(entry.pw_name); });
  return name.value_or(std::to_string(uid));
}

std::string group_name(gid_t gid) {
  const auto name =
      from_entry<group>([&](auto... rest) { return getgrgid_r(gid, rest...); },
                        [](const group& entry) { return std::string(entry.gr_name); });
  return name.value_or(std::to_string(gid));
}

std::string no_account(std::string_view what, std::string_view name) {
  const auto file = base::read_file(what == "user" ? "/etc/passwd" : "/etc/group", kLongestEntry);
  std::vector<std::string_view> names;
  std::string_view rest = file ? file->text.text() : std::string_view();
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    names.push_back(line.substr(0, line.find(':')));
  }
  return "there is no " + std::string(what) + ' ' + quoted(name) + did_you_mean(name, names);
}

std::optional<Account> find_account(const std::string& name_or_number) {
  const auto uid = find_user(name_or_number);
  if (!uid) return std::nullopt;
  const auto account =
      from_entry<passwd>([&](auto... rest) { return getpwuid_r(*uid, rest...); }, account_of);
  return account ? account : Account{*uid, kNoGroup, {}};
}

}  // namespace conf

// Users and groups by name or number, from the system's databases.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace conf {

// Nothing: there is none. A number needs no entry in the database.
std::optional<uid_t> find_user(const std::string& name_or_number);
std::optional<gid_t> find_group(const std::string& name_or_number);

// The number where it has no name.
std::string user_name(uid_t uid);
std::string group_name(gid_t gid);

// "there is no user "ana"; did you mean "anna"?". `what` is "user" or "group"; a near one is looked
// for among this host's own, /etc/passwd and /etc/group, which needs no network.
std::string no_account(std::string_view what, std::string_view name);

// As the kernel would vouch for a process of that user. A number without an entry has no groups,
// and the overflow gid as its own.
struct Account {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // supplementary ones
};
std::optional<Account> find_account(const std::string& name_or_number);

}  // namespace conf

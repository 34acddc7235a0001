#include "proxy/command/somebody.h"

namespace proxy {

base::Result<Somebody, std::string> somebody(const std::string& user,
                                             const std::vector<std::string>& groups) {
  const auto account = conf::find_account(user);
  if (!account) return base::Failure{conf::no_account("user", user)};
  Somebody out{*account};
  for (const std::string& name : groups) {
    const auto group = conf::find_group(name);
    if (!group) return base::Failure{conf::no_account("group", name)};
    out.account.groups.push_back(*group);
  }
  return out;
}

}  // namespace proxy

// Users as commands name them, with what the kernel would vouch for.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "conf/accounts.h"
#include "policy/access.h"

namespace proxy {

struct Somebody {
  conf::Account account;

  [[nodiscard]] policy::Identity identity() const {
    return {account.uid, account.gid, account.groups};
  }
};

// By name or number; `groups` are besides those that the user is in. The error is a sentence.
base::Result<Somebody, std::string> somebody(const std::string& user,
                                             const std::vector<std::string>& groups);

}  // namespace proxy

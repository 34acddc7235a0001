// Users and groups by name or number, from the system's databases.
#pragma once

#include <optional>
#include <string>

#include <sys/types.h>

namespace conf {

// Nothing: there is none. A number needs no entry in the database.
std::optional<uid_t> find_user(const std::string& name_or_number);
std::optional<gid_t> find_group(const std::string& name_or_number);

}  // namespace conf

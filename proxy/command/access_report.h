// Who may read what, for people who review the rules. It asks the code that decides in the gate.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conf/values.h"
#include "policy/access.h"
#include "proxy/command/somebody.h"

namespace proxy {

// A line of the matrix.
struct Person {
  std::string_view kind;  // "user", "group" or "other"
  std::optional<std::uint32_t> id;
  std::string name;  // raw
  Somebody who;      // for a group, somebody whom no rule names and who is in it
};

// Everybody whom rules tell apart: each user and each group that one of them names, in their order,
// and somebody whom none names. A name that is nobody's has no line. `lookup` has the account of a
// uid.
struct Accounts {
  conf::Account (*account)(std::uint32_t uid);
  std::string (*user_name)(std::uint32_t uid);
  std::string (*group_name)(std::uint32_t gid);
};
std::vector<Person> people_of(const policy::Rules& rules, const Accounts& accounts);

using Reviewed = std::span<const conf::TargetConfig* const>;

// What one person may do on each of the targets: lines of printable text.
std::string rights_text(const policy::Access& access, const Person& person, Reviewed targets);
// One JSON object in ASCII: kind, id, name and targets, each with target, sees, reason and, where
// it is seen, rule, calls, of, refused, pretended, secure_xml and limits.
std::string rights_json(const policy::Access& access, const Person& person, Reviewed targets);

// The same of all people, and the rules below: a table that can be printed. The JSON is an array.
std::string matrix_text(const policy::Access& access, std::span<const Person> people,
                        Reviewed targets);
std::string matrix_json(const policy::Access& access, std::span<const Person> people,
                        Reviewed targets);

}  // namespace proxy

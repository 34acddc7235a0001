// Names of procedures as people type them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "policy/procedures.h"

namespace proxy {

// In any case; nullptr: there is none.
const policy::Procedure* procedure_named(std::string_view name);

// "there is no procedure "X"; did you mean "Y"?"
std::string no_procedure(std::string_view name);

// What is wrong with a pattern of a rule; nothing: it names a procedure that a rule can allow.
std::optional<std::string> wrong_procedures(std::string_view pattern);

}  // namespace proxy

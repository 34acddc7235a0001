#include "proxy/service/procedure_names.h"

#include <algorithm>
#include <vector>

#include "conf/text.h"
#include "policy/access.h"
#include "policy/message.h"

namespace proxy {
namespace {

using policy::Procedure;

std::vector<std::string_view> all_names() {
  std::vector<std::string_view> names;
  for (const std::uint32_t program :
       {policy::kRemoteProgram, policy::kQemuProgram, policy::kLxcProgram}) {
    for (const Procedure& procedure : policy::procedures_of(program)) {
      names.push_back(procedure.name);
    }
  }
  return names;
}

std::string upper(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

}  // namespace

const Procedure* procedure_named(std::string_view name) {
  return policy::find_procedure(upper(name));
}

// A name is more often cut short than misspelt.
std::string no_procedure(std::string_view name) {
  const std::vector<std::string_view> names = all_names();
  const std::string wanted = upper(name);
  std::string_view longer;
  for (const std::string_view one : names) {
    if (one.starts_with(wanted + '_') && (longer.empty() || one.size() < longer.size())) {
      longer = one;
    }
  }
  const std::string said = "there is no procedure " + conf::quoted(name);
  if (!longer.empty()) return said + "; did you mean " + conf::quoted(longer) + "?";
  const std::string near = conf::did_you_mean(wanted, names);
  return said + (near.empty() ? "; \"virtgate policy list\" has them all" : near);
}

std::optional<std::string> wrong_procedures(std::string_view pattern) {
  if (policy::names_some_procedure(pattern)) return std::nullopt;
  if (pattern.find('*') != std::string_view::npos) {
    return "no procedure that may pass has a name like " + conf::quoted(pattern) +
           "; \"virtgate policy list\" has them all";
  }
  const Procedure* procedure = policy::find_procedure(pattern);
  if (procedure == nullptr) return no_procedure(pattern);
  if (procedure->rule != policy::Rule::deny) {
    return std::string(pattern) + " belongs to the connection itself and always passes; remove it";
  }
  std::string text = std::string(pattern) + " is more than reading and never passes; remove it";
  if (!procedure->note.empty()) text += " (" + std::string(procedure->note) + ')';
  return text;
}

}  // namespace proxy

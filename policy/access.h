// Which users may see which targets, and call what there. Rules only ever take away: what the
// filter (filter.h) refuses is refused whatever they say.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/arguments.h"
#include "policy/error.h"
#include "policy/procedures.h"
#include "policy/rules.h"

namespace policy {

// Whoever the kernel does not know in this user namespace, or does not tell apart: its overflow
// uid. Where there are rules, only one that names the number matches such a user.
inline constexpr std::uint32_t kNobody = 65534;

// A client, in the kernel's words.
struct Identity {
  std::uint32_t uid = kNobody;
  std::uint32_t gid = kNobody;
  std::span<const std::uint32_t> groups;  // supplementary ones
};

// A target, as rules see it.
struct Seen {
  template <std::convertible_to<std::string_view> Name>
  Seen(const Name& n, const UriParts* u = nullptr) : name(n), uri(u) {}

  std::string_view name;
  const UriParts* uri;  // of one that the configuration does not name, but open_uris lets pass
};

// What a rule comes to, or the lack of rules. The lists are in the order of addresses.
struct Effect {
  std::vector<const Procedure*> refused;
  std::vector<const Procedure*> pretended;
  SecureXml secure_xml = SecureXml::omit;
};

// What one user may do on one target. It is good as long as the Access that it comes from.
class Grant {
 public:
  // Everything that reads.
  Grant() = default;

  // The calls that make up a connection itself are not asked about and always pass.
  [[nodiscard]] bool may(const Procedure& procedure) const;
  // Of a call that was decoded as these arguments, when secure_xml says that it is not to be
  // amended but refused.
  [[nodiscard]] std::optional<Fault> refusal_of(const Procedure& procedure,
                                                const Arguments& arguments) const;
  // Whether a call that the filter refuses is answered as done all the same, and not sent on.
  [[nodiscard]] bool pretends(const Procedure& procedure) const;
  // The rule that decided; null when there are no rules.
  [[nodiscard]] const AccessRule* rule() const { return rule_; }
  // "rule 2 (virtgate.toml line 40)", or that there are no rules.
  [[nodiscard]] std::string because() const;

 private:
  friend class Access;
  const AccessRule* rule_ = nullptr;
  std::size_t number_ = 0;
  const Effect* effect_ = nullptr;
};

class Access {
 public:
  explicit Access(Rules rules);
  Access(const Access&) = delete;
  Access& operator=(const Access&) = delete;
  ~Access() = default;

  // By the first rule that matches both. The error says why there is none, in words for the client.
  [[nodiscard]] base::Result<Grant, std::string> grant(const Identity& who,
                                                       const Seen& target) const;
  // The first of open_uris that lets clients name it; null: none does.
  [[nodiscard]] const OpenUri* opens(const UriParts& uri) const;
  [[nodiscard]] const Rules& rules() const { return rules_; }

 private:
  const Rules rules_;
  Effect without_rules_;
  std::vector<Effect> effects_;  // by rule
};

// Whether some procedure that a rule can allow has a name like that.
bool names_some_procedure(std::string_view pattern);

}  // namespace policy

#include "proxy/upstream/topic.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "policy/procedures.h"

namespace proxy {

std::uint64_t kind_of(const Call& call) {
  const std::uint64_t asked =
      std::uint64_t{call.program} << 32U | static_cast<std::uint32_t>(call.procedure);
  const policy::Procedure* row = policy::find_procedure(call.program, call.procedure);
  const bool broad =
      call.subject.kind <= policy::SubjectKind::sweep || (row != nullptr && row->subject.several);
  return broad ? asked ^ std::hash<std::string_view>()(base::text_of(call.body)) : asked;
}

std::string question_of(const Call& call) {
  if (call.body.size() > kMostJoined || call.subject.kind == policy::SubjectKind::none) return {};
  const std::string_view body = base::text_of(call.body);
  std::string key;
  key.reserve(sizeof call.program + sizeof call.procedure + body.size());
  key.append(reinterpret_cast<const char*>(&call.program), sizeof call.program);
  key.append(reinterpret_cast<const char*>(&call.procedure), sizeof call.procedure);
  key += body;
  return key;
}

}  // namespace proxy

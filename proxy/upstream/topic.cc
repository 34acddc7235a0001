#include "proxy/upstream/topic.h"

#include <functional>
#include <string>

#include "base/bytes.h"
#include "policy/procedures.h"

namespace proxy {

std::uint64_t kind_of(const Call& call) {
  std::string key;
  key.append(reinterpret_cast<const char*>(&call.program), sizeof call.program);
  key.append(reinterpret_cast<const char*>(&call.procedure), sizeof call.procedure);
  const policy::Procedure* row = policy::find_procedure(call.program, call.procedure);
  const bool broad =
      call.subject.kind <= policy::SubjectKind::sweep || (row != nullptr && row->subject.several);
  if (broad) key += base::text_of(call.body);
  return std::hash<std::string>()(key);
}

}  // namespace proxy

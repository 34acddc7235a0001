// What a daemon sends for a call, or as an event. The input is the procedure's number, the
// arguments of the call as a string of XDR, and what was sent.
#include "policy/reply.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "policy/arguments.h"
#include "policy/xdr.h"

namespace {

// Only such bodies are ever sent.
bool is_call(const policy::Procedure& row, base::Bytes call) {
  if (row.rule == policy::Rule::event) return true;
  base::Buffer encoded;
  policy::Arguments arguments;
  return !policy::decode_arguments(row, call, encoded, arguments) &&
         base::text_of(encoded) == base::text_of(call);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  policy::XdrReader in({data, size});
  std::uint32_t number = 0;
  std::string_view call;
  if (!in.word(number) || !in.string(call)) return 0;
  const policy::Procedure* row =
      policy::find_procedure(policy::kRemoteProgram, static_cast<std::int32_t>(number));
  if (row == nullptr || row->rule == policy::Rule::deny) return 0;
  if (!is_call(*row, base::bytes_of(call))) return 0;
  const base::Bytes body{data + (size - in.left()), in.left()};
  const std::string objection = policy::objection_to_reply(*row, base::bytes_of(call), body);
  CHECK(objection.size() < 200);
  for (const char c : objection) CHECK(c >= ' ' && c <= '~');
  if (!objection.empty()) return 0;
  CHECK(body.size() % 4 == 0);
  base::Buffer longer(body.begin(), body.end());
  longer.resize(longer.size() + 4);
  CHECK(!policy::objection_to_reply(*row, base::bytes_of(call), longer).empty());
  if (body.empty()) return 0;
  const base::Bytes shorter = body.first(body.size() - 4);
  CHECK(!policy::objection_to_reply(*row, base::bytes_of(call), shorter).empty());
  return 0;
}

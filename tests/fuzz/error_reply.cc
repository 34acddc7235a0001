// Errors of daemons, as clients are to get them: nothing in them that a terminal obeys, and
// cleaning them twice changes nothing.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "base/text.h"
#include "policy/error.h"

namespace {

void check_text(std::string_view text) {
  const std::string clean = base::without_controls(text);
  CHECK(clean.size() <= text.size());
  CHECK(base::without_controls(clean) == clean);
  for (const char c : clean) {
    const auto byte = static_cast<unsigned char>(c);
    CHECK((byte >= 0x20 && byte != 0x7f) || c == '\n' || c == '\t');
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::Bytes body{data, size};
  check_text(base::text_of(body));
  const auto clean = policy::clean_error(body);
  if (!clean) return 0;
  const policy::RemoteError before = policy::decode_error(body);
  const policy::RemoteError after = policy::decode_error(*clean);
  CHECK(before.code == after.code);
  CHECK(after.text == base::without_controls(before.text));
  const auto again = policy::clean_error(*clean);
  CHECK(again && *again == *clean);
  return 0;
}

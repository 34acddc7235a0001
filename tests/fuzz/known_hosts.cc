// Any known_hosts text, host and offered key gets an answer, which names a place unless the key is
// unknown.
#include "tunnel/ssh/known_hosts.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t line = std::min(text.find('\n'), size);
  tunnel::ssh::KnownHosts known(text.substr(0, line), size % 2 == 0 ? 22 : 2222);
  known.read("file", text.substr(line));
  for (const std::string& type : known.types()) {
    if (type.empty()) std::abort();
  }
  const auto answer = known.check({data, size});
  if (answer.place.empty() != (answer.kind == tunnel::ssh::HostKeyAnswer::Kind::unknown)) {
    std::abort();
  }
  return 0;
}

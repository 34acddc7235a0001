// hosts(5): any text, any host. What is found is on a line of the text that has the host.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "tunnel/io/resolver.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using tunnel::io::addresses_in_hosts;
  const std::string_view input = base::text_of({data, size});
  const std::string_view host = input.substr(0, input.find('\n'));
  const std::string_view text = input.substr(std::min(host.size() + 1, input.size()));
  const auto found = addresses_in_hosts(text, host);
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  CHECK(found.size() <= lines);
  if (host.find_first_of(" \t\r#") != std::string_view::npos || host.empty()) {
    CHECK(found.empty());
    return 0;
  }
  // A line of its own adds one, wherever it is, and a comment none.
  const std::string line = "192.0.2.1 other " + std::string(host) + '\n';
  CHECK(addresses_in_hosts(line + std::string(text), host).size() == found.size() + 1);
  CHECK(addresses_in_hosts('#' + line + std::string(text), host).size() == found.size());
  return 0;
}

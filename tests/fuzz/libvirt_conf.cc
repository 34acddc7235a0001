// Any text either fails with a line of it or gives values that are parts of it.
#include "conf/libvirt_conf.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"

namespace {

bool same(const conf::LibvirtConf& a, const conf::LibvirtConf& b) {
  return a.uri_aliases == b.uri_aliases && a.uri_default == b.uri_default &&
         a.remote_mode == b.remote_mode && a.remote_proxy == b.remote_proxy &&
         a.tls_priority == b.tls_priority;
}

void check_values(const conf::LibvirtConf& conf, std::string_view text) {
  for (const std::string& alias : conf.uri_aliases) {
    CHECK(text.find(alias) != std::string_view::npos);
    const std::size_t equals = alias.find('=');
    const auto found = conf::find_alias(conf, alias.substr(0, equals));
    if (!found) CHECK(!found.error().empty());
    if (found && equals != std::string::npos) CHECK(found->has_value());
  }
  if (conf.uri_default) CHECK(text.find(*conf.uri_default) != std::string_view::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = base::text_of({data, size});
  const auto conf = conf::parse_libvirt_conf(text);
  if (!conf) {
    const auto lines = static_cast<std::uint32_t>(std::count(text.begin(), text.end(), '\n')) + 1;
    CHECK(conf.error().line >= 1 && conf.error().line <= lines);
    CHECK(!conf.error().text.empty());
    return 0;
  }
  check_values(*conf, text);
  // The first of a key counts, so what follows changes nothing; a line before does not either.
  const auto longer =
      conf::parse_libvirt_conf("# c\n\n" + std::string(text) + "\nunknown = [ 1 ]\n");
  CHECK(longer.ok() && same(*longer, *conf));
  return 0;
}

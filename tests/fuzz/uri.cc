// Any text either fails with a place in it or is a URI that means the same when it is read again.
#include "conf/uri.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "conf/config.h"
#include "conf/libvirt_conf.h"
#include "conf/names.h"
#include "conf/socket_path.h"
#include "conf/target.h"
#include "conf/text.h"
#include "conf/xend_target.h"

namespace {

bool is_plain(std::string_view name) {
  for (const char c : name) {
    if (!conf::is_letter(c) && !conf::is_digit(c) && c != '_') return false;
  }
  return true;
}

// Names of parameters are sent on unescaped, as libvirt does; others than these may read
// differently.
bool has_plain_names(const conf::Uri& uri) {
  for (const auto& [name, value] : uri.parameters) {
    if (!is_plain(name)) return false;
  }
  return true;
}

void check_name(const conf::Uri& uri) {
  const std::string name = conf::connect_name(uri);
  if (uri.parameter("name") || uri.driver == "remote" || !has_plain_names(uri)) return;
  CHECK(name.size() <= 3 * conf::kLongestUri + 3);
  // libvirt makes qemu:system into qemu://system, where the path has become a host.
  if (!uri.path.empty() && uri.path[0] != '/') return;
  if (name.size() > conf::kLongestUri) return;
  const auto again = conf::parse_uri(name);
  CHECK(again.ok());
  CHECK(again->driver == uri.driver);
  CHECK(again->transport.empty() && again->user.empty() && again->port == 0);
  CHECK(conf::connect_name(*again) == name);
}

void check_target(std::string_view text, const conf::Environment& environment) {
  const auto target = conf::target_of("t", text, environment);
  if (!target) {
    CHECK(!target.error().empty());
    return;
  }
  const bool rpc = target->protocol == conf::Protocol::rpc;
  CHECK(rpc != conf::is_xend_form(text));
  CHECK(!rpc || conf::transport_of(target->parsed) == target->tunnel.transport);
  for (const std::string& socket : target->tunnel.sockets) {
    CHECK(socket.size() <= conf::kLongestSocketPath);
    CHECK(socket[0] == '/');
  }
}

// A name leads to a target of the configuration or nowhere.
void check_meaning(std::string_view text) {
  static const conf::Loaded loaded = conf::parse_config(
      "[[listen]]\npath = \"/s\"\ntarget = \"b\"\n[targets]\n"
      "a = \"qemu:///system\"\nb = \"qemu+ssh://u@h:2/system?keyfile=/k\"\nc = "
      "\"test+unix:///default?socket=/x\"\nd = \"remote+tls://h/?name=xen:///\"\n"
      "e = \"///run/xend\"\n",
      "f", {});
  CHECK(loaded.mistakes.empty());
  conf::LibvirtConf libvirt;
  libvirt.uri_aliases = {"al=qemu:///system", "loop=al"};
  const auto meaning = conf::meaning_of(text, loaded.config, loaded.config.listen.front(), libvirt);
  if (!meaning) {
    CHECK(!meaning.error().empty() && meaning.error().size() < 4096);
    return;
  }
  CHECK(meaning->targets.size() == 1);
  const conf::TargetConfig* target = loaded.config.find(meaning->targets[0]);
  CHECK(target != nullptr && target->protocol == conf::Protocol::rpc);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = base::text_of({data, size});
  const auto uri = conf::parse_uri(text);
  if (uri) {
    check_name(*uri);
  } else {
    CHECK(uri.error().offset <= text.size() && !uri.error().text.empty());
  }
  conf::Environment environment;
  check_target(text, environment);
  environment.uid = 1000;
  environment.home = "/home/u";
  check_target(text, environment);
  check_meaning(text);
  return 0;
}

#include "conf/names.h"

#include <algorithm>
#include <utility>

#include "conf/target.h"
#include "conf/text.h"
#include "conf/uri.h"

namespace conf {
namespace {

using Answer = base::Result<Meaning, std::string>;

constexpr std::size_t kShownTargets = 10;

// Driver and path of what a target opens: those of name= where it has one.
struct Opened {
  std::string driver;
  std::string path;
};

// The driver takes both, and `xen` alone means the longer.
std::string_view path_meant(std::string_view driver, std::string_view path) {
  return driver == "xen" && path == "/" ? "/system" : path;
}

std::optional<Opened> opened_by(const Target& target) {
  if (!target.parsed.parameter("name")) {
    if (target.parsed.driver == "remote") return std::nullopt;
    return Opened{target.parsed.driver, target.parsed.path};
  }
  auto parsed = parse_uri(target.connect_name);
  if (!parsed) return std::nullopt;
  return Opened{parsed->driver, parsed->path};
}

bool opens(const Target& target, const Uri& local) {
  const auto opened = opened_by(target);
  return opened && opened->driver == local.driver &&
         path_meant(opened->driver, opened->path) == path_meant(local.driver, local.path);
}

// Whether two URIs have the same driver, transport, user, host, port and path, each as it is meant.
bool same_place(const Uri& a, const Uri& b) {
  const auto transport = transport_of(a);
  if (!transport || transport != transport_of(b)) return false;
  const bool users = *transport != tunnel::Transport::ssh || a.user == b.user;
  const auto host = [](const Uri& uri) {
    return uri.host.empty() ? std::string_view("localhost") : std::string_view(uri.host);
  };
  return users && a.driver == b.driver && same_ignoring_case(host(a), host(b)) &&
         port_of(a, *transport) == port_of(b, *transport) &&
         path_meant(a.driver, a.path) == path_meant(b.driver, b.path);
}

// The first parameter with which `asked` wants another way than `own` goes.
std::optional<std::string> other_way(const Uri& asked, const Uri& own) {
  for (const auto& [name, value] : asked.parameters) {
    if (is_transport_parameter(name) && asked.parameter(name) != own.parameter(name)) return name;
  }
  return std::nullopt;
}

bool speaks_rpc(const Target& target) { return target.protocol == Protocol::rpc; }

bool is_xen(std::string_view name) { return same_ignoring_case(name, "xen") || name == "xen://"; }

class LookUp {
 public:
  LookUp(const Config& config, const Listen& listen, const LibvirtConf& libvirt, const Shown& shown)
      : config_(config), listen_(listen), libvirt_(libvirt), shown_(shown) {}

  Answer of(std::optional<std::string_view> name);

 private:
  Answer of_nothing();
  Answer of_text(std::string_view name);
  Answer of_target(const Target& target, std::string reason) const;
  Answer of_uri(std::string_view text, const std::string& how);
  template <typename Means>
  Answer first_that(std::string_view text, const Uri& uri, const std::string& how, Means means);
  [[nodiscard]] std::string understood() const;
  [[nodiscard]] Answer refuse(std::string_view name, const std::string& why) const {
    return base::Failure{quoted(name) + ' ' + why + "; " + understood()};
  }

  const Config& config_;
  const Listen& listen_;
  const LibvirtConf& libvirt_;
  const Shown& shown_;
};

Answer LookUp::of(std::optional<std::string_view> name) {
  if (!name || name->empty()) return of_nothing();
  if (name->size() > kLongestName) {
    return base::Failure{"a name of " + std::to_string(name->size()) + " bytes is too long; " +
                         understood()};
  }
  return of_text(*name);
}

Answer LookUp::of_nothing() {
  if (const Target* own = config_.find(listen_.target)) {
    return of_target(*own, "the target of this socket");
  }
  if (!listen_.target.empty()) {
    return refuse(listen_.target, "is the target of this socket, and is not there any more");
  }
  if (libvirt_.uri_default && !libvirt_.uri_default->empty()) {
    Answer answer = of_text(*libvirt_.uri_default);
    if (!answer) return base::Failure{"uri_default of libvirt.conf: " + answer.error()};
    answer->reason = "uri_default of libvirt.conf, " + answer->reason;
    return answer;
  }
  Meaning meaning{{}, {}, "each target in turn"};
  for (const Target& target : config_.targets) {
    if (speaks_rpc(target)) meaning.targets.push_back(target.name);
  }
  if (meaning.targets.empty()) return base::Failure{std::string("there is no target")};
  return meaning;
}

Answer LookUp::of_target(const Target& target, std::string reason) const {
  if (speaks_rpc(target)) return Meaning{{target.name}, {}, std::move(reason)};
  return refuse(target.name,
                "is a legacy xend, which speaks HTTP, and only on sockets of the gate that are "
                "for it alone");
}

Answer LookUp::of_text(std::string_view name) {
  if (const Target* target = config_.find(name)) return of_target(*target, "the name of a target");
  if (is_xen(name)) return of_uri("xen:///system", "");
  const auto alias = find_alias(libvirt_, name);
  if (!alias) return base::Failure{alias.error()};
  if (!alias->has_value()) return of_uri(name, "");
  const std::string& value = **alias;
  const std::string how = "alias " + quoted(name) + " of libvirt.conf for " + quoted(value) + ", ";
  if (const Target* target = config_.find(value)) {
    return of_target(*target, how + "the name of a target");
  }
  return of_uri(value, how);
}

Answer LookUp::of_uri(std::string_view text, const std::string& how) {
  const auto uri = parse_uri(text);
  if (!uri) return refuse(text, "is neither the name of a target nor a URI");
  const auto transport = transport_of(*uri);
  if (!transport) return refuse(text, "names a transport that does not exist");
  if (*transport == tunnel::Transport::unix && uri->host.empty()) {
    return first_that(text, *uri, how + "the first target with this driver and path",
                      [&](const Target& target) { return opens(target, *uri); });
  }
  Answer answer = first_that(text, *uri, how + "the target with this URI",
                             [&](const Target& target) { return same_place(target.parsed, *uri); });
  if (answer || config_.rules.open_uris.empty()) return answer;
  auto opened = opened_uri(*uri);
  if (!opened) return refuse(text, "is the URI of no target, and " + opened.error());
  return Meaning{{}, std::move(*opened), how + "a URI that clients may name"};
}

template <typename Means>
Answer LookUp::first_that(std::string_view text, const Uri& uri, const std::string& how,
                          Means means) {
  std::optional<std::string> refused;
  const auto take = [&](const Target& target) {
    if (!speaks_rpc(target) || !means(target)) return false;
    const auto other = other_way(uri, target.parsed);
    if (other && !refused) refused = other;
    return !other;
  };
  const Target* own = config_.find(listen_.target);
  if (own != nullptr && take(*own)) return Meaning{{own->name}, {}, how};
  auto found = std::ranges::find_if(
      config_.targets, [&](const Target& target) { return take(target) && shown_(target); });
  // What every rule hides is meant too: its refusal says why.
  if (found == config_.targets.end()) found = std::ranges::find_if(config_.targets, take);
  if (found != config_.targets.end()) return Meaning{{found->name}, {}, how};
  if (refused) {
    return refuse(text, "asks with " + quoted(*refused) +
                            " for another way to the daemon than the gate takes");
  }
  return refuse(text, "is the URI of no target");
}

std::string LookUp::understood() const {
  std::string out;
  std::size_t count = 0;
  for (const Target& target : config_.targets) {
    if (!speaks_rpc(target) || !shown_(target) || ++count > kShownTargets) continue;
    out += (out.empty() ? "targets are " : ", ") + target.name;
  }
  if (count == 0) return "there are no targets";
  if (count > kShownTargets) out += " and " + std::to_string(count - kShownTargets) + " more";
  return out + "; a driver and path that one of them has, or its whole URI, is understood too";
}

}  // namespace

Answer meaning_of(std::optional<std::string_view> name, const Config& config, const Listen& listen,
                  const LibvirtConf& libvirt, const Shown& shown) {
  return LookUp(config, listen, libvirt, shown).of(name);
}

}  // namespace conf

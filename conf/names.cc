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

std::optional<Opened> opened_by(const TargetConfig& target) {
  if (!target.parsed.parameter("name")) {
    if (target.parsed.driver == "remote") return std::nullopt;
    return Opened{target.parsed.driver, target.parsed.path};
  }
  auto parsed = parse_uri(target.connect_name);
  if (!parsed) return std::nullopt;
  return Opened{parsed->driver, parsed->path};
}

bool opens(const TargetConfig& target, const Uri& local) {
  const auto opened = opened_by(target);
  return opened && opened->driver == local.driver &&
         path_meant(opened->driver, opened->path) == path_meant(local.driver, local.path);
}

// Whether they have the same driver: where only one target can be meant, the path says nothing.
bool is_driven_by(const TargetConfig& target, const Uri& local) {
  const auto opened = opened_by(target);
  return opened && opened->driver == local.driver;
}

// Whether two URIs have the same driver, transport, user, host, port and path, each as it is meant.
bool same_place(const Uri& a, const Uri& b) {
  const auto transport = transport_of(a);
  if (!transport || transport != transport_of(b)) return false;
  const bool users = *transport != tunnel::Transport::ssh || a.user == b.user;
  return users && a.driver == b.driver &&
         same_ignoring_case(a.host_or_localhost(), b.host_or_localhost()) &&
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

// A bridge has its standard input there, where a client's URI says which of its daemons is meant.
bool is_socket(const Listen& listen) {
  return listen.path.starts_with('/') || listen.path.starts_with('@');
}

std::string names_for(const TargetConfig& target) {
  const auto opened = opened_by(target);
  return opened ? "any name of driver " + opened->driver + " without a host" : "no name at all";
}

bool speaks_rpc(const TargetConfig& target) { return target.protocol == Protocol::rpc; }

bool is_xen(std::string_view name) { return same_ignoring_case(name, "xen") || name == "xen://"; }

class NameLookUp {
 public:
  NameLookUp(const Config& config, const Listen& listen, const LibvirtConf& libvirt,
             const Shown& shown)
      : config_(config), listen_(listen), libvirt_(libvirt), shown_(shown) {}

  Answer of(std::optional<std::string_view> name);

 private:
  Answer of_nothing();
  Answer of_text(std::string_view name);
  Answer of_target(const TargetConfig& target, std::string reason) const;
  Answer of_uri(std::string_view text, const std::string& how);
  template <typename Means>
  Answer first_that(std::string_view text, const Uri& uri, const std::string& how, Means means);
  // One that is hidden is as if it did not exist.
  [[nodiscard]] const TargetConfig* find(std::string_view name) const {
    const TargetConfig* found = config_.find(name);
    return found != nullptr && shown_(*found) ? found : nullptr;
  }
  [[nodiscard]] std::string names(const std::string& lead) const;
  [[nodiscard]] std::string understood() const { return names("targets are "); }
  [[nodiscard]] Answer refuse(std::string_view name, const std::string& why) const {
    return base::Failure{quoted(name) + ' ' + why + "; " + understood()};
  }
  [[nodiscard]] Answer no_such_uri(std::string_view uri, const std::string& why = "") const {
    return base::Failure{"no target has the URI " + quoted(uri) + why + "; " +
                         names("add &name=TARGET, one of: ")};
  }

  const Config& config_;
  const Listen& listen_;
  const LibvirtConf& libvirt_;
  const Shown& shown_;
};

Answer NameLookUp::of(std::optional<std::string_view> name) {
  if (!name || name->empty()) return of_nothing();
  if (name->size() > kLongestName) {
    return base::Failure{"a name of " + std::to_string(name->size()) + " bytes is too long; " +
                         understood()};
  }
  return of_text(*name);
}

Answer NameLookUp::of_nothing() {
  if (const TargetConfig* own = find(listen_.target)) {
    return of_target(*own, "the target of this socket");
  }
  if (!listen_.target.empty()) {
    return base::Failure{"the target of this socket is not there; " + understood()};
  }
  if (libvirt_.uri_default && !libvirt_.uri_default->empty()) {
    Answer answer = of_text(*libvirt_.uri_default);
    if (!answer) return base::Failure{"uri_default of libvirt.conf: " + answer.error()};
    answer->reason = "uri_default of libvirt.conf, " + answer->reason;
    return answer;
  }
  Meaning meaning{{}, {}, "each target in turn"};
  for (const TargetConfig& target : config_.targets) {
    if (speaks_rpc(target) && shown_(target)) meaning.targets.push_back(target.name);
  }
  if (meaning.targets.empty()) return base::Failure{std::string("there is no target")};
  return meaning;
}

Answer NameLookUp::of_target(const TargetConfig& target, std::string reason) const {
  if (speaks_rpc(target)) return Meaning{{target.name}, {}, std::move(reason)};
  return refuse(target.name,
                "is a legacy xend, which speaks HTTP, and only on sockets of the gate that are "
                "for it alone");
}

Answer NameLookUp::of_text(std::string_view name) {
  if (const TargetConfig* target = find(name)) return of_target(*target, "the name of a target");
  if (is_xen(name)) return of_uri("xen:///system", "");
  const auto alias = find_alias(libvirt_, name);
  if (!alias) return base::Failure{alias.error()};
  if (!alias->has_value()) return of_uri(name, "");
  const std::string& value = **alias;
  const std::string how = "alias " + quoted(name) + " of libvirt.conf for " + quoted(value) + ", ";
  if (const TargetConfig* target = find(value)) {
    return of_target(*target, how + "the name of a target");
  }
  return of_uri(value, how);
}

Answer NameLookUp::of_uri(std::string_view text, const std::string& how) {
  const auto uri = parse_uri(text);
  if (!uri) return base::Failure{"there is no target " + quoted(text) + "; " + understood()};
  const auto transport = transport_of(*uri);
  if (!transport) return refuse(text, "names a transport that does not exist");
  if (*transport == tunnel::Transport::unix && uri->host.empty()) {
    const TargetConfig* own = find(listen_.target);
    if (own != nullptr && is_socket(listen_) && speaks_rpc(*own) && is_driven_by(*own, *uri) &&
        !other_way(*uri, own->parsed)) {
      return Meaning{{own->name}, {}, how + "the target of this socket, which has this driver"};
    }
    return first_that(text, *uri, how + "the first target with this driver and path",
                      [&](const TargetConfig& target) { return opens(target, *uri); });
  }
  Answer answer =
      first_that(text, *uri, how + "the target with this URI",
                 [&](const TargetConfig& target) { return same_place(target.parsed, *uri); });
  if (answer || config_.rules.open_uris.empty()) return answer;
  auto opened = opened_uri(*uri);
  if (!opened) return no_such_uri(text, ", and open_uris cannot take it: it " + opened.error());
  return Meaning{{}, std::move(*opened), how + "a URI that clients may name"};
}

template <typename Means>
Answer NameLookUp::first_that(std::string_view text, const Uri& uri, const std::string& how,
                              Means means) {
  std::optional<std::string> refused;
  const auto take = [&](const TargetConfig& target) {
    if (!speaks_rpc(target) || !shown_(target) || !means(target)) return false;
    const auto other = other_way(uri, target.parsed);
    if (other && !refused) refused = other;
    return !other;
  };
  const TargetConfig* own = find(listen_.target);
  if (own != nullptr && take(*own)) return Meaning{{own->name}, {}, how};
  const auto found = std::ranges::find_if(config_.targets, take);
  if (found != config_.targets.end()) return Meaning{{found->name}, {}, how};
  if (refused) {
    return refuse(text, "asks with " + quoted(*refused) +
                            " for another way to the daemon than the gate takes");
  }
  return no_such_uri(text);
}

std::string NameLookUp::names(const std::string& lead) const {
  const TargetConfig* own = find(listen_.target);
  if (own != nullptr && is_socket(listen_) && speaks_rpc(*own)) {
    return "this socket is for target " + own->name + ", which " + names_for(*own) + " means";
  }
  std::string out;
  std::size_t count = 0;
  for (const TargetConfig& target : config_.targets) {
    if (!speaks_rpc(target) || !shown_(target) || ++count > kShownTargets) continue;
    out += (out.empty() ? lead : std::string(", ")) + target.name;
  }
  if (count == 0) return "there are no targets";
  if (count > kShownTargets) out += " and " + std::to_string(count - kShownTargets) + " more";
  return out;
}

}  // namespace

Answer meaning_of(std::optional<std::string_view> name, const Config& config, const Listen& listen,
                  const LibvirtConf& libvirt, const Shown& shown) {
  return NameLookUp(config, listen, libvirt, shown).of(name);
}

}  // namespace conf

#include "proxy/command/choose_target.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <unistd.h>

#include "conf/config.h"
#include "conf/resolve.h"
#include "conf/target.h"
#include "conf/text.h"
#include "conf/xend_target.h"
#include "proxy/command/command_text.h"
#include "proxy/service/settings.h"

namespace proxy {
namespace {

constexpr const char* kNobodyChose = "remote+unix:///";
constexpr const char* kNobodyChoseUser = "remote+unix:///session";

bool there(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

base::Result<Chosen, std::string> protected_or_not(
    base::Result<conf::TargetConfig, std::string> target, const Wanted& wanted,
    conf::Environment environment, bool open_choice) {
  if (!target) return base::Failure{target.error()};
  target->tunnel.insecure = wanted.insecure;
  if (const auto why = conf::why_unprotected(*target)) {
    return base::Failure{*why + " (here: --insecure)"};
  }
  return Chosen{std::move(target).value(), std::move(environment), std::nullopt, open_choice};
}

// What libvirt's client would open, or a xend, which no client of today would.
base::Result<Chosen, std::string> by_uri(const Wanted& wanted) {
  if (wanted.what && conf::is_xend_form(*wanted.what)) {
    return protected_or_not(conf::xend_target_of(*wanted.what, *wanted.what), wanted,
                            conf::process_environment(), false);
  }
  conf::ClientEnvironment environment = conf::client_environment();
  const auto libvirt = conf::load_libvirt_conf(environment.process);
  if (!libvirt) return base::Failure{conf::to_string(libvirt.error())};
  const conf::Resolution resolution =
      conf::resolve({wanted.what, conf::kConnectReadOnly}, environment, *libvirt, there);
  if (resolution.error) return base::Failure{*resolution.error};
  if (resolution.transport.empty()) {
    return base::Failure{"there is no daemon to ask: " + resolution.steps.back()};
  }
  environment.process.remote_mode = libvirt->remote_mode;
  environment.process.remote_proxy = libvirt->remote_proxy;
  std::string uri = resolution.uri;
  if (uri.empty()) uri = environment.process.uid == 0 ? kNobodyChose : kNobodyChoseUser;
  auto target = conf::target_of(uri, uri, environment.process);
  return protected_or_not(std::move(target), wanted, std::move(environment.process),
                          resolution.uri.empty());
}

constexpr std::size_t kShownTargets = 20;

bool is_name(const Wanted& wanted) { return wanted.what && !conf::wrong_target_name(*wanted.what); }

}  // namespace

std::optional<conf::Loaded> sound_configuration(const std::optional<std::string>& file) {
  Sources named;
  named.config = file;
  conf::Loaded loaded = configuration(named);
  if (complain(loaded.mistakes)) return std::nullopt;
  return loaded;
}

std::string no_target(std::string_view name, const conf::Config& config) {
  const auto& targets = config.targets;
  std::string said = conf::no_target(name, targets, &conf::TargetConfig::name);
  if (targets.empty() || said.ends_with('?')) return said;
  said += "; targets are ";
  for (std::size_t i = 0; i < std::min(targets.size(), kShownTargets); ++i) {
    if (i > 0) said += ", ";
    said += targets[i].name;
  }
  if (targets.size() > kShownTargets) {
    said += " and ";
    said += std::to_string(targets.size() - kShownTargets);
    said += " more";
  }
  return said;
}

base::Result<Chosen, std::string> choose_target(const Wanted& wanted) {
  if (!wanted.config && !is_name(wanted)) return by_uri(wanted);
  Sources named;
  named.config = wanted.config;
  conf::Loaded loaded = configuration(named);
  if (wanted.config && complain(loaded.mistakes)) return base::Failure{std::string()};
  const conf::TargetConfig* target = wanted.what ? loaded.config.find(*wanted.what) : nullptr;
  if (target == nullptr) {
    auto other = by_uri(wanted);
    if (other || !is_name(wanted)) return other;
    return base::Failure{no_target(*wanted.what, loaded.config) + "; and it is no URI or alias"};
  }
  conf::TargetConfig copy = *target;
  copy.tunnel.insecure = copy.tunnel.insecure || wanted.insecure;
  return Chosen{std::move(copy), conf::process_environment(), std::move(loaded.config), false};
}

}  // namespace proxy

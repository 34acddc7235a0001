#include <cstdio>

#include <unistd.h>

#include "base/text.h"
#include "conf/explain.h"
#include "conf/names.h"
#include "conf/resolve.h"
#include "conf/text.h"
#include "conf/xend_target.h"
#include "proxy/command_text.h"
#include "proxy/commands.h"
#include "proxy/serve.h"

namespace proxy {
namespace {

bool there(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

// The text of a gate's configuration goes where libvirt's own aliases would: before them, and for
// the same words.
conf::Resolution of_target(const conf::Target& target, const ResolveOptions& options,
                           conf::Question question, const conf::LibvirtConf& libvirt) {
  question.text = target.uri;
  question.flags |= conf::kConnectNoAliases;
  auto out = conf::resolve(question, conf::client_environment(), libvirt, there);
  out.input = options.uri;
  out.source = "target";
  out.steps.insert(out.steps.begin(), conf::quoted(target.name) + " is the name of a target in " +
                                          conf::quoted(target.place.file));
  return out;
}

// No client of libvirt's is meant by it, so there is nothing to resolve for one.
conf::Resolution of_xend(const conf::Target& target, const ResolveOptions& options,
                         const conf::Config& config) {
  conf::Resolution out;
  out.input = options.uri;
  out.source = "target";
  out.uri = target.uri;
  out.steps.push_back(conf::quoted(target.name) + " is the name of a target in " +
                      conf::quoted(target.place.file));
  out.steps.push_back(conf::quoted(target.uri) + " means a legacy xend, at " +
                      conf::xend_place(target));
  const bool local = target.tunnel.transport == tunnel::Transport::unix;
  out.transport = local ? "unix" : "tcp";
  out.secure = local;
  out.host = target.tunnel.host;
  out.port = target.tunnel.port;
  for (const std::string& path : target.tunnel.sockets) {
    out.socket = path;
    out.candidates.push_back({path, there(path)});
  }
  bool served = false;
  for (const conf::Listen& listen : config.listen) {
    if (listen.target != target.name) continue;
    served = true;
    out.notes.push_back("the gate speaks HTTP to its clients on " + conf::quoted(listen.path));
  }
  if (!served) out.notes.emplace_back("no [[listen]] has this target, so nobody can reach it");
  out.notes.emplace_back("clients of libvirt speak RPC, and cannot name this target");
  return out;
}

// What the gate understands when a client sends it what this one would.
void add_meanings(conf::Resolution& to, const conf::Config& config,
                  const conf::LibvirtConf& libvirt) {
  const std::string sent = to.transport == "unix" ? to.name.value_or("") : to.uri;
  for (const conf::Listen& listen : config.listen) {
    if (!config.speaks_rpc(listen)) continue;
    const auto meaning = conf::meaning_of(sent, config, listen, libvirt);
    std::string text =
        "the gate that is asked for " + conf::quoted(sent) + " on " + conf::quoted(listen.path);
    if (!meaning) {
      to.notes.push_back(text + " refuses: " + meaning.error());
      continue;
    }
    text += " takes ";
    for (std::size_t i = 0; i < meaning->targets.size(); ++i) {
      text += (i == 0 ? "" : ", then ") + conf::quoted(meaning->targets[i]);
    }
    to.notes.push_back(text + " (" + meaning->reason + ")");
  }
}

conf::Resolution with_config(const ResolveOptions& options, const conf::Question& question,
                             const conf::LibvirtConf& libvirt, const conf::Config& config) {
  const conf::Target* target = question.text ? config.find(*question.text) : nullptr;
  if (target != nullptr && target->protocol == conf::Protocol::xend) {
    return of_xend(*target, options, config);
  }
  if (target != nullptr) return of_target(*target, options, question, libvirt);
  auto out = conf::resolve(question, conf::client_environment(), libvirt, there);
  if (!out.error) add_meanings(out, config, libvirt);
  return out;
}

int show(const conf::Resolution& resolution, bool json) {
  const std::string text = json ? conf::as_json(resolution) : conf::explained(resolution);
  std::fputs(text.c_str(), stdout);
  return resolution.error ? 1 : 0;
}

}  // namespace

int resolve(const ResolveOptions& options) {
  conf::Question question;
  question.text = options.uri;
  if (options.read_only) question.flags |= conf::kConnectReadOnly;
  const auto libvirt = conf::load_libvirt_conf(conf::process_environment());
  if (!libvirt) {
    conf::Resolution failed;
    failed.input = options.uri;
    failed.error = base::printable(
        "every connection fails with this file: " + conf::to_string(libvirt.error()), 4096);
    return show(failed, options.json);
  }
  if (!options.config) {
    return show(conf::resolve(question, conf::client_environment(), *libvirt, there), options.json);
  }
  ServeOptions named;
  named.config = options.config;
  const conf::Loaded loaded = configuration(named);
  if (complain(loaded.mistakes)) return 1;
  return show(with_config(options, question, *libvirt, loaded.config), options.json);
}

}  // namespace proxy

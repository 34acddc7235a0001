#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

#include "conf/config.h"
#include "conf/explain.h"
#include "conf/names.h"
#include "conf/resolve.h"
#include "conf/text.h"
#include "conf/xend_target.h"
#include "proxy/command/choose_target.h"
#include "proxy/command/commands.h"

namespace proxy {
namespace {

bool there(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

// The text of a gate's configuration goes where libvirt's own aliases would: before them, and for
// the same words.
conf::Resolution of_target(const conf::TargetConfig& target, const ResolveOptions& options,
                           conf::UriQuestion question, const conf::LibvirtConf& libvirt) {
  question.text = target.uri;
  question.flags |= conf::kConnectNoAliases;
  auto out = conf::resolve(question, conf::client_environment(), libvirt, there);
  out.input = options.uri;
  out.source = "target";
  out.steps.insert(out.steps.begin(), conf::quoted(target.name) + " is the name of a target in " +
                                          conf::quoted(target.position.file));
  return out;
}

// No client of libvirt's is meant by it, so there is nothing to resolve for one.
conf::Resolution of_xend(const conf::TargetConfig& target, const ResolveOptions& options,
                         const conf::Config& config) {
  conf::Resolution out;
  out.input = options.uri;
  out.source = "target";
  out.uri = target.uri;
  out.steps.push_back(conf::quoted(target.name) + " is the name of a target in " +
                      conf::quoted(target.position.file));
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

// What one name means on some of the gate's sockets.
struct Understood {
  std::string one;   // on one of them
  std::string many;  // on several that are each for a target of its own
  std::vector<std::string> paths;
};

// The target that a socket is for is all that such refusals differ in.
std::string without_own_target(const std::string& error) {
  return error.substr(0, error.find("; this socket is for target "));
}

Understood understood(const std::string& sent, const conf::Config& config,
                      const conf::Listen& listen, const conf::LibvirtConf& libvirt) {
  const auto meaning = conf::meaning_of(sent, config, listen, libvirt);
  if (!meaning) {
    return {"is refused: " + meaning.error(),
            "is refused: " + without_own_target(meaning.error()),
            {listen.path}};
  }
  std::string text = "means ";
  for (std::size_t i = 0; i < meaning->targets.size(); ++i) {
    text += (i == 0 ? "" : ", then ") + conf::quoted(meaning->targets[i]);
  }
  if (meaning->opened) text += conf::quoted(meaning->opened->text);
  text += " (" + meaning->reason + ")";
  const bool own = meaning->targets == std::vector<std::string>{listen.target};
  return {text,
          own ? "means the target that the socket is for (" + meaning->reason + ")" : text,
          {listen.path}};
}

std::string some_of(const std::vector<std::string>& paths) {
  constexpr std::size_t kShown = 3;
  std::string text;
  for (std::size_t i = 0; i < std::min(paths.size(), kShown); ++i) {
    text += (i == 0 ? "" : ", ") + conf::quoted(paths[i]);
  }
  if (paths.size() > kShown) text += " and " + std::to_string(paths.size() - kShown) + " more";
  return text;
}

// What the gate understands when a client sends it what this one would: on the socket that the URI
// names, or else on all, of which those that understand the same share a note.
void add_meanings(conf::Resolution& to, const conf::Config& config,
                  const conf::LibvirtConf& libvirt) {
  const std::string sent = to.transport == "unix" ? to.name.value_or("") : to.uri;
  const auto named = [&](const conf::Listen& one) { return one.path == to.socket; };
  const bool names_one = std::any_of(config.listen.begin(), config.listen.end(), named);
  if (!names_one && to.parsed.parameter("socket")) {
    to.notes.push_back(conf::quoted(to.socket.value_or("")) + " is none of the gate's sockets");
    return;
  }
  std::vector<Understood> answers;
  for (const conf::Listen& listen : config.listen) {
    if (!config.speaks_rpc(listen) || (names_one && !named(listen))) continue;
    Understood answer = understood(sent, config, listen, libvirt);
    const auto same = std::ranges::find(answers, answer.many, &Understood::many);
    if (same == answers.end()) {
      answers.push_back(std::move(answer));
    } else {
      same->paths.push_back(listen.path);
    }
  }
  for (const Understood& answer : answers) {
    const bool several = answer.paths.size() > 1;
    to.notes.push_back((several ? "on the gate's sockets " : "on the gate's socket ") +
                       some_of(answer.paths) + ", " + conf::quoted(sent) + ' ' +
                       (several ? answer.many : answer.one));
  }
}

conf::Resolution with_config(const ResolveOptions& options, const conf::UriQuestion& question,
                             const conf::LibvirtConf& libvirt, const conf::Config& config) {
  const conf::TargetConfig* target = question.text ? config.find(*question.text) : nullptr;
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
  return resolution.error || resolution.hopeless ? 1 : 0;
}

}  // namespace

int resolve(const ResolveOptions& options) {
  conf::UriQuestion question;
  question.text = options.uri;
  if (options.read_only) question.flags |= conf::kConnectReadOnly;
  const auto libvirt = conf::load_libvirt_conf(conf::process_environment());
  if (!libvirt) {
    conf::Resolution failed;
    failed.input = options.uri;
    failed.error = "every connection fails with this file: " + conf::to_string(libvirt.error());
    return show(failed, options.json);
  }
  if (!options.config) {
    return show(conf::resolve(question, conf::client_environment(), *libvirt, there), options.json);
  }
  const auto loaded = sound_configuration(options.config);
  if (!loaded) return 1;
  return show(with_config(options, question, *libvirt, loaded->config), options.json);
}

}  // namespace proxy

#include <cstdio>
#include <exception>

#include <CLI/CLI.hpp>

#include "base/check.h"
#include "proxy/commands.h"
#include "proxy/log.h"
#include "proxy/other_programs.h"
#include "proxy/serve.h"

namespace {

constexpr int kUsedWrongly = 2;
constexpr std::uint32_t kMostCalls = 100000;

// What the command line says, for whichever command it names.
struct Options {
  bool verbose = false;
  proxy::Level log_level = proxy::Level::info;
  proxy::ServeOptions serve;
  proxy::ResolveOptions resolve;
  proxy::PingOptions ping;
  proxy::AliasesOptions aliases;
  proxy::StatusOptions status;
  bool policy_json = false;
  proxy::ExplainOptions explain;
  proxy::BridgeOptions bridge;
};

proxy::Level level_of(const std::string& name) {
  using proxy::Level;
  for (const Level level : {Level::debug, Level::info, Level::warning}) {
    if (level_name(level) == name) return level;
  }
  return Level::error;
}

template <typename T>
CLI::Option* add_config(CLI::App& command, T& to, const char* what) {
  return command.add_option("--config", to, what)->type_name("FILE");
}

CLI::App* add_serve(CLI::App& app, proxy::Level& level, proxy::ServeOptions& options) {
  CLI::App* command = app.add_subcommand("serve", "Run the gate in the foreground");
  add_config(*command, options.config, "Configuration file; conf.d/*.toml beside it is read too");
  command
      ->add_option("--listen", options.listen, "A socket to listen on besides; @NAME is abstract")
      ->type_name("PATH");
  command->add_option("--target", options.targets, "A target besides")->type_name("NAME=URI");
  command->add_flag("--check", options.check, "Report every mistake in the configuration, and end");
  command
      ->add_option_function<std::string>(
          "--log-level", [&level](const std::string& name) { level = level_of(name); },
          "The least that is logged, info if not given; -v is debug")
      ->type_name("LEVEL")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  return command;
}

CLI::App* add_resolve(CLI::App& app, proxy::ResolveOptions& options) {
  CLI::App* command =
      app.add_subcommand("resolve",
                         "Say step by step what a connection URI means to libvirt's clients, and "
                         "what a gate does otherwise");
  command->add_option("URI", options.uri,
                      "A URI or an alias; without one, what clients open that are given none");
  command->add_flag("--json", options.json, "One JSON object");
  command->add_flag("-r,--read-only", options.read_only, "As a client that opens read-only");
  add_config(*command, options.config,
             "A gate's configuration: its targets come first, and the notes say what its sockets "
             "make of the URI");
  return command;
}

CLI::App* add_ping(CLI::App& app, proxy::PingOptions& options) {
  CLI::App* command = app.add_subcommand(
      "ping", "Open a connection, show the time of each stage, and who answered");
  command
      ->add_option("TARGET", options.what,
                   "A target of the configuration, or a URI, which is opened with your own "
                   "credentials; without one, what clients open that are given none")
      ->type_name("TARGET|URI");
  command->add_option("-n,--count", options.count, "Calls to time, 1 if not given")
      ->type_name("COUNT")
      ->check(CLI::Range(std::uint32_t{1}, kMostCalls));
  command->add_flag("--json", options.json, "One JSON object");
  command->add_flag("--insecure", options.insecure,
                    "Accept a connection that is neither encrypted nor authenticated");
  add_config(*command, options.config, "Where targets are looked up");
  return command;
}

CLI::App* add_aliases(CLI::App& app, proxy::AliasesOptions& options) {
  CLI::App* command = app.add_subcommand(
      "aliases", "Print uri_aliases for libvirt.conf that lead clients to the gate's targets");
  add_config(*command, options.config, "The gate's configuration");
  command
      ->add_option("--socket", options.socket,
                   "The gate's socket; the first for clients of libvirt if not given")
      ->type_name("PATH");
  return command;
}

CLI::App* add_status(CLI::App& app, proxy::StatusOptions& options) {
  CLI::App* command = app.add_subcommand(
      "status", "Show a running gate's clients, users, targets, queues and refusals");
  CLI::Option* json = command->add_flag("--json", options.json, "One JSON object");
  command->add_flag("--watch", options.watch, "Go on showing it, each second, with rates")
      ->excludes(json);
  command
      ->add_option(
          "--control", options.control,
          "The gate's control socket; if not given, that of the configuration in its usual "
          "place, or of a gate without one")
      ->type_name("PATH");
  return command;
}

CLI::App* add_policy(CLI::App& app, Options& options) {
  CLI::App* command = app.add_subcommand("policy", "Show what may pass, and say why");
  command->require_subcommand(1);
  CLI::App* list = command->add_subcommand("list", "Print every procedure and its verdict");
  list->add_flag("--json", options.policy_json, "One JSON array");
  CLI::App* explain = command->add_subcommand(
      "explain", "Say whether a user's call of a procedure would pass, and which rule decides");
  proxy::ExplainOptions& to = options.explain;
  explain->add_option("--user", to.user, "By name or number")->required()->type_name("USER");
  explain->add_option("--group", to.groups, "A group besides those that the user is in")
      ->type_name("GROUP");
  explain->add_option("--target", to.target, "The target's name")->required()->type_name("NAME");
  explain->add_option("PROCEDURE", to.procedure, "As libvirt's protocol has it")->required();
  explain->add_option("--flags", to.flags, "The flags of the call")->type_name("NUMBER");
  add_config(*explain, to.config, "The gate's configuration");
  return command;
}

CLI::App* add_bridge(CLI::App& app, proxy::BridgeOptions& options) {
  CLI::App* command = app.add_subcommand(
      "bridge",
      "Join standard input and output, where a libvirt client speaks, to a driver, read-only");
  command->add_option("URI", options.uri,
                      "A target of the configuration, an alias or a URI; without one, what clients "
                      "open that are given none");
  CLI::Option* config = add_config(*command, options.config, "Where targets are looked up");
  CLI::Option* via =
      command
          ->add_option(
              "--via", options.via,
              "Go through the running gate on this socket and open URI, or a target's name, "
              "there. Without URI bytes pass as they are, and only the gate decides")
          ->type_name("SOCKET")
          ->excludes(config);
  command
      ->add_flag("--unfiltered", options.unfiltered,
                 "Let everything pass, to the daemon's read-write socket, with your own "
                 "credentials; not where sshd runs the command")
      ->excludes(via);
  command
      ->add_flag("--insecure", options.insecure,
                 "Accept a connection that is neither encrypted nor authenticated")
      ->excludes(via);
  CLI::Option* connect =
      command
          ->add_option("--connect", options.connect,
                       "Join to a host and port in place of a driver, through the ssh connection "
                       "of a target whose forward= in the configuration allows it, as ssh's "
                       "ProxyCommand wants it: \"virtgate bridge --connect %h %p\"")
          ->type_name("HOST PORT")
          ->expected(2)
          ->excludes(via);
  command
      ->add_option("--through", options.through,
                   "That target; without it, the first that allows it")
      ->type_name("NAME")
      ->needs(connect);
  command
      ->add_option("--gate-socket", options.gate_socket,
                   "The gate to which a local Xen falls back that a user cannot open")
      ->type_name("SOCKET");
  command->footer(
      "Exit codes: 0 done, 1 failed, 2 used wrongly, 128 + N ended by signal N.\n"
      "As a forced command of sshd it takes only what libvirt's clients ask for:\n"
      "  restrict,command=\"virtgate bridge TARGET\" ssh-ed25519 ...");
  return command;
}

int run(int argc, char** argv) {
  CLI::App app{"Shows libvirt's machines on remote hypervisors to people who may only look.",
               "virtgate"};
  app.set_version_flag("--version", "virtgate " VIRTGATE_VERSION);
  app.footer("Exit codes: 0 done, 1 failed, 2 used wrongly.");
  app.require_subcommand(1);
  Options options;
  app.add_flag("-v,--verbose", options.verbose, "Log more");
  const CLI::App* serve = add_serve(app, options.log_level, options.serve);
  const CLI::App* resolve = add_resolve(app, options.resolve);
  const CLI::App* ping = add_ping(app, options.ping);
  const CLI::App* aliases = add_aliases(app, options.aliases);
  const CLI::App* status = add_status(app, options.status);
  const CLI::App* policy = add_policy(app, options);
  const CLI::App* bridge = add_bridge(app, options.bridge);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsedWrongly;
  }
  if (resolve->parsed()) return proxy::resolve(options.resolve);
  if (ping->parsed()) return proxy::ping(options.ping);
  if (aliases->parsed()) return proxy::aliases(options.aliases);
  if (status->parsed()) return proxy::status(options.status);
  if (policy->got_subcommand("list")) return proxy::list_policy(options.policy_json);
  if (policy->parsed()) return proxy::explain_policy(options.explain);
  options.bridge.verbose = options.verbose;
  if (bridge->parsed()) return proxy::bridge(options.bridge);
  CHECK(serve->parsed());
  const auto log = proxy::make_log(options.verbose ? proxy::Level::debug : options.log_level);
  return proxy::serve(options.serve, *log);
}

}  // namespace

// The one place where something may throw: CLI11 has no other way to say what is wrong.
int main(int argc, char** argv) {
  try {
    const auto other = proxy::run_as_other_program({argv, argv + argc});
    return other ? *other : run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "virtgate: %s\n", error.what());
    return kUsedWrongly;
  }
}

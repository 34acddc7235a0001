#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/check.h"
#include "conf/text.h"
#include "proxy/command/command_text.h"
#include "proxy/command/commands.h"
#include "proxy/command/other_programs.h"
#include "proxy/record/last_words.h"
#include "proxy/record/log.h"

namespace {

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
  proxy::ReloadOptions reload;
  proxy::ListOptions list;
  proxy::ShowOptions show;
  proxy::MatrixOptions matrix;
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

// The exit status is the same for all commands but one.
CLI::App* with_examples(CLI::App& command, const std::string& examples) {
  command.footer("Examples:\n" + examples +
                 "\n\nExit status: 0 success, 1 failure, 2 usage error.");
  return &command;
}

CLI::App* add_serve(CLI::App& app, proxy::Level& level, proxy::ServeOptions& options) {
  CLI::App* command = app.add_subcommand("serve", "Run the gate in the foreground");
  add_config(
      *command, options.sources.config,
      "Configuration file (default: /etc/virtgate/virtgate.toml); conf.d/*.toml beside it is "
      "read too");
  command
      ->add_option("--listen", options.sources.listen,
                   "Additional socket (@NAME: abstract namespace)")
      ->type_name("PATH");
  command->add_option("--target", options.sources.targets, "Additional target")
      ->type_name("NAME=URI");
  CLI::Option* check = command->add_flag(
      "--check", options.check, "Report mistakes and doubts in the configuration, and end");
  command->add_flag("--strict", options.strict, "With --check: fail on warnings too")->needs(check);
  command->add_flag("--json", options.json, "With --check: print one JSON object")->needs(check);
  command
      ->add_option_function<std::string>(
          "--log-level", [&level](const std::string& name) { level = level_of(name); },
          "Minimum log level (default: info; -v: debug)")
      ->type_name("LEVEL")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  return with_examples(*command,
                       "  virtgate serve --config ./virtgate.toml\n"
                       "  virtgate serve --check --strict\n"
                       "  virtgate serve --listen /tmp/gate --target hail=qemu+ssh://hail/system");
}

CLI::App* add_resolve(CLI::App& app, proxy::ResolveOptions& options) {
  CLI::App* command =
      app.add_subcommand("resolve",
                         "Explain how libvirt clients resolve a connection URI, and where the gate "
                         "differs");
  command->add_option(
      "URI", options.uri,
      "A URI or an alias (default: what libvirt clients open when no URI is given)");
  command->add_flag("--json", options.json, "Print one JSON object");
  command->add_flag("-r,--read-only", options.read_only,
                    "Resolve it for a client that opens read-only");
  add_config(*command, options.config,
             "Configuration of a gate: its targets come first, and the notes say what its sockets "
             "make of the URI");
  return with_examples(*command,
                       "  virtgate resolve qemu+ssh://hail.example.com/system\n"
                       "  virtgate resolve --config /etc/virtgate/virtgate.toml hail");
}

CLI::App* add_ping(CLI::App& app, proxy::PingOptions& options) {
  CLI::App* command = app.add_subcommand(
      "ping", "Open a connection, show the time of each stage, and who answered");
  command
      ->add_option("TARGET", options.what,
                   "A target of the configuration, or a URI, which is opened with your own "
                   "credentials (default: what libvirt clients open when no URI is given)")
      ->type_name("TARGET|URI");
  command->add_option("-n,--count", options.count, "Number of calls to time (default: 1)")
      ->type_name("COUNT")
      ->check(CLI::Range(std::uint32_t{1}, kMostCalls));
  command->add_flag("--json", options.json, "Print one JSON object");
  command->add_flag("--insecure", options.insecure,
                    "Accept a connection that is neither encrypted nor authenticated");
  add_config(*command, options.config,
             "Where targets are looked up (default: /etc/virtgate/virtgate.toml)");
  return with_examples(*command,
                       "  virtgate ping hail\n"
                       "  virtgate ping -n 100 --json qemu+ssh://monitor@hail.example.com/system");
}

CLI::App* add_aliases(CLI::App& app, proxy::AliasesOptions& options) {
  CLI::App* command = app.add_subcommand(
      "aliases", "Print uri_aliases for libvirt.conf that lead clients to the gate's targets");
  add_config(*command, options.config,
             "The gate's configuration (default: /etc/virtgate/virtgate.toml)");
  command
      ->add_option(
          "--socket", options.socket,
          "The gate's socket (default: the first of the configuration that libvirt clients can "
          "use)")
      ->type_name("PATH");
  command->add_flag("--install", options.install,
                    "Write them into your libvirt.conf, in place of those of an earlier --install");
  return with_examples(*command,
                       "  virtgate aliases --install && virsh -c hail list --all\n"
                       "  virtgate aliases --socket /run/virtgate/virtgate-sock");
}

CLI::App* add_status(CLI::App& app, proxy::StatusOptions& options) {
  CLI::App* command = app.add_subcommand(
      "status", "Show a running gate's clients, users, targets, queues and refusals");
  CLI::Option* json = command->add_flag("--json", options.json, "Print one JSON object");
  command->add_flag("--watch", options.watch, "Refresh every second and show rates")
      ->excludes(json);
  command
      ->add_option(
          "--control", options.control,
          "The gate's control socket (default: the one in /etc/virtgate/virtgate.toml, else "
          "/run/virtgate/control)")
      ->type_name("PATH");
  return with_examples(*command, "  virtgate status --watch\n  virtgate status --json");
}

CLI::App* add_reload(CLI::App& app, proxy::ReloadOptions& options) {
  CLI::App* command = app.add_subcommand(
      "reload", "Have a running gate read its configuration again, and wait for the result");
  command
      ->add_option("--control", options.control,
                   "The gate's control socket (default: as for \"status\")")
      ->type_name("PATH");
  return with_examples(*command, "  virtgate serve --check && virtgate reload");
}

constexpr const char* kGateConfig =
    "The gate's configuration (default: /etc/virtgate/virtgate.toml)";

// For whom a command of the policy asks.
CLI::Option* add_user(CLI::App& command, auto& user, std::vector<std::string>& groups) {
  CLI::Option* option =
      command.add_option("--user", user, "The user, by name or number")->type_name("USER");
  command.add_option("--group", groups, "A group besides those that the user is in")
      ->needs(option)
      ->type_name("GROUP");
  return option;
}

void add_policy_list(CLI::App& policy, proxy::ListOptions& options) {
  CLI::App* list = policy.add_subcommand("list", "Print every procedure and its verdict");
  list->add_flag("--json", options.json, "Print one JSON array");
  CLI::Option* user = add_user(*list, options.user, options.groups);
  CLI::Option* target =
      list->add_option("--target", options.target, "The target's name")->type_name("NAME");
  target->needs(user);
  user->needs(target);
  add_config(*list, options.config, kGateConfig)->needs(user);
  list->add_option("PROCEDURE", options.pattern,
                   "Only those with such a name, in any case; * stands for any characters");
  with_examples(*list,
                "  virtgate policy list 'domain_get_*'\n"
                "  virtgate policy list --user anna --target hail");
}

void add_policy_explain(CLI::App& policy, proxy::ExplainOptions& options) {
  CLI::App* explain = policy.add_subcommand(
      "explain", "Say whether a user's call of a procedure would pass, and which rule decides");
  add_user(*explain, options.user, options.groups)->required();
  explain->add_option("--target", options.target, "The target's name")
      ->required()
      ->type_name("NAME");
  explain->add_option("PROCEDURE", options.procedure, "As libvirt's protocol has it, in any case")
      ->required();
  explain->add_option("--flags", options.flags, "The flags of the call")->type_name("NUMBER");
  add_config(*explain, options.config, kGateConfig);
  with_examples(*explain,
                "  virtgate policy explain --user anna --target hail domain_get_xml_desc");
}

void add_policy_show(CLI::App& policy, proxy::ShowOptions& options) {
  CLI::App* show = policy.add_subcommand(
      "show", "Say which targets a user may see, by which rule, and what not to call there");
  add_user(*show, options.user, options.groups)->required();
  show->add_option("--target", options.targets, "Only this target (default: all)")
      ->type_name("NAME");
  show->add_flag("--json", options.json, "Print one JSON object");
  add_config(*show, options.config, kGateConfig);
  with_examples(*show, "  virtgate policy show --user anna");
}

void add_policy_matrix(CLI::App& policy, proxy::MatrixOptions& options) {
  CLI::App* matrix = policy.add_subcommand(
      "matrix", "Print who may read which targets: each user and group of the rules, and others");
  matrix->add_option("--target", options.targets, "Only this target (default: all)")
      ->type_name("NAME");
  matrix->add_flag("--json", options.json, "Print one JSON array");
  add_config(*matrix, options.config, kGateConfig);
  with_examples(*matrix, "  virtgate policy matrix | lp");
}

CLI::App* add_policy(CLI::App& app, Options& options) {
  CLI::App* command = app.add_subcommand("policy", "Show who may call what, and say why");
  command->require_subcommand(1);
  add_policy_list(*command, options.list);
  add_policy_show(*command, options.show);
  add_policy_matrix(*command, options.matrix);
  add_policy_explain(*command, options.explain);
  return with_examples(*command, "  virtgate policy show --user anna");
}

CLI::App* add_bridge(CLI::App& app, proxy::BridgeOptions& options) {
  CLI::App* command = app.add_subcommand(
      "bridge",
      "Join standard input and output, where a libvirt client speaks, to a driver, read-only");
  command->add_option(
      "URI", options.uri,
      "A target of the configuration, an alias or a URI (default: what libvirt clients open "
      "when no URI is given)");
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
                   "Target to go through (default: the first whose forward= allows it)")
      ->type_name("NAME")
      ->needs(connect);
  command
      ->add_option("--gate-socket", options.gate_socket,
                   "Gate to use when the user may not open the local Xen (default: "
                   "/run/virtgate/virtgate-sock)")
      ->type_name("SOCKET");
  command->footer(
      "Examples:\n"
      "  virsh -c 'qemu+ext:///system?command=/usr/bin/virtgate-bridge' list\n"
      "  virtgate bridge hail\n\n"
      "Exit status: 0 success, 1 failure, 2 usage error, 128 + N ended by signal N.\n"
      "As a forced command of sshd it takes only what libvirt's clients ask for:\n"
      "  restrict,command=\"virtgate bridge TARGET\" ssh-ed25519 ...");
  return command;
}

std::vector<std::string_view> names_of(const CLI::App& command) {
  std::vector<std::string_view> names;
  for (const CLI::App* one : command.get_subcommands([](const CLI::App*) { return true; }))
    names.emplace_back(one->get_name());
  return names;
}

// The library would only say that a command is missing. Words are those of the command line without
// the program's name, up to the first that is neither an option nor a command.
bool names_commands(const CLI::App& app, const std::vector<std::string>& words) {
  const CLI::App* command = &app;
  for (const std::string& word : words) {
    if (word.starts_with('-')) continue;
    const std::vector<std::string_view> names = names_of(*command);
    if (names.empty()) return true;
    const auto next =
        command->get_subcommands([&](const CLI::App* one) { return one->get_name() == word; });
    if (!next.empty()) {
      command = next.front();
      continue;
    }
    const auto near = conf::nearest(word, names);
    proxy::complain(
        "unknown command " + conf::quoted(word) +
        (near ? "; did you mean " + conf::quoted(*near) + "?" : "; `virtgate help` lists them"));
    return false;
  }
  return true;
}

// The library's sentences, in the words of this program.
std::string usage_error(const CLI::ParseError& error) {
  const std::string text = error.what();
  if (error.get_name() == "RequiredError" && text.find("subcommand") != std::string::npos) {
    return "no command is given; `virtgate help` lists them";
  }
  constexpr std::string_view kConversion = "Could not convert: ";
  if (text.starts_with(kConversion)) {
    return text.substr(kConversion.size()) + " is not a valid value; see --help";
  }
  constexpr std::string_view kExtra = "The following argument was not expected: ";
  if (text.starts_with(kExtra)) return "unknown argument " + text.substr(kExtra.size());
  return text + "; see --help";
}

// "help COMMAND" is "COMMAND --help".
std::vector<std::string> words_of(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty() || words[0] != "help") return words;
  words.erase(words.begin());
  words.emplace_back("--help");
  return words;
}

int run(int argc, char** argv) {
  CLI::App app{"Shows libvirt's machines on remote hypervisors to people who may only look.",
               "virtgate"};
  app.set_version_flag("-V,--version", "virtgate " VIRTGATE_VERSION);
  app.footer(
      "Each command explains itself with --help, as does `virtgate help COMMAND`.\n"
      "Exit status: 0 success, 1 failure, 2 usage error.");
  app.require_subcommand(1);
  Options options;
  app.add_flag("-v,--verbose", options.verbose, "Log more");
  const CLI::App* serve = add_serve(app, options.log_level, options.serve);
  const CLI::App* resolve = add_resolve(app, options.resolve);
  const CLI::App* ping = add_ping(app, options.ping);
  const CLI::App* aliases = add_aliases(app, options.aliases);
  const CLI::App* status = add_status(app, options.status);
  const CLI::App* reload = add_reload(app, options.reload);
  const CLI::App* policy = add_policy(app, options);
  const CLI::App* bridge = add_bridge(app, options.bridge);

  std::vector<std::string> words = words_of(argc, argv);
  if (!names_commands(app, words)) return proxy::kUsedWrongly;
  std::reverse(words.begin(), words.end());
  try {
    app.parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    proxy::complain(usage_error(error));
    return proxy::kUsedWrongly;
  }
  if (resolve->parsed()) return proxy::resolve(options.resolve);
  if (ping->parsed()) return proxy::ping(options.ping);
  if (aliases->parsed()) return proxy::aliases(options.aliases);
  if (status->parsed()) return proxy::status(options.status);
  if (reload->parsed()) return proxy::reload(options.reload);
  if (policy->got_subcommand("list")) return proxy::list_policy(options.list);
  if (policy->got_subcommand("show")) return proxy::show_policy(options.show);
  if (policy->got_subcommand("matrix")) return proxy::print_matrix(options.matrix);
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
  proxy::end_when_memory_ends();
  try {
    const auto other = proxy::run_as_other_program({argv, argv + argc});
    return other ? *other : run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "virtgate: %s\n", error.what());
    return proxy::kUsedWrongly;
  }
}

#include "proxy/serve.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

#include "conf/environment.h"
#include "conf/libvirt_conf.h"
#include "conf/target.h"
#include "policy/access.h"
#include "proxy/audit.h"
#include "proxy/command_text.h"
#include "proxy/confine.h"
#include "proxy/service.h"
#include "proxy/system_calls.h"
#include "tunnel/io/local_socket.h"

namespace proxy {
namespace {

constexpr const char* kConfig = "/etc/virtgate/virtgate.toml";
constexpr const char* kDropIns = "conf.d";
constexpr const char* kSocketName = "virtgate-sock";

// What libvirt on this host would open for somebody who names nothing.
std::string local_uri(const conf::Environment& environment) {
  const char* told = std::getenv("LIBVIRT_DEFAULT_URI");
  if (told != nullptr && *told != '\0') return told;
  if (environment.uid != 0) return "qemu:///session";
  for (const char* driver : {"xen", "qemu", "lxc", "vbox", "bhyve", "vz"}) {
    const std::string socket = std::string("/run/libvirt/virt") + driver + "d-sock-ro";
    if (::access(socket.c_str(), F_OK) == 0) return std::string(driver) + ":///system";
  }
  return "qemu:///system";
}

bool named_nothing(const ServeOptions& options) {
  return !options.config && options.listen.empty() && options.targets.empty();
}

// Where the configuration is from; nothing: from the command line alone.
std::optional<std::string> config_file(const ServeOptions& options) {
  if (options.config) return options.config;
  if (named_nothing(options) && ::access(kConfig, F_OK) == 0) return kConfig;
  return std::nullopt;
}

conf::Loaded from_file(const std::string& file) {
  const std::size_t slash = file.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : file.substr(0, slash + 1);
  return conf::load_config(file, folder + kDropIns);
}

std::optional<std::string> wrong_address(const std::string& address) {
  if (auto wrong = conf::wrong_socket_path(address)) return wrong;
  if (address.find('%') != std::string::npos) return "%t works in configuration files only";
  if (address.size() > conf::kLongestSocketPath)
    return "'" + address + "' is too long for a socket";
  return std::nullopt;
}

void add_targets(const ServeOptions& options, conf::Loaded& loaded) {
  for (const std::string& text : options.targets) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos) {
      loaded.mistakes.push_back({{"--target", 0, 0}, "'" + text + "' has no '=': it is NAME=URI"});
      continue;
    }
    auto made = conf::make_target(text.substr(0, equals), text.substr(equals + 1));
    if (!made) {
      conf::Mistake mistake = made.error();
      mistake.place = {"--target", 0, 0};
      loaded.mistakes.push_back(std::move(mistake));
    } else if (loaded.config.find(made->name) != nullptr) {
      loaded.mistakes.push_back(
          {{"--target", 0, 0}, "target '" + made->name + "' is there already"});
    } else {
      loaded.config.targets.push_back(std::move(made).value());
    }
  }
}

void add_defaults(const conf::Environment& environment, conf::Loaded& loaded) {
  if (loaded.config.targets.empty()) {
    auto made = conf::make_target("local", local_uri(environment));
    if (made) {
      loaded.config.targets.push_back(std::move(made).value());
    } else {
      loaded.mistakes.push_back(made.error());
    }
  }
  if (!loaded.config.listen.empty()) return;
  const std::string folder = default_socket_folder(environment);
  conf::Listen listen;
  listen.path = folder + "/" + kSocketName;
  listen.mode = 0600;
  loaded.config.listen.push_back(std::move(listen));
}

bool make_default_folder(const conf::Config& config, const conf::Environment& environment,
                         Log& log) {
  const std::string folder = default_socket_folder(environment);
  bool used = false;
  for (const conf::Listen& listen : config.listen)
    used = used || listen.path == folder + "/" + kSocketName;
  if (!used || ::mkdir(folder.c_str(), environment.uid == 0 ? 0755 : 0700) == 0 || errno == EEXIST)
    return true;
  log.line(Level::error, "start-failed")
      .with("reason", "cannot make the folder " + folder + ": " + std::strerror(errno));
  return false;
}

}  // namespace

// systemd.exec(5) says where the service's folder is.
std::string default_socket_folder(const conf::Environment& environment) {
  const char* told = std::getenv("RUNTIME_DIRECTORY");
  if (told != nullptr && *told == '/')
    return std::string(told).substr(0, std::string(told).find(':'));
  if (environment.uid == 0) return "/run/virtgate";
  if (!environment.runtime_directory.empty()) return environment.runtime_directory + "/virtgate";
  return environment.home + "/.cache/virtgate";
}

conf::Loaded configuration(const ServeOptions& options) {
  const conf::Environment environment = conf::process_environment();
  conf::Loaded loaded;
  if (const auto file = config_file(options)) loaded = from_file(*file);
  add_targets(options, loaded);
  for (const std::string& address : options.listen) {
    if (auto wrong = wrong_address(address)) {
      loaded.mistakes.push_back({{"--listen", 0, 0}, *std::move(wrong)});
      continue;
    }
    conf::Listen listen;
    listen.path = address;
    loaded.config.listen.push_back(std::move(listen));
  }
  for (const conf::Placed& pattern : loaded.procedures) {
    if (policy::names_some_procedure(pattern.text)) continue;
    loaded.mistakes.push_back(
        {pattern.place, "no procedure that may pass has a name like \"" + pattern.text + "\""});
  }
  if (loaded.mistakes.empty()) add_defaults(environment, loaded);
  return loaded;
}

base::Result<Reading, std::vector<std::string>> read_all(const ServeOptions& options) {
  const conf::Environment environment = conf::process_environment();
  conf::Loaded loaded = configuration(options);
  std::vector<std::string> mistakes;
  mistakes.reserve(loaded.mistakes.size() + 1);
  for (const conf::Mistake& mistake : loaded.mistakes) mistakes.push_back(conf::to_string(mistake));
  auto libvirt_conf = conf::load_libvirt_conf(environment);
  if (!libvirt_conf) mistakes.push_back(conf::to_string(libvirt_conf.error()));
  if (!mistakes.empty()) return base::Failure{std::move(mistakes)};
  Reading out{std::move(loaded.config), std::move(*libvirt_conf), {}, {}};
  out.control = control_path(out.config, default_socket_folder(environment));
  out.needs = confinement_of(out.config, loaded.files, out.control, environment);
  return out;
}

int serve(const ServeOptions& options, Log& log) {
  auto reading = read_all(options);
  if (!reading) {
    for (const std::string& mistake : reading.error()) complain(mistake);
    return 1;
  }
  if (options.check) return 0;
  if constexpr (!kBuiltWithSanitizers) refuse_rings();
  std::signal(SIGPIPE, SIG_IGN);
  tunnel::io::raise_file_limit();
  if (!make_default_folder(reading->config, conf::process_environment(), log)) return 1;
  auto sink = audit_sink(reading->config.audit);
  if (!sink) {
    log.line(Level::error, "start-failed").with("reason", sink.error());
    return 1;
  }
  const Confinement needs = std::move(reading->needs);
  Service service(log, std::move(*sink), std::move(*reading), [&] { return read_all(options); });
  if (!service.open_doors()) return 1;
  Confined confined = confine(needs);
  log_confined(confined, log);
  service.run(std::move(confined.held));
  // From here on the loop hears no signal, and one more must not make a failure of a good end.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  sigprocmask(SIG_BLOCK, &ends, nullptr);
  log.line(Level::info, "stopped");
  return 0;
}

}  // namespace proxy

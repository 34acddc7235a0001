#include "proxy/service/settings.h"

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/accounts.h"
#include "conf/config.h"
#include "conf/environment.h"
#include "conf/libvirt_conf.h"
#include "conf/socket_path.h"
#include "conf/target.h"
#include "proxy/report/status_desks.h"
#include "proxy/service/doubts.h"
#include "proxy/service/memory.h"
#include "proxy/service/procedure_names.h"
#include "tunnel/io/aside.h"
#include "tunnel/io/descriptors.h"

namespace proxy {
namespace {

constexpr const char* kConfig = "/etc/virtgate/virtgate.toml";
constexpr const char* kDropIns = "conf.d";

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

bool named_nothing(const Sources& options) {
  return !options.config && options.listen.empty() && options.targets.empty();
}

// Where the configuration is from; nothing: from the command line alone.
std::optional<std::string> config_file(const Sources& options) {
  if (options.config) return options.config;
  if (named_nothing(options) && ::access(kConfig, F_OK) == 0) return kConfig;
  return std::nullopt;
}

std::string drop_ins_of(const std::string& file) {
  const std::size_t slash = file.rfind('/');
  return (slash == std::string::npos ? "" : file.substr(0, slash + 1)) + kDropIns;
}

conf::Loaded from_file(const std::string& file) {
  return conf::load_config(file, drop_ins_of(file));
}

std::optional<std::string> wrong_address(const std::string& address) {
  if (auto wrong = conf::wrong_socket_path(address)) return wrong;
  if (address.find('%') != std::string::npos) return "%t works in configuration files only";
  if (address.size() > conf::kLongestSocketPath)
    return "'" + address + "' is too long for a socket";
  return std::nullopt;
}

std::vector<std::string> texts(const std::vector<conf::Mistake>& mistakes) {
  std::vector<std::string> out;
  out.reserve(mistakes.size());
  for (const conf::Mistake& one : mistakes) out.push_back(conf::to_string(one));
  return out;
}

// What is there before a gate starts and as long as it runs. Its own sockets and files are not, and
// a daemon's socket comes and goes with it.
std::vector<conf::NamedPath> lasting(const std::vector<conf::NamedPath>& paths) {
  using Kind = conf::NamedPath::Kind;
  std::vector<conf::NamedPath> out;
  std::ranges::copy_if(paths, std::back_inserter(out), [](const conf::NamedPath& one) {
    return one.kind != Kind::parent && one.kind != Kind::socket;
  });
  return out;
}

void add_targets(const Sources& options, conf::Loaded& loaded) {
  for (const std::string& text : options.targets) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos) {
      loaded.mistakes.push_back({{"--target", 0, 0}, "'" + text + "' has no '=': it is NAME=URI"});
      continue;
    }
    auto made = conf::make_target(text.substr(0, equals), text.substr(equals + 1));
    if (!made) {
      conf::Mistake mistake = made.error();
      mistake.position = {"--target", 0, 0};
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
  listen.path = folder + "/" + kDefaultSocket;
  listen.mode = 0600;
  loaded.config.listen.push_back(std::move(listen));
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

conf::Loaded configuration(const Sources& options) {
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
  for (const conf::Positioned& pattern : loaded.procedures) {
    if (auto wrong = wrong_procedures(pattern.text)) {
      loaded.mistakes.push_back({pattern.position, std::move(*wrong)});
    }
  }
  conf::in_order(loaded.mistakes, loaded.files);
  if (!loaded.config.limits.buffer) loaded.config.limits.buffer = usual_buffer();
  if (loaded.mistakes.empty()) add_defaults(environment, loaded);
  return loaded;
}

Stamps stamps(const Sources& options) {
  Stamps out;
  const auto file = config_file(options);
  if (!file) return out;
  const auto add = [&](const std::string& path) {
    struct stat there {};
    if (::stat(path.c_str(), &there) != 0) return;
    std::string stamp = path;
    for (const std::int64_t one :
         {static_cast<std::int64_t>(there.st_dev), static_cast<std::int64_t>(there.st_ino),
          static_cast<std::int64_t>(there.st_size), std::int64_t{there.st_mtim.tv_sec},
          std::int64_t{there.st_mtim.tv_nsec}}) {
      stamp += ' ' + std::to_string(one);
    }
    out.push_back(std::move(stamp));
  };
  add(*file);
  const std::string folder = drop_ins_of(*file);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(folder.c_str()), closedir);
  if (stream == nullptr) return out;
  while (const dirent* entry = readdir(stream.get())) {
    const std::string_view name = static_cast<const char*>(entry->d_name);
    if (name.ends_with(".toml") && name[0] != '.') add(folder + "/" + std::string(name));
  }
  std::ranges::sort(out);
  return out;
}

Judged judged(const Sources& options) {
  Judged out{configuration(options), {}, Identities::of_system(conf::find_user)};
  auto libvirt_conf = conf::load_libvirt_conf(conf::process_environment());
  if (libvirt_conf) {
    out.libvirt_conf = std::move(*libvirt_conf);
  } else {
    out.loaded.mistakes.push_back(libvirt_conf.error());
  }
  for (conf::Mistake& one : doubts_about(out.loaded)) {
    out.loaded.warnings.push_back(std::move(one));
  }
  if (auto few = too_few_descriptors(out.loaded, tunnel::io::most_descriptors())) {
    out.loaded.warnings.push_back(*std::move(few));
  }
  for (conf::Mistake& one : conf::missing(lasting(out.loaded.paths))) {
    out.loaded.warnings.push_back(std::move(one));
  }
  conf::in_order(out.loaded.warnings, out.loaded.files);
  if (out.identities.blurred()) {
    out.loaded.warnings.push_back(
        {{},
         "this user namespace does not map all users: those that it does not are one unknown user, "
         "whom no rule lets in (see /proc/self/uid_map and PrivateUsers=)",
         true});
  }
  const Confinement needs =
      confinement_of(out.loaded.config, out.loaded.files, "", conf::process_environment());
  for (const std::string& link : needs.fixed_links) {
    if (needs.runs_programs) break;
    out.loaded.warnings.push_back(
        {{},
         link + " is a link on the way to a file that is needed; the sandbox does not keep what is "
                "beside the folder that it leads to, so that turning it to another one needs a "
                "restart"});
  }
  return out;
}

ReadResult read_all(const Sources& options) {
  const conf::Environment environment = conf::process_environment();
  Stamps before = stamps(options);
  Judged all = judged(options);
  if (!all.loaded.mistakes.empty()) return base::Failure{texts(all.loaded.mistakes)};
  Reading out;
  out.config = std::move(all.loaded.config);
  out.libvirt_conf = std::move(all.libvirt_conf);
  out.control = control_path(out.config, default_socket_folder(environment));
  out.needs = confinement_of(out.config, all.loaded.files, out.control, environment);
  out.identities = std::move(all.identities);
  for (const conf::Mistake& one : all.loaded.warnings) {
    (one.lapsed ? out.lapsed : out.warnings).push_back(conf::to_string(one));
  }
  out.stamps = std::move(before);
  return out;
}

ReadResult read_all_within(const Sources& options, std::chrono::milliseconds patience) {
  struct Shared {
    std::mutex mutex;
    std::condition_variable there;
    std::optional<ReadResult> result;
  };
  const auto shared = std::make_shared<Shared>();
  const int status = tunnel::io::start_thread([shared, options] {
    ReadResult result = read_all(options);
    const std::lock_guard lock(shared->mutex);
    shared->result = std::move(result);
    shared->there.notify_all();
  });
  if (status != 0) return read_all(options);
  std::unique_lock lock(shared->mutex);
  if (shared->there.wait_for(lock, patience, [&] { return shared->result.has_value(); })) {
    return std::move(*shared->result);
  }
  return base::Failure{std::vector<std::string>{"the configuration was not read within " +
                                                std::to_string(patience.count() / 1000) +
                                                " s; do look-ups of users and groups hang?"}};
}

Reading nothing_read(const Sources& options) {
  const conf::Environment environment = conf::process_environment();
  Reading out;
  const std::string folder = default_socket_folder(environment);
  if (::access(folder.c_str(), W_OK) == 0) out.control = folder + "/control";
  std::vector<std::string> files;
  if (const auto file = config_file(options)) files = {*file, drop_ins_of(*file) + "/any.toml"};
  out.needs = confinement_of(out.config, files, out.control, environment);
  out.identities = Identities::of_system([](const std::string&) { return std::nullopt; });
  out.stamps = stamps(options);
  return out;
}

}  // namespace proxy

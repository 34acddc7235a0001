#include "proxy/service/confinement.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

#include <unistd.h>

#include "conf/auth_conf.h"
#include "conf/target.h"
#include "tunnel/ssh/environment.h"
#include "tunnel/ssh/host_key_files.h"
#include "tunnel/tls/files.h"

namespace proxy {
namespace {

using tunnel::Transport;

// What the C library and others read on their own: /etc as a whole, since what is in it is replaced
// by new files; modules for names and SASL; where resolv.conf leads to. /proc is for the names of
// what clients run: what else of other processes is there, Landlock keeps from us.
constexpr std::array<const char*, 15> kSystemPlaces = {"/etc",
                                                       "/usr",
                                                       "/lib",
                                                       "/lib32",
                                                       "/lib64",
                                                       "/run/systemd/resolve",
                                                       "/run/resolvconf",
                                                       "/run/NetworkManager",
                                                       "/run/connman",
                                                       "/run/nscd",
                                                       "/var/lib/sss",
                                                       "/proc",
                                                       "/sys/devices/system/cpu",
                                                       "/dev/urandom",
                                                       "/dev/random"};
constexpr std::uint16_t kDnsPort = 53;
constexpr std::uint16_t kKerberosPort = 88;

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string real_path(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), std::free);
  return real == nullptr ? path : std::string(real.get());
}

std::string value_of(const char* variable) {
  const char* value = std::getenv(variable);
  return value == nullptr ? std::string() : std::string(value);
}

bool abstract(const std::string& socket) { return socket.starts_with('@'); }

class ConfinementDraft {
 public:
  explicit ConfinementDraft(const conf::Environment& environment) : home_(environment.home) {}

  void place(std::string path, FileUse use) {
    FilePlace one{std::move(path), use};
    if (one.path.empty() || std::ranges::count(out_.places, one) > 0) return;
    out_.places.push_back(std::move(one));
  }

  // A file that is named, and the one that it is a link to.
  void file(const std::string& path, FileUse use) {
    if (path.empty()) return;
    for (const std::string& one : {path, real_path(path)}) {
      const std::string folder = folder_of(one);
      place(folder == "/" || folder == home_ ? one : folder, use);
    }
    for (std::string at = folder_of(path); at.size() > 1; at = folder_of(at)) link(at, use);
  }

  // A file that may be made together with the folders that lead to it.
  void made_file(const std::string& path, FileUse use) {
    if (path.empty()) return;
    std::string folder = folder_of(path);
    while (folder.size() > 1 && ::access(folder.c_str(), F_OK) != 0) folder = folder_of(folder);
    if (folder != "/") place(folder, use);
  }

  Confinement& out() { return out_; }

 private:
  // A folder on the way to a file. If it is a link such as "live -> v1", it will be turned to a
  // sibling of v1 some day. A folder at the root has too much in it to be kept for that.
  void link(const std::string& folder, FileUse use) {
    std::array<char, 1> unread{};
    if (::readlink(folder.c_str(), unread.data(), unread.size()) < 0) return;
    const std::string siblings = folder_of(real_path(folder));
    if (folder_of(siblings) != "/" && siblings != home_) {
      place(siblings, use);
    } else if (siblings != "/" && folder_of(folder) != "/" && !kept(siblings)) {
      // Distributions have links at the root and to what is there, which nobody turns.
      out_.fixed_links.insert(folder);
    }
  }

  [[nodiscard]] bool kept(const std::string& folder) const {
    return std::ranges::any_of(out_.places,
                               [&](const FilePlace& one) { return one.path == folder; });
  }

  const std::string home_;
  Confinement out_;
};

void add_surroundings(const conf::Environment& environment, ConfinementDraft& draft) {
  for (const char* path : kSystemPlaces) draft.place(path, FileUse::read);
  draft.place("/dev/null", FileUse::append);
  draft.place(environment.credentials_directory, FileUse::read);
  draft.place(environment.system_folder, FileUse::read);
  if (!environment.home.empty()) {
    for (const char* folder : {"/.ssh", "/.pki/libvirt", "/.config/libvirt"}) {
      draft.place(environment.home + folder, FileUse::read);
    }
  }
  if (!environment.config_home.empty()) {
    draft.place(environment.config_home + "/libvirt", FileUse::read);
  }
  // A ticket of Kerberos is kept with those for the services that it was used for.
  const std::string tickets = value_of("KRB5CCNAME");
  draft.place(tickets.empty() ? "/tmp/krb5cc_" + std::to_string(environment.uid)
                              : tickets.substr(tickets.starts_with("FILE:") ? 5 : 0),
              FileUse::own);
  draft.file(value_of("KRB5_CLIENT_KTNAME"), FileUse::read);
}

void add_target(const conf::TargetConfig& target, const conf::Environment& environment,
                ConfinementDraft& draft) {
  const tunnel::Target& tunnel = target.tunnel;
  if (tunnel.port != 0) draft.out().ports.insert(tunnel.port);
  if (tunnel.transport == Transport::ext || !tunnel.command.empty()) {
    draft.out().runs_programs = true;
  }
  for (const std::string& file : conf::auth_conf_paths(environment, target.auth.authfile)) {
    draft.file(file, FileUse::read);
  }
  for (const std::string* file : {&tunnel.keyfile, &tunnel.passphrase_file, &tunnel.known_hosts}) {
    if (file->starts_with('/')) draft.file(*file, FileUse::read);
  }
  if (tunnel.transport == Transport::tls) {
    const tunnel::TlsPaths paths =
        tunnel::tls_paths(tunnel.pkipath, tunnel::tls_places(), tunnel::tls_file_exists);
    for (const std::string& file : {paths.ca, paths.crl, paths.certificate, paths.key}) {
      draft.file(file, FileUse::read);
    }
  }
  if (tunnel.transport == Transport::ssh &&
      tunnel.known_hosts_verify == tunnel::KnownHostsVerify::automatic) {
    const auto surroundings = tunnel::ssh::current_environment();
    tunnel::io::Whereabouts unasked;
    draft.made_file(tunnel::ssh::host_key_files(tunnel, surroundings, unasked).record,
                    FileUse::append);
  }
}

bool covers(const FilePlace& held, const FilePlace& wanted) {
  if (held.use < wanted.use) return false;
  if (held.path == "/" || held.path == wanted.path) return true;
  return wanted.path.starts_with(held.path + "/");
}

std::string_view doing(FileUse use) {
  switch (use) {
    case FileUse::read:
      return "reading ";
    case FileUse::append:
      return "writing in ";
    case FileUse::own:
      break;
  }
  return "making and removing files in ";
}

}  // namespace

Confinement confinement_of(const conf::Config& config, const std::vector<std::string>& files,
                           const std::string& control, const conf::Environment& environment) {
  ConfinementDraft draft(environment);
  add_surroundings(environment, draft);
  for (const std::string& file : files) draft.file(file, FileUse::read);
  std::vector<std::string> own = {control, config.metrics.socket};
  draft.made_file(config.metrics.textfile, FileUse::own);
  for (const conf::Listen& listen : config.listen) own.push_back(listen.path);
  for (const std::string& path : own) {
    const std::string folder = folder_of(path);
    if (!path.empty() && !abstract(path) && folder != "/") draft.place(folder, FileUse::own);
  }
  draft.made_file(config.audit.file, FileUse::append);
  // A new target at a port that is usual must not need a new start.
  draft.out().ports = {kDnsPort, kKerberosPort, tunnel::kSshPort, conf::kTcpPort, conf::kTlsPort};
  draft.out().any_port = !config.rules.open_uris.empty();
  for (const conf::TargetConfig& target : config.targets) add_target(target, environment, draft);
  draft.out().abstract_sockets = abstract(value_of("NOTIFY_SOCKET"));
  return std::move(draft.out());
}

std::optional<std::string> beyond(const Confinement& held, const Confinement& wanted) {
  if (held.runs_programs) return std::nullopt;
  if (wanted.runs_programs) return "running programs";
  std::string out;
  const auto lacks = [&](const std::string& what) { out += (out.empty() ? "" : ", ") + what; };
  if (wanted.abstract_sockets && !held.abstract_sockets) lacks("connecting to abstract sockets");
  for (const FilePlace& place : wanted.places) {
    const auto covering = [&](const FilePlace& one) { return covers(one, place); };
    if (std::ranges::none_of(held.places, covering)) {
      lacks(std::string(doing(place.use)) + place.path);
    }
  }
  if (wanted.any_port && !held.any_port) lacks("connecting to any port");
  for (const std::uint16_t port : wanted.ports) {
    if (!held.any_port && !held.ports.contains(port)) {
      lacks("connecting to port " + std::to_string(port));
    }
  }
  return out.empty() ? std::nullopt : std::optional(std::move(out));
}

}  // namespace proxy

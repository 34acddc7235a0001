#include "tunnel/ssh/host_key_files.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/shortage.h"

namespace tunnel::ssh {
namespace {

// A name with one of these would be a pattern, several names, a mark or a comment in the file.
constexpr std::string_view kNotInNames = " \t\r\n,*?!|@#[]";

std::string missing_folder_of(const std::string& file, io::Whereabouts& whereabouts) {
  const std::string folder = file.substr(0, file.rfind('/') + 1);
  struct stat there {};
  whereabouts.at(file);
  return folder.empty() || stat(folder.c_str(), &there) == 0 ? std::string() : folder;
}

void make_folder_of(const std::string& file) {
  const std::size_t slash = file.rfind('/');
  if (slash == std::string::npos || slash == 0) return;
  const std::string folder = file.substr(0, slash);
  if (mkdir(folder.c_str(), 0700) == 0 || errno != ENOENT) return;
  make_folder_of(folder);
  mkdir(folder.c_str(), 0700);
}

// The file's last line may lack its end.
bool ends_within_a_line(int file) {
  const off_t size = lseek(file, 0, SEEK_END);
  char last = '\n';
  return size > 0 && pread(file, &last, 1, size - 1) == 1 && last != '\n';
}

std::optional<base::Problem> append_locked(int file, const std::string& path,
                                           const std::string& host, std::uint16_t port,
                                           base::Bytes key) {
  if (flock(file, LOCK_EX | LOCK_NB) != 0) return base::file_error(path, errno).problem();
  auto text = base::read_file(path, kLargestKnownHosts);
  if (!text) return text.error().problem();
  KnownHosts known(host, port);
  known.read(path, base::text_of(text->text.bytes()));
  const HostKeyAnswer answer = known.check(key);
  if (answer.kind == HostKeyAnswer::Kind::known) return std::nullopt;
  if (answer.kind != HostKeyAnswer::Kind::unknown) {
    return base::Problem{answer.place + " has another key for the host, or revokes this one"};
  }
  const std::string line = (ends_within_a_line(file) ? "\n" : "") + known.line_for(key);
  if (!base::write_all(file, line) || fsync(file) != 0)
    return base::file_error(path, errno).problem();
  return std::nullopt;
}

}  // namespace

HostKeyFiles host_key_files(const Target& target, const SshEnvironment& environment,
                            io::Whereabouts& whereabouts) {
  HostKeyFiles out;
  if (!target.known_hosts.empty()) {
    out = {{target.known_hosts}, target.known_hosts, true};
    out.to_make = missing_folder_of(out.record, whereabouts);
    return out;
  }
  if (!environment.home.empty()) out.files.push_back(environment.home + "/.ssh/known_hosts");
  if (!environment.config_home.empty()) {
    out.record = environment.config_home + "/libvirt/known_hosts";
    out.files.push_back(out.record);
  }
  out.to_make = missing_folder_of(out.record, whereabouts);
  out.files.emplace_back("/etc/ssh/ssh_known_hosts");
  return out;
}

base::Result<KnownHosts, base::Problem> load_known_hosts(const HostKeyFiles& files,
                                                         const std::string& host,
                                                         std::uint16_t port,
                                                         io::Whereabouts& whereabouts) {
  KnownHosts known(host, port);
  for (const std::string& file : files.files) {
    whereabouts.at(file);
    auto text = base::read_file(file, kLargestKnownHosts);
    if (text) {
      known.read(file, base::text_of(text->text.bytes()));
    } else if (text.error().denied() && !files.named) {
      known.add_note(text.error().text);
    } else if (!text.error().missing()) {
      return base::Failure{text.error().problem()};
    }
  }
  return known;
}

std::optional<base::Problem> record_host_key(const std::string& file, const std::string& host,
                                             std::uint16_t port, base::Bytes key) {
  if (file.empty()) {
    return base::Problem{"no file to record it in: there is no home, and known_hosts= is not set"};
  }
  if (host.find_first_of(kNotInNames) != std::string::npos) {
    return base::Problem{"the host's name cannot stand in a known_hosts file"};
  }
  make_folder_of(file);
  const int descriptor =
      open(file.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
  if (descriptor < 0) return base::file_error(file, errno).problem();
  auto problem = append_locked(descriptor, file, host, port, key);
  close(descriptor);
  return problem;
}

}  // namespace tunnel::ssh

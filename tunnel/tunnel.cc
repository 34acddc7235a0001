#include "tunnel/tunnel.h"

#include <functional>
#include <utility>

#include <unistd.h>

#include "base/text.h"
#include "base/this_host.h"
#include "tunnel/file_marks.h"
#include "tunnel/io/connect.h"
#include "tunnel/io/errands.h"
#include "tunnel/io/loop.h"
#include "tunnel/io/process.h"
#include "tunnel/ssh/environment.h"
#include "tunnel/ssh/host_key_files.h"
#include "tunnel/ssh/keys.h"
#include "tunnel/ssh/tunnel.h"
#include "tunnel/tls/files.h"
#include "tunnel/tls/tunnel.h"

namespace tunnel {
namespace {

using io::Reason;
using io::Stage;

// A tunnel whose streams share nothing.
class Simple final : public Tunnel {
 public:
  explicit Simple(std::function<std::unique_ptr<io::Stream>()> make) : make_(std::move(make)) {}
  std::unique_ptr<io::Stream> stream() override { return make_(); }

 private:
  std::function<std::unique_ptr<io::Stream>()> make_;
};

// The files on which the streams of a tunnel rely, which are read and looked at beside the loop.
struct Files {
  Files(io::Loop& on, std::string known_by, FileMarks::Paths paths)
      : loop(on), key(std::move(known_by)), marks(std::make_shared<FileMarks>(std::move(paths))) {}

  // Looks at all of them and then does the work, which reads some.
  [[nodiscard]] io::RunErrand errand() const {
    return [this_loop = &loop, is = key, noted = marks](io::ErrandWork work, auto done) {
      const auto both = [noted, work = std::move(work)](io::Whereabouts& whereabouts) {
        noted->note(whereabouts);
        work(whereabouts);
      };
      return this_loop->errands().run(is, both, std::move(done));
    };
  }

  io::Loop& loop;
  std::string key;
  std::shared_ptr<FileMarks> marks;
};

// A tunnel whose streams rely on files.
class Watched final : public Tunnel {
 public:
  Watched(Files files, std::unique_ptr<Tunnel> tunnel)
      : files_(std::move(files)), tunnel_(std::move(tunnel)) {}
  std::unique_ptr<io::Stream> stream() override { return tunnel_->stream(); }
  void avoid_silent(io::Milliseconds silent_for) override { tunnel_->avoid_silent(silent_for); }
  void ask_outdated(std::function<void(bool outdated)> told) override {
    const auto changed = std::make_shared<bool>(false);
    const auto look = [changed, marks = files_.marks](io::Whereabouts& whereabouts) {
      *changed = marks->changed(whereabouts);
    };
    asked_ = files_.loop.errands().run(files_.key, look,
                                       [changed, told = std::move(told)](int) { told(*changed); });
  }

 private:
  const Files files_;
  std::unique_ptr<Tunnel> tunnel_;
  io::ErrandHandle asked_;
};

std::unique_ptr<Tunnel> simple(std::function<std::unique_ptr<io::Stream>()> make) {
  return std::make_unique<Simple>(std::move(make));
}

std::unique_ptr<Tunnel> refused(io::Loop& loop, std::string text) {
  const Reason reason{Reason::Kind::refused, Stage::connect, std::move(text)};
  return simple([&loop, reason] { return io::failed_stream(loop.clock(), reason); });
}

std::unique_ptr<Tunnel> unix_tunnel(io::Loop& loop, const Target& target) {
  return simple([&loop, sockets = target.sockets, deadline = target.timeouts.connect] {
    return io::connect_unix(loop, sockets, deadline);
  });
}

std::unique_ptr<io::Stream> tcp_stream(io::Loop& loop, const Target& target) {
  const io::ConnectOptions options{target.timeouts.look_up, target.timeouts.connect,
                                   target.local_addresses};
  return io::connect_tcp(loop, target.host, target.port, options);
}

std::unique_ptr<Tunnel> tcp_tunnel(io::Loop& loop, const Target& target) {
  if (!target.insecure && !base::is_loopback(target.host)) {
    return refused(loop, "tcp to " + target.host +
                             " is neither encrypted nor authenticated; the target needs "
                             "insecure = true, or better another transport");
  }
  return simple([&loop, target] { return tcp_stream(loop, target); });
}

std::unique_ptr<Tunnel> ext_tunnel(io::Loop& loop, const Target& target, Notes notes) {
  if (target.command.empty()) return refused(loop, "an ext target needs a command");
  return simple([&loop, target, notes = std::move(notes)] {
    io::Command command;
    command.arguments = {target.command};
    command.environment = io::own_environment({"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LANG",
                                               "LC_ALL", "XDG_RUNTIME_DIR", "SSH_AUTH_SOCK"});
    command.new_session = true;
    command.on_line = [notes, name = target.name](std::string_view line) {
      if (notes) notes(name + ": " + base::shortened(line));
    };
    return io::run_process(loop, std::move(command));
  });
}

std::unique_ptr<Tunnel> tls_tunnel(io::Loop& loop, const Target& target, Notes notes,
                                   const std::string& home) {
  auto below = [&loop, target] { return tcp_stream(loop, target); };
  TlsPlaces places;
  places.uid = ::geteuid();
  places.home = home;
  auto paths = [pkipath = target.pkipath, places](io::Whereabouts& whereabouts) {
    const TlsPaths now = tls_paths_now(pkipath, places, whereabouts);
    return std::vector{now.ca, now.crl, now.certificate, now.key};
  };
  Files files(loop, "tls " + target.pkipath, std::move(paths));
  TlsContext context{loop.clock(), target, places, std::move(notes), files.errand()};
  return std::make_unique<Watched>(std::move(files),
                                   make_tls_tunnel(std::move(context), std::move(below)));
}

// Of a program of the user's own what its arguments name.
std::vector<std::string> ssh_files(const Target& target, const ssh::SshEnvironment& environment,
                                   io::Whereabouts& whereabouts) {
  if (!target.command.empty()) return {target.keyfile, target.known_hosts};
  std::vector<std::string> files = ssh::host_key_files(target, environment, whereabouts).files;
  for (std::string& key : ssh::key_files(target, environment)) files.push_back(std::move(key));
  const bool relative = !target.passphrase_file.empty() && target.passphrase_file.front() != '/';
  files.push_back((relative ? environment.credentials + '/' : "") + target.passphrase_file);
  return files;
}

std::unique_ptr<Tunnel> ssh_tunnel(io::Loop& loop, const Target& target, Notes notes,
                                   const ssh::SshEnvironment& environment) {
  ssh::Parts parts;
  parts.environment = environment;
  parts.notes = std::move(notes);
  parts.connect = [&loop, target] { return tcp_stream(loop, target); };
  parts.connect_agent = [&loop, deadline = target.timeouts.connect](const std::string& path) {
    return io::connect_unix(loop, {path}, deadline);
  };
  parts.run = [&loop, no_tty = target.no_tty](const auto& arguments, auto on_line) {
    io::Command command;
    command.arguments = arguments;
    command.environment = io::own_environment(
        {"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LANG", "LC_ALL", "XDG_RUNTIME_DIR",
         "KRB5CCNAME", "SSH_AUTH_SOCK", "SSH_ASKPASS", "OPENSSL_CONF", "DISPLAY", "XAUTHORITY"});
    command.new_session = no_tty;
    command.on_line = [on_line](std::string_view line) { on_line(std::string(line)); };
    return io::run_process(loop, std::move(command));
  };
  auto paths = [target, environment](io::Whereabouts& whereabouts) {
    return ssh_files(target, environment, whereabouts);
  };
  const std::string key =
      "ssh " + target.known_hosts + '\n' + target.keyfile + '\n' + target.passphrase_file;
  Files files(loop, key, std::move(paths));
  parts.errand = files.errand();
  return std::make_unique<Watched>(std::move(files),
                                   ssh::make_ssh_tunnel(loop.clock(), target, std::move(parts)));
}

}  // namespace

std::unique_ptr<Tunnel> make_tunnel(io::Loop& loop, const Target& target, Notes notes) {
  const bool needed = target.transport == Transport::ssh || target.transport == Transport::tls;
  return make_tunnel(loop, target, std::move(notes),
                     needed ? ssh::current_environment() : ssh::SshEnvironment());
}

std::unique_ptr<Tunnel> make_tunnel(io::Loop& loop, const Target& target, Notes notes,
                                    const ssh::SshEnvironment& environment) {
  switch (target.transport) {
    case Transport::unix:
      return unix_tunnel(loop, target);
    case Transport::tcp:
      return tcp_tunnel(loop, target);
    case Transport::ext:
      return ext_tunnel(loop, target, std::move(notes));
    case Transport::tls:
      return tls_tunnel(loop, target, std::move(notes), environment.home);
    case Transport::ssh:
      return ssh_tunnel(loop, target, std::move(notes), environment);
  }
  return refused(loop, "the transport is unknown");
}

std::string_view transport_name(Transport transport) {
  switch (transport) {
    case Transport::unix:
      return "unix";
    case Transport::tcp:
      return "tcp";
    case Transport::tls:
      return "tls";
    case Transport::ssh:
      return "ssh";
    case Transport::ext:
      return "ext";
  }
  return "";
}

}  // namespace tunnel

#include "tunnel/tunnel.h"

#include <functional>
#include <utility>

#include "base/text.h"
#include "base/this_host.h"
#include "tunnel/file_marks.h"
#include "tunnel/io/connect.h"
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

// A tunnel whose streams rely on files.
class Watched final : public Tunnel {
 public:
  Watched(std::unique_ptr<Tunnel> tunnel, std::function<std::vector<std::string>()> files)
      : tunnel_(std::move(tunnel)), marks_(std::move(files)) {}
  std::unique_ptr<io::Stream> stream() override {
    marks_.note();
    return tunnel_->stream();
  }
  void avoid_silent(io::Milliseconds silent_for) override { tunnel_->avoid_silent(silent_for); }
  [[nodiscard]] bool outdated() const override { return marks_.changed(); }

 private:
  std::unique_ptr<Tunnel> tunnel_;
  FileMarks marks_;
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

std::unique_ptr<Tunnel> tls_tunnel(io::Loop& loop, const Target& target, Notes notes) {
  auto below = [&loop, target] { return tcp_stream(loop, target); };
  const TlsPlaces places = tls_places();
  auto files = [pkipath = target.pkipath, places] {
    const TlsPaths paths = tls_paths(pkipath, places, tls_file_exists);
    return std::vector{paths.ca, paths.crl, paths.certificate, paths.key};
  };
  return std::make_unique<Watched>(
      make_tls_tunnel(loop.clock(), target, places, std::move(below), std::move(notes)),
      std::move(files));
}

// Of a program of the user's own what its arguments name.
std::vector<std::string> ssh_files(const Target& target, const ssh::SshEnvironment& environment) {
  if (!target.command.empty()) return {target.keyfile, target.known_hosts};
  std::vector<std::string> files = ssh::host_key_files(target, environment).files;
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
  auto files = [target, environment = parts.environment] { return ssh_files(target, environment); };
  return std::make_unique<Watched>(ssh::make_ssh_tunnel(loop.clock(), target, std::move(parts)),
                                   std::move(files));
}

}  // namespace

std::unique_ptr<Tunnel> make_tunnel(io::Loop& loop, const Target& target, Notes notes) {
  const bool ssh = target.transport == Transport::ssh;
  return make_tunnel(loop, target, std::move(notes),
                     ssh ? ssh::current_environment() : ssh::SshEnvironment());
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
      return tls_tunnel(loop, target, std::move(notes));
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

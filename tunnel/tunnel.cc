#include "tunnel/tunnel.h"

#include <cstring>
#include <functional>
#include <utility>

#include <netinet/in.h>
#include <strings.h>

#include "base/text.h"
#include "tunnel/io/address.h"
#include "tunnel/io/connect.h"
#include "tunnel/io/loop.h"
#include "tunnel/io/process.h"
#include "tunnel/ssh/tunnel.h"
#include "tunnel/tls_files.h"
#include "tunnel/tls_tunnel.h"

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
  if (!target.insecure && !is_loopback(target.host)) {
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
      if (notes) notes(name + ": " + base::printable(line));
    };
    return io::run_process(loop, std::move(command));
  });
}

std::unique_ptr<Tunnel> tls_tunnel(io::Loop& loop, const Target& target, Notes notes) {
  auto below = [&loop, target] { return tcp_stream(loop, target); };
  return make_tls_tunnel(loop.clock(), target, tls_places(), std::move(below), std::move(notes));
}

std::unique_ptr<Tunnel> ssh_tunnel(io::Loop& loop, const Target& target, Notes notes) {
  ssh::Parts parts;
  parts.environment = ssh::current_environment();
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
  return ssh::make_ssh_tunnel(loop.clock(), target, std::move(parts));
}

}  // namespace

std::unique_ptr<Tunnel> make_tunnel(io::Loop& loop, const Target& target, Notes notes) {
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
      return ssh_tunnel(loop, target, std::move(notes));
  }
  return refused(loop, "the transport is unknown");
}

bool is_loopback(const std::string& host) {
  if (strcasecmp(host.c_str(), "localhost") == 0) return host.size() == std::strlen("localhost");
  const auto address = io::address_literal(host, 0);
  if (!address) return false;
  if (address->family() == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, &address->storage, sizeof in);
    return IN6_IS_ADDR_LOOPBACK(&in.sin6_addr);
  }
  sockaddr_in in{};
  std::memcpy(&in, &address->storage, sizeof in);
  return ntohl(in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
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

// A real sshd for one test: private keys and configuration in a private folder, one process for
// each connection, which is a pair of sockets.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

#include "tests/unit/support/io.h"
#include "tests/unit/support/temporary_folder.h"
#include "tunnel/io/listener.h"
#include "tunnel/io/loop.h"
#include "tunnel/ssh/parts.h"
#include "tunnel/target.h"
#include "tunnel/tunnel.h"

namespace test {

void write_file(const std::string& path, const std::string& text);
// Runs a program to its end, which must be a success.
void run_program(const std::vector<std::string>& arguments);
// A child with these descriptors as standard input and output.
pid_t start_program(const std::vector<std::string>& arguments, int in, int out);

class SshServer {
 public:
  // `options` are lines of sshd_config(5). The host has keys of these types.
  SshServer(tunnel::io::Loop& loop, const TemporaryFolder& folder, const std::string& options,
            const std::vector<std::string>& host_key_types = {"ed25519"});
  SshServer(const SshServer&) = delete;
  SshServer& operator=(const SshServer&) = delete;
  ~SshServer();

  // A new connection, served by an sshd of its own.
  std::unique_ptr<tunnel::io::Stream> connect();
  void kill_all();
  void signal_all(int signal) const;
  [[nodiscard]] std::size_t connections() const { return children_.size(); }
  // What the sshds have logged.
  [[nodiscard]] std::string log() const;

 private:
  tunnel::io::Loop& loop_;
  const TemporaryFolder& folder_;
  std::vector<pid_t> children_;
};

// Sends back what it gets.
class EchoServer : public tunnel::io::ListenerOwner {
 public:
  EchoServer(tunnel::io::Loop& loop, const std::string& path);
  ~EchoServer() override;
  EchoServer(const EchoServer&) = delete;
  EchoServer& operator=(const EchoServer&) = delete;
  [[nodiscard]] std::size_t accepted() const { return accepted_; }

 private:
  class Client;
  void on_accept(std::unique_ptr<tunnel::io::Stream> stream, const tunnel::io::Peer& peer) override;
  void on_accept_failed(const std::string& text) override { static_cast<void>(text); }

  tunnel::io::Loop& loop_;
  std::size_t accepted_ = 0;
  std::vector<std::unique_ptr<Client>> clients_;
  std::unique_ptr<tunnel::io::Listener> listener_;
};

// All of it: a user's key, a server that knows it, a daemon's socket, and a target for them.
struct SshWorld {
  explicit SshWorld(const std::string& options = {},
                    const std::vector<std::string>& host_key_types = {"ed25519"});
  ~SshWorld();
  // Closes all streams and the tunnel, and ends the servers.
  void finish();

  // What becomes of a stream that is opened now.
  Recorder& open();
  void until(const std::function<bool()>& done) { run_until(loop, done); }
  // Opens a stream and turns the loop until it is open or closed.
  Recorder& opened();
  // Opens a stream that must not open, and gives why.
  tunnel::io::Reason refused();
  // Sends text through an open stream and waits for it to come back.
  void echo(Recorder& stream, const std::string& text);
  void make_tunnel();
  // Puts the host's keys of these types into the known_hosts file.
  void know_host(const std::vector<std::string>& types);
  [[nodiscard]] std::string noted() const;

  TemporaryFolder folder;
  tunnel::io::Loop loop;
  SshServer server;
  EchoServer daemon;
  tunnel::Target target;
  tunnel::ssh::Parts parts;
  std::vector<std::string> notes;
  std::unique_ptr<tunnel::Tunnel> tunnel;
  std::vector<std::unique_ptr<Recorder>> streams;
};

// The same with a clock of the tunnel that only the test turns; what is due at once happens.
// Whoever adds what streams or the tunnel use calls finish() before that goes.
struct TurnedSshWorld : SshWorld {
  explicit TurnedSshWorld(const std::string& options = {});
  ~TurnedSshWorld() { finish(); }

  void make_tunnel();
  Recorder& open();
  Recorder& opened();

  tunnel::io::Clock clock;
  tunnel::io::Timer turn;
};

}  // namespace test

#include "tests/unit/support/ssh_server.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/support/catch.h"
#include "tunnel/io/connect.h"
#include "tunnel/io/local_socket.h"
#include "tunnel/ssh/tunnel.h"

namespace test {

using tunnel::io::Loop;
using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Stream;

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

pid_t start_program(const std::vector<std::string>& arguments, int in, int out) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in, 0);
  posix_spawn_file_actions_adddup2(&actions, out, 1);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t child = 0;
  REQUIRE(posix_spawnp(&child, argv[0], &actions, &attributes, argv.data(), environ) == 0);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return child;
}

void run_program(const std::vector<std::string>& arguments) {
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  const pid_t child = start_program(arguments, null, null);
  close(null);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
}

SshServer::SshServer(Loop& loop, const TemporaryFolder& folder, const std::string& options,
                     const std::vector<std::string>& host_key_types)
    : loop_(loop), folder_(folder) {
  std::signal(SIGPIPE, SIG_IGN);
  // sshd started by root wants this folder.
  if (geteuid() == 0) mkdir("/run/sshd", 0755);
  std::string config;
  for (const std::string& type : host_key_types) {
    const std::string key = folder_ / ("host_" + type);
    run_program({"ssh-keygen", "-q", "-t", type, "-b", type == "rsa" ? "2048" : "256", "-N", "",
                 "-f", key});
    config += "HostKey " + key + "\n";
  }
  config += "AuthorizedKeysFile " + (folder_ / "authorized_keys") +
            "\nStrictModes no\nUsePAM no\nPidFile none\nUseDNS no\nLogLevel DEBUG1\n"
            "PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n" +
            // A shell's own start files are none of the test's.
            "SetEnv HOME=" + folder_.path() + " PATH=" + (folder_ / "bin") + ":/usr/bin:/bin\n" +
            options;
  write_file(folder_ / "sshd_config", config);
}

SshServer::~SshServer() { kill_all(); }

std::unique_ptr<Stream> SshServer::connect() {
  const auto [near, far] = socket_pair(Kind::unix);
  children_.push_back(start_program(
      {"/usr/sbin/sshd", "-i", "-f", folder_ / "sshd_config", "-E", folder_ / "sshd_log"}, far,
      far));
  close(far);
  return tunnel::io::adopt_fd(loop_, near);
}

void SshServer::kill_all() {
  signal_all(SIGKILL);
  for (const pid_t child : children_) waitpid(child, nullptr, 0);
  children_.clear();
}

// Since OpenSSH 9.8 it is a child of theirs that serves.
void SshServer::signal_all(int signal) const {
  std::vector<pid_t> all = children_;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string pid = std::to_string(all[i]);
    std::ifstream children("/proc/" + pid + "/task/" + pid + "/children");
    for (pid_t child = 0; children >> child;) all.push_back(child);
  }
  for (const pid_t one : all) kill(one, signal);
}

std::string SshServer::log() const { return read_file(folder_ / "sshd_log"); }

class EchoServer::Client : public tunnel::io::StreamOwner {
 public:
  explicit Client(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) {
    stream_->open(*this);
  }
  void on_open() override {}
  void on_data(base::Bytes data) override {
    stream_->write(data);
    if (stream_->queued() > Stream::kHighMark) stream_->pause(1);
  }
  void on_end() override { stream_->close({}); }
  void on_drain() override { stream_->resume(1); }
  void on_closed(const Reason&) override { stream_.reset(); }
  void close() {
    if (stream_) stream_->close({});
  }
  [[nodiscard]] bool gone() const { return stream_ == nullptr; }

 private:
  std::unique_ptr<Stream> stream_;
};

EchoServer::EchoServer(Loop& loop, const std::string& path) : loop_(loop) {
  auto socket = tunnel::io::LocalSocket::bind({path, 0600, {}});
  REQUIRE(socket.ok());
  listener_ = std::make_unique<tunnel::io::Listener>(loop, std::move(*socket), *this);
}

EchoServer::~EchoServer() {
  listener_.reset();
  for (const auto& client : clients_) client->close();
  run_until(loop_,
            [this] { return std::ranges::all_of(clients_, [](auto& c) { return c->gone(); }); });
}

void EchoServer::on_accept(std::unique_ptr<Stream> stream, const tunnel::io::Peer&) {
  ++accepted_;
  clients_.push_back(std::make_unique<Client>(std::move(stream)));
}

SshWorld::SshWorld(const std::string& options, const std::vector<std::string>& host_key_types)
    : server(loop, folder, options, host_key_types), daemon(loop, folder / "daemon-ro") {
  run_program({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"});
  write_file(folder / "authorized_keys", read_file(folder / "key.pub"));
  target.name = "hail";
  target.transport = tunnel::Transport::ssh;
  target.host = "hail.example.com";
  target.port = 22;
  target.sockets = {folder / "daemon-ro"};
  target.keyfile = folder / "key";
  target.known_hosts = folder / "known_hosts";
  target.helper_uri = "qemu:///system";
  parts.environment = tunnel::ssh::current_environment();
  parts.environment.home = folder / "home";
  parts.environment.agent_socket.clear();
  parts.connect = [this] { return server.connect(); };
  parts.connect_agent = [this](const std::string& path) {
    return tunnel::io::connect_unix(loop, {path}, Milliseconds(5000));
  };
  parts.notes = [this](const std::string& text) { notes.push_back(text); };
  know_host(host_key_types);
}

SshWorld::~SshWorld() { finish(); }

void SshWorld::finish() {
  for (const auto& stream : streams) {
    if (stream->stream) stream->close();
  }
  run_until(loop,
            [this] { return std::ranges::all_of(streams, [](auto& s) { return s->closed(); }); });
  tunnel.reset();
  run_for(loop, Milliseconds(10));
  server.kill_all();
}

void SshWorld::know_host(const std::vector<std::string>& types) {
  std::string text;
  for (const std::string& type : types) {
    text += "hail.example.com " + read_file(folder / ("host_" + type + ".pub"));
  }
  write_file(folder / "known_hosts", text);
}

void SshWorld::make_tunnel() {
  if (!tunnel) tunnel = tunnel::ssh::make_ssh_tunnel(loop.clock(), target, parts);
}

Recorder& SshWorld::open() {
  make_tunnel();
  streams.push_back(std::make_unique<Recorder>(tunnel->stream()));
  streams.back()->open();
  return *streams.back();
}

Recorder& SshWorld::opened() {
  Recorder& stream = open();
  until([&] { return stream.opened || stream.closed(); });
  INFO(stream.reason_text());
  REQUIRE(stream.opened);
  return stream;
}

TurnedSshWorld::TurnedSshWorld(const std::string& options)
    : SshWorld(options), turn(loop.clock(), [this] {
        clock.advance(clock.now());
        turn.start(Milliseconds(1));
      }) {
  turn.start(Milliseconds(1));
}

void TurnedSshWorld::make_tunnel() {
  if (!tunnel) tunnel = tunnel::ssh::make_ssh_tunnel(clock, target, parts);
}

Recorder& TurnedSshWorld::open() {
  make_tunnel();
  return SshWorld::open();
}

Recorder& TurnedSshWorld::opened() {
  make_tunnel();
  return SshWorld::opened();
}

Reason SshWorld::refused() {
  Recorder& stream = open();
  until([&] { return stream.closed(); });
  return *stream.reason;
}

// What begins with a character of text is taken for the words of a shell.
void SshWorld::echo(Recorder& stream, const std::string& words) {
  const std::string text = std::string(1, '\0') + words;
  stream.data.clear();
  stream.write(text);
  until([&] { return stream.data.size() >= text.size() || stream.closed(); });
  INFO(stream.reason_text());
  REQUIRE(stream.data == text);
}

std::string SshWorld::noted() const {
  std::string out;
  for (const std::string& note : notes) out += note + "\n";
  return out;
}

}  // namespace test

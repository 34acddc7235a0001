// A whole gate in memory: scripted daemons behind it, clients that speak raw frames before it, and
// a clock that the test turns.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxy/gate/gate.h"
#include "tests/unit/support/memory_stream.h"
#include "tests/unit/support/scripted_daemon.h"

namespace test {

class MemoryLog : public proxy::Log {
 public:
  void write(const proxy::Record& record) override { lines.push_back(to_text(record)); }
  [[nodiscard]] std::size_t count(std::string_view part) const;
  std::vector<std::string> lines;
};

struct Reply {
  policy::Header header;
  base::Buffer body;
};

class RawClient : public tunnel::io::StreamOwner {
 public:
  explicit RawClient(std::unique_ptr<MemoryStream> stream) : stream_(std::move(stream)) {}
  ~RawClient() override;

  void start() { stream_->open(*this); }
  // Sends a call; the result is its serial.
  std::uint32_t call(std::int32_t procedure, const base::Buffer& body = {});
  std::uint32_t call(policy::Remote procedure, const base::Buffer& body = {}) {
    return call(policy::number(procedure), body);
  }
  void send(const base::Buffer& bytes) { stream_->write(bytes); }
  // AUTH_LIST and CONNECT_OPEN.
  std::uint32_t open(const std::string& name);
  void hang_up();
  void stop_reading() { stream_->pause(1); }
  void go_on_reading() { stream_->resume(1); }

  // The answer to a serial, if it has come.
  [[nodiscard]] const Reply* reply(std::uint32_t serial) const;
  [[nodiscard]] bool ok(std::uint32_t serial) const;
  // Code and text of an error reply; code 0 when there is none.
  [[nodiscard]] policy::RemoteError error(std::uint32_t serial) const;
  [[nodiscard]] std::size_t replies_to(std::uint32_t serial) const;
  [[nodiscard]] bool closed() const { return closed_; }

  std::vector<Reply> replies;
  std::vector<Reply> events;
  std::size_t pings = 0;
  bool answer_pings = true;
  bool ended = false;

 private:
  void on_open() override {}
  void on_data(base::Bytes data) override;
  void on_end() override;
  void on_drain() override {}
  void on_closed(const tunnel::io::Reason& reason) override;

  std::unique_ptr<MemoryStream> stream_;
  policy::FrameReader reader_;
  std::uint32_t next_serial_ = 0;
  bool closed_ = false;
};

// The group that may hear everything, in the worlds of tests.
inline constexpr gid_t kHouse = 70707;

class World {
 public:
  // Targets are named in order; each has a daemon of that name.
  explicit World(std::vector<std::string> targets = {"hail"});
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World();

  // Before the first client: changes what the gate is told.
  proxy::Sasl sasl{[this](const std::string& authfile, const std::string& host, auto& at) {
                     return read_credentials(authfile, host, at);
                   },
                   [this](const std::string&, auto work, auto done) {
                     return run_login(std::move(work), std::move(done));
                   }};
  tunnel::io::RunErrand run_login = tunnel::io::run_errand_at_once;
  proxy::Sasl::ReadCredentials read_credentials = [](const std::string&, const std::string&,
                                                     auto&) {
    return proxy::CredentialsResult(base::Failure{std::string("there is no auth.conf here")});
  };
  conf::Config config;
  // Whether clients to come are told only what anybody may hear.
  bool strangers = false;
  conf::LibvirtConf libvirt_conf;

  // A daemon that is no target.
  void may_be_opened(const std::string& name);
  ScriptedDaemon& daemon(const std::string& name = "hail");
  RawClient& client(uid_t uid = 1000, std::size_t cut = 0);
  // A client that has opened `name` successfully.
  RawClient& opened(const std::string& name = "hail", uid_t uid = 1000);
  void leave(RawClient& client);
  void settle() { test::settle(clock); }
  // Lets time pass in steps.
  void pass(std::chrono::milliseconds time);
  proxy::Gate& gate();
  void end();
  // The test has drained the gate itself.
  void drained() { drained_ = true; }

  tunnel::io::Clock clock;
  MemoryLog log;
  // What the gate asked a way to, by name, the latest of each.
  std::map<std::string, tunnel::Target> reached;

 private:
  std::vector<std::unique_ptr<ScriptedDaemon>> all_daemons_;
  std::unique_ptr<proxy::Gate> gate_;
  std::map<std::string, ScriptedDaemon*> daemons_;
  std::vector<std::unique_ptr<RawClient>> clients_;
  bool drained_ = false;
};

// Arguments.
base::Buffer open_arguments(const std::string& name, std::uint32_t flags = 0);
// A machine with that byte as its ID and all through its UUID, called "web7" where no name is
// given.
base::Buffer machine(std::uint8_t uuid, const std::string& name = {});

}  // namespace test

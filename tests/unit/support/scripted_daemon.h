// A libvirt daemon that exists in memory: it answers what the test tells it to, and remembers all
// that it was asked.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "policy/error.h"
#include "policy/message.h"
#include "tests/unit/support/memory_stream.h"
#include "tunnel/tunnel.h"

namespace test {

struct DaemonConnection;

// The daemon's side of SASL on one connection.
class DaemonSasl {
 public:
  virtual ~DaemonSasl() = default;
  // The answer to AUTH_SASL_INIT, START or STEP; nothing: it is refused.
  virtual std::optional<base::Buffer> on_call(std::int32_t procedure, base::Bytes body) = 0;
  // Whether all bytes behind that answer go through the following.
  [[nodiscard]] virtual bool layered() const { return false; }
  virtual base::Buffer encode(base::Bytes plain) { return {plain.begin(), plain.end()}; }
  virtual base::Buffer decode(base::Bytes bytes) { return {bytes.begin(), bytes.end()}; }
};

class ScriptedDaemon : public tunnel::Tunnel {
 public:
  explicit ScriptedDaemon(tunnel::io::Clock& clock);
  ~ScriptedDaemon() override;

  std::unique_ptr<tunnel::io::Stream> stream() override;
  void ask_outdated(std::function<void(bool outdated)> told) override;

  struct Asked {
    std::size_t connection;
    policy::Header header;
    base::Buffer body;
  };

  // How it behaves.
  bool files_changed = false;  // what connections to it rely on
  bool disk_is_slow = false;   // whoever asks for that waits in files_asked
  std::vector<std::function<void(bool)>> files_asked;
  bool down = false;                  // connections are refused
  bool exhausted = false;             // or there is nothing to make them with
  bool silent = false;                // accepts, and never says a word
  std::size_t cut_off = 0;            // so many connections end at their first call
  std::set<std::size_t> black_holes;  // connections on which nothing passes any more, either way
  std::uint32_t auth = 0;             // the one authentication that it offers
  std::function<std::unique_ptr<DaemonSasl>()> sasl;  // for each connection, with auth 1
  std::int32_t silent_at = 0;                         // says nothing to calls of this procedure
  bool eager_ping = false;                      // sends a ping together with its last word of SASL
  std::string open_error;                       // not empty: its answer to an open
  std::map<std::int32_t, std::string> refuses;  // procedures, and what it says
  // The error that it answers a call with.
  std::function<std::optional<policy::Fault>(const policy::Header&, base::Bytes)> fails;
  std::function<bool(const policy::Header&, base::Bytes)> hold_if;  // keeps only such calls
  bool hold = false;  // keeps calls until answer_all() or answer()
  // Of a connection; while so many are kept, nothing more of it is read. 0: any number.
  std::size_t max_client_requests = 0;
  std::size_t cut = 0;  // delivers at most so many bytes at a time
  std::int32_t next_callback_id = 70;
  // Replaces the answer to CONNECT_CLOSE, and the end behind it.
  std::function<void(MemoryStream&)> part;
  // Replaces the usual answer to a call after the open, which is that of reply_of().
  std::function<std::optional<base::Buffer>(const policy::Header&, base::Bytes)> reply;

  // What happened.
  std::vector<Asked> asked;  // everything, in order
  std::size_t dials = 0;
  [[nodiscard]] std::size_t connections() const;  // that are there now
  [[nodiscard]] std::vector<std::string> opened_names() const;
  [[nodiscard]] std::size_t count(std::int32_t procedure) const;
  std::vector<Asked> held;

  void answer_all();
  void answer(std::size_t held_index);
  void kill_all();    // as kill -9 would
  void starve_all();  // the gate's host has no memory for them
  void send(std::size_t connection, const base::Buffer& bytes);
  void stop_reading(std::size_t connection);
  void send_plain(std::size_t connection, const base::Buffer& bytes);  // past the layer of SASL
  void send_event(std::int32_t procedure, base::Bytes body);           // on every connection

 private:
  friend struct DaemonConnection;

  void on_call(DaemonConnection& connection, const policy::Frame& frame);
  void answer_call(const Asked& call);
  DaemonConnection* find(std::size_t number);
  [[nodiscard]] bool full(std::size_t connection) const;

  tunnel::io::Clock& clock_;
  std::list<std::unique_ptr<DaemonConnection>> connections_;
  std::size_t next_number_ = 0;
};

// Ways in which daemons and the programs before them end a connection that was said goodbye to, the
// orderly one not among them.
std::vector<std::function<void(MemoryStream&)>> partings();

base::Buffer frame(policy::Header header, base::Bytes body);
base::Buffer words(std::initializer_list<std::uint32_t> values);

}  // namespace test

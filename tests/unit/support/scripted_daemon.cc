#include "tests/unit/support/scripted_daemon.h"

#include <algorithm>

#include "base/check.h"
#include "policy/error.h"
#include "policy/events.h"
#include "policy/procedures.h"
#include "policy/xdr.h"
#include "tests/unit/support/reply_bodies.h"
#include "tunnel/io/stream.h"

namespace test {

using policy::Header;
using policy::Remote;
using tunnel::io::Reason;
using tunnel::io::Stage;

namespace {

bool is_sasl(std::int32_t procedure) {
  return procedure >= number(Remote::AUTH_SASL_INIT) && procedure <= number(Remote::AUTH_SASL_STEP);
}

}  // namespace

base::Buffer frame(Header header, base::Bytes body) {
  base::Buffer out;
  policy::append_frame(out, header, body);
  return out;
}

std::vector<std::function<void(MemoryStream&)>> partings() {
  std::vector<std::function<void(MemoryStream&)>> all;
  for (const auto kind : {Reason::Kind::end, Reason::Kind::system, Reason::Kind::timeout,
                          Reason::Kind::refused, Reason::Kind::protocol, Reason::Kind::exhausted}) {
    all.emplace_back([kind](MemoryStream& stream) {
      stream.fail_peer({kind, Stage::established, "ended with exit status 3"});
    });
  }
  all.emplace_back([](MemoryStream& stream) { stream.write(words({0xffffffff, 1, 2, 3})); });
  all.emplace_back([](MemoryStream& stream) { stream.end(); });
  all.emplace_back([](MemoryStream&) {});
  return all;
}

namespace {

base::Buffer refused(const Header& call) {
  base::Buffer out;
  policy::append_error_reply(
      out, call, {policy::ErrorCode::auth_failed, policy::ErrorDomain::rpc, "no entry"});
  return out;
}

}  // namespace

base::Buffer words(std::initializer_list<std::uint32_t> values) {
  base::Buffer out;
  for (const std::uint32_t value : values) policy::XdrWriter(out).word(value);
  return out;
}

struct DaemonConnection : tunnel::io::StreamOwner {
  DaemonConnection(ScriptedDaemon& d, std::size_t n, std::unique_ptr<MemoryStream> s)
      : daemon(d), number(n), stream(std::move(s)) {}

  void on_open() override {}
  void on_data(base::Bytes data) override {
    const base::Buffer plain = layered ? sasl->decode(data) : base::Buffer();
    base::append(unread, layered ? base::Bytes(plain) : data);
    take();
    CHECK(!reader.broken());
  }
  void take() {
    if (unread.empty() || daemon.full(number)) return;
    const base::Buffer bytes = std::exchange(unread, {});
    reader.feed(bytes);
    while (const auto frame = reader.next()) {
      daemon.on_call(*this, *frame);
      if (!daemon.full(number)) continue;
      base::append(unread, reader.take_rest());
      return;
    }
  }
  void write(base::Bytes data) const {
    if (!layered) return stream->write(data);
    stream->write(sasl->encode(data));
  }
  void on_end() override { stream->close({Reason::Kind::end, Stage::established, ""}); }
  void on_drain() override {}
  void on_closed(const Reason&) override {
    std::erase_if(daemon.connections_, [this](const auto& c) { return c.get() == this; });
  }

  ScriptedDaemon& daemon;
  std::size_t number;
  std::unique_ptr<MemoryStream> stream;
  policy::FrameReader reader;
  base::Buffer unread;
  std::unique_ptr<DaemonSasl> sasl;
  bool layered = false;
  bool open = false;
};

ScriptedDaemon::ScriptedDaemon(tunnel::io::Clock& clock) : clock_(clock) {}

ScriptedDaemon::~ScriptedDaemon() { CHECK(connections_.empty()); }

void ScriptedDaemon::ask_outdated(std::function<void(bool outdated)> told) {
  if (disk_is_slow) return files_asked.push_back(std::move(told));
  told(files_changed);
}

std::unique_ptr<tunnel::io::Stream> ScriptedDaemon::stream() {
  ++dials;
  auto [ours, theirs] = MemoryStream::pair(clock_);
  theirs->deliver_at_most(cut);
  ours->deliver_at_most(cut);
  if (down) {
    theirs->hold_open();
    theirs->close({Reason::Kind::system, Stage::connect, "Connection refused"});
    return std::move(theirs);
  }
  if (exhausted) {
    theirs->hold_open();
    theirs->close({Reason::Kind::exhausted, Stage::handshake, "Too many open files"});
    return std::move(theirs);
  }
  connections_.push_back(
      std::make_unique<DaemonConnection>(*this, next_number_++, std::move(ours)));
  DaemonConnection& added = *connections_.back();
  if (sasl) added.sasl = sasl();
  added.stream->open(added);
  return std::move(theirs);
}

std::size_t ScriptedDaemon::connections() const { return connections_.size(); }

std::vector<std::string> ScriptedDaemon::opened_names() const {
  std::vector<std::string> names;
  for (const Asked& call : asked) {
    if (call.header.procedure != 1) continue;
    policy::XdrReader reader(call.body);
    bool present = false;
    std::string_view name;
    std::uint32_t flags = 0;
    CHECK(reader.optional(present) && present && reader.string(name) && reader.word(flags));
    CHECK(flags == 1 && reader.left() == 0);
    names.emplace_back(name);
  }
  return names;
}

std::size_t ScriptedDaemon::count(std::int32_t procedure) const {
  return static_cast<std::size_t>(std::count_if(asked.begin(), asked.end(), [&](const Asked& a) {
    return a.header.program == policy::kRemoteProgram && a.header.procedure == procedure;
  }));
}

DaemonConnection* ScriptedDaemon::find(std::size_t number) {
  for (const auto& connection : connections_) {
    if (connection->number == number) return connection.get();
  }
  return nullptr;
}

void ScriptedDaemon::on_call(DaemonConnection& connection, const policy::Frame& frame) {
  if (black_holes.contains(connection.number)) return;
  asked.push_back({connection.number, frame.header, {frame.body.begin(), frame.body.end()}});
  if (cut_off > 0 && frame.header.procedure == number(Remote::AUTH_LIST)) {
    --cut_off;
    return connection.stream->close({Reason::Kind::end, Stage::established, "cut off"});
  }
  if (silent || frame.header.procedure == silent_at) return;
  const Asked call = asked.back();
  if (call.header.program == policy::kKeepaliveProgram) {
    if (call.header.procedure == policy::number(policy::Keepalive::ping)) {
      connection.write(policy::keepalive_frame(policy::Keepalive::pong));
    }
    return;
  }
  const bool handshake = !connection.open || call.header.procedure == number(Remote::CONNECT_CLOSE);
  if ((hold || (hold_if && hold_if(call.header, call.body))) && !handshake) {
    held.push_back(call);
  } else {
    answer_call(call);
  }
}

void ScriptedDaemon::answer_call(const Asked& call) {
  DaemonConnection* connection = find(call.connection);
  if (connection == nullptr) return;
  if (call.header.procedure == number(Remote::CONNECT_CLOSE) && part)
    return part(*connection->stream);
  Header header = call.header;
  header.type = static_cast<std::uint32_t>(policy::Type::reply);
  const std::int32_t procedure = header.procedure;
  const std::string none;
  base::Buffer body;
  const auto* event = policy::find_event_call(procedure);
  const bool registers = event != nullptr && event->adds && !event->older;
  if (is_sasl(procedure) && connection->sasl) {
    const auto said = connection->sasl->on_call(procedure, call.body);
    connection->write(said ? frame(header, *said) : refused(call.header));
    connection->layered = connection->sasl->layered();
    if (connection->layered && eager_ping) {
      connection->write(policy::keepalive_frame(policy::Keepalive::ping));
    }
    return;
  }
  const std::string& refusal = procedure == number(Remote::CONNECT_OPEN) ? open_error
                               : refuses.contains(procedure)             ? refuses[procedure]
                                                                         : none;
  std::optional<policy::Fault> fault;
  if (fails) fault = fails(call.header, call.body);
  if (!refusal.empty()) fault = {policy::ErrorCode::no_connect, policy::ErrorDomain::none, refusal};
  if (fault) {
    base::Buffer out;
    policy::append_error_reply(out, call.header, *fault);
    return connection->write(out);
  }
  if (procedure == number(Remote::AUTH_LIST)) {
    body = words({1, auth});
  } else if (procedure == number(Remote::CONNECT_SUPPORTS_FEATURE)) {
    body = words({1});
  } else if (procedure == number(Remote::CONNECT_OPEN)) {
    connection->open = true;
  } else if (registers) {
    body = words({static_cast<std::uint32_t>(next_callback_id++)});
  } else if (const auto own = reply ? reply(call.header, call.body) : std::nullopt) {
    body = *own;
  } else {
    const policy::Procedure* row = policy::find_procedure(header.program, procedure);
    CHECK(row != nullptr);
    body = reply_of(*row, call.body, 1).bytes;
  }
  connection->write(frame(header, body));
  if (procedure == 2) connection->stream->end();
}

void ScriptedDaemon::answer_all() {
  for (const Asked& call : std::exchange(held, {})) answer_call(call);
  for (const auto& connection : connections_) connection->take();
}

void ScriptedDaemon::answer(std::size_t held_index) {
  const Asked call = held.at(held_index);
  held.erase(held.begin() + static_cast<long>(held_index));
  answer_call(call);
  if (DaemonConnection* connection = find(call.connection)) connection->take();
}

bool ScriptedDaemon::full(std::size_t connection) const {
  return max_client_requests > 0 && std::ranges::count(held, connection, &Asked::connection) >=
                                        static_cast<std::ptrdiff_t>(max_client_requests);
}

void ScriptedDaemon::kill_all() {
  for (const auto& connection : connections_) {
    connection->stream->close({Reason::Kind::system, Stage::established, "killed"});
  }
}

void ScriptedDaemon::starve_all() {
  for (const auto& connection : connections_) {
    connection->stream->fail_peer(
        {Reason::Kind::exhausted, Stage::established, "Cannot allocate memory"});
  }
}

void ScriptedDaemon::stop_reading(std::size_t connection) {
  if (DaemonConnection* found = find(connection)) found->stream->pause(1);
}

void ScriptedDaemon::send(std::size_t connection, const base::Buffer& bytes) {
  if (DaemonConnection* found = find(connection)) found->write(bytes);
}

void ScriptedDaemon::send_plain(std::size_t connection, const base::Buffer& bytes) {
  if (DaemonConnection* found = find(connection)) found->stream->write(bytes);
}

void ScriptedDaemon::send_event(std::int32_t procedure, base::Bytes body) {
  Header header;
  header.procedure = procedure;
  header.type = static_cast<std::uint32_t>(policy::Type::message);
  header.serial = 1;
  for (const auto& connection : connections_) connection->write(frame(header, body));
}

}  // namespace test

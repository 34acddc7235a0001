#include "tests/unit/support/world.h"

#include <algorithm>

#include "base/check.h"
#include "conf/target.h"
#include "policy/procedures.h"
#include "policy/xdr.h"
#include "tests/unit/support/borrowed_tunnel.h"

namespace test {

using policy::Remote;
using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Stage;

std::size_t MemoryLog::count(std::string_view part) const {
  return static_cast<std::size_t>(std::count_if(lines.begin(), lines.end(), [&](const auto& line) {
    return line.find(part) != std::string::npos;
  }));
}

base::Buffer open_arguments(const std::string& name, std::uint32_t flags) {
  base::Buffer body;
  policy::XdrWriter writer(body);
  writer.optional(true);
  writer.string(name);
  writer.word(flags);
  return body;
}

RawClient::~RawClient() { CHECK(closed_); }

std::uint32_t RawClient::call(std::int32_t procedure, const base::Buffer& body) {
  policy::Header header;
  header.procedure = procedure;
  header.serial = next_serial_++;
  send(frame(header, body));
  return header.serial;
}

std::uint32_t RawClient::open(const std::string& name) {
  call(Remote::AUTH_LIST);
  return call(Remote::CONNECT_OPEN, open_arguments(name));
}

void RawClient::hang_up() { stream_->close({Reason::Kind::requested, Stage::established, "bye"}); }

const Reply* RawClient::reply(std::uint32_t serial) const {
  for (const Reply& reply : replies) {
    if (reply.header.serial == serial) return &reply;
  }
  return nullptr;
}

bool RawClient::ok(std::uint32_t serial) const {
  const Reply* found = reply(serial);
  return found != nullptr && found->header.is(policy::Status::ok);
}

policy::RemoteError RawClient::error(std::uint32_t serial) const {
  const Reply* found = reply(serial);
  if (found == nullptr || !found->header.is(policy::Status::error)) return {};
  return policy::decode_error(found->body);
}

std::size_t RawClient::replies_to(std::uint32_t serial) const {
  return static_cast<std::size_t>(std::count_if(
      replies.begin(), replies.end(), [&](const Reply& r) { return r.header.serial == serial; }));
}

void RawClient::on_data(base::Bytes data) {
  reader_.feed(data);
  while (const auto frame = reader_.next()) {
    if (frame->header.program == policy::kKeepaliveProgram) {
      if (frame->header.procedure != 1) continue;
      ++pings;
      if (answer_pings) stream_->write(policy::keepalive_frame(policy::Keepalive::pong));
      continue;
    }
    auto& to = frame->header.is(policy::Type::reply) ? replies : events;
    to.push_back({frame->header, {frame->body.begin(), frame->body.end()}});
  }
  CHECK(!reader_.broken());
}

void RawClient::on_end() {
  ended = true;
  hang_up();
}

void RawClient::on_closed(const Reason&) { closed_ = true; }

World::World(std::vector<std::string> targets) {
  for (const std::string& name : targets) {
    auto made = conf::make_target(name, "test+unix:///" + name + "?socket=/run/" + name);
    CHECK(made.ok());
    config.targets.push_back(std::move(made).value());
    may_be_opened(name);
  }
  conf::Listen listen;
  listen.path = "/run/test";
  config.control.group = kHouse;
  config.listen.push_back(listen);
}

World::~World() { end(); }

void World::may_be_opened(const std::string& name) {
  all_daemons_.push_back(std::make_unique<ScriptedDaemon>(clock));
  daemons_[name] = all_daemons_.back().get();
}

ScriptedDaemon& World::daemon(const std::string& name) { return *daemons_.at(name); }

proxy::Gate& World::gate() {
  if (!gate_) {
    gate_ = std::make_unique<proxy::Gate>(
        clock, log, sasl, config, libvirt_conf, [this](const tunnel::Target& target) {
          reached[target.name] = target;
          return std::make_unique<BorrowedTunnel>(*daemons_.at(target.name));
        });
  }
  return *gate_;
}

RawClient& World::client(uid_t uid, std::size_t cut) {
  auto [ours, theirs] = MemoryStream::pair(clock);
  theirs->deliver_at_most(cut);
  clients_.push_back(std::make_unique<RawClient>(std::move(ours)));
  RawClient& added = *clients_.back();
  added.start();
  tunnel::io::Peer peer;
  peer.uid = uid;
  peer.gid = uid;
  peer.pid = 4711;
  if (!strangers) peer.groups = {kHouse};
  gate().accept(std::move(theirs), peer, 0);
  return added;
}

RawClient& World::opened(const std::string& name, uid_t uid) {
  RawClient& added = client(uid);
  const std::uint32_t serial = added.open(name);
  settle();
  CHECK(added.ok(serial));
  return added;
}

void World::leave(RawClient& client) {
  client.hang_up();
  settle();
}

void World::pass(std::chrono::milliseconds time) {
  const Milliseconds end = clock.now() + time;
  settle();
  while (clock.now() < end) {
    const auto next = clock.next();
    clock.advance(next ? std::min(end, std::max(*next, clock.now() + Milliseconds(1))) : end);
    settle();
  }
}

void World::end() {
  if (gate_ && !drained_) {
    drained_ = true;
    bool done = false;
    gate_->drain([&] { done = true; });
    pass(std::chrono::seconds(60));
    CHECK(done);
  }
  gate_.reset();
  for (const auto& client : clients_) {
    if (!client->closed()) client->hang_up();
  }
  settle();
}

base::Buffer machine(std::uint8_t uuid, const std::string& name) {
  base::Buffer body;
  policy::XdrWriter writer(body);
  writer.string(name.empty() ? "web" + std::to_string(uuid) : name);
  writer.fixed(base::Buffer(16, uuid));
  writer.number(uuid);
  return body;
}

}  // namespace test

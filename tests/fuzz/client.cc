// The whole of the gate before whatever a client sends: bytes in, a daemon with a script behind.
//
// The first two bytes of the input say how it is cut and how the others behave; the rest is what
// the client sends, as it is or, with kCompact, in short forms of messages whose frames are made
// here. All that reaches the daemon must be a call that passes, in the words in which it was
// judged; all that reaches the client must answer something that it asked.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "base/check.h"
#include "conf/target.h"
#include "policy/events.h"
#include "policy/filter.h"
#include "policy/message.h"
#include "policy/xdr.h"
#include "proxy/gate/gate.h"
#include "tests/fuzz/wire.h"
#include "tests/unit/support/borrowed_tunnel.h"
#include "tunnel/tunnel.h"

namespace {

using fuzz::Wire;
using policy::Decision;
using policy::Frame;
using policy::Header;
using policy::Remote;
using policy::Rule;
using policy::Type;
using tunnel::io::Milliseconds;

enum Behaviour : unsigned {
  kGreeted = 1,     // the client has opened the target before
  kSlow = 2,        // the daemon answers nothing until everything has been sent
  kDies = 4,        // the daemon's first connection breaks then
  kStuck = 8,       // the client reads nothing until everything has been sent
  kBystander = 16,  // somebody else asks too
  kLate = 32,       // time passes before the daemon answers
  kHangsUp = 64,    // the client breaks off instead of ending
  kCompact = 128,
};

constexpr const char* kName = "hail";

base::Buffer frame(const Header& header, base::Bytes body = {}) {
  base::Buffer out;
  policy::append_frame(out, header, body);
  return out;
}

base::Buffer opening() {
  base::Buffer out = frame({.procedure = number(Remote::AUTH_LIST)});
  base::Buffer body;
  policy::XdrWriter writer(body);
  writer.optional(true);
  writer.string(kName);
  writer.word(0);
  base::append(out, frame({.procedure = number(Remote::CONNECT_OPEN), .serial = 1}, body));
  return out;
}

// Each form is a byte for program and type, two for the procedure, one for the number of words of
// the body, and the body.
base::Buffer expanded(base::Bytes forms) {
  static constexpr std::array kPrograms = {policy::kRemoteProgram, policy::kKeepaliveProgram,
                                           policy::kQemuProgram, policy::kLxcProgram};
  base::Buffer out;
  std::uint32_t serial = 10;
  while (forms.size() >= 4) {
    Header header;
    header.program = kPrograms[forms[0] >> 4U & 3U];
    header.type = forms[0] & 7U;
    header.status = forms[0] >> 6U;
    header.procedure = forms[1] * 256 + forms[2];
    header.serial = serial++;
    const std::size_t size = std::min(std::size_t{4} * forms[3], forms.size() - 4);
    policy::append_frame(out, header, forms.subspan(4, size));
    forms = forms.subspan(4 + size);
  }
  return out;
}

class Silence final : public proxy::Log {
 public:
  void write(const proxy::Record& record) override { CHECK(!proxy::to_text(record).empty()); }
};

// Answers what a daemon would answer, and checks what it is asked.
class Daemon final : public tunnel::Tunnel {
 public:
  std::unique_ptr<tunnel::io::Stream> stream() override {
    return connections_.emplace_back().wire.stream();
  }

  bool turn() {
    bool busy = false;
    for (Connection& one : connections_) {
      busy = one.wire.turn() || busy;
      const base::Buffer written = one.wire.take();
      busy = busy || !written.empty();
      one.reader.feed(written);
      while (const auto asked = one.reader.next()) on_frame(one, *asked);
      CHECK(!one.reader.broken());
      if (one.wire.ended()) one.wire.end();
    }
    return busy;
  }

  void kill() {
    if (!connections_.empty()) connections_.front().wire.break_off();
  }
  void answer_held() {
    slow = false;
    for (Connection& one : connections_) {
      for (const Header& call : std::exchange(one.held, {})) answer(one, call);
    }
  }
  [[nodiscard]] bool left() const {
    return std::ranges::all_of(connections_, [](const Connection& c) { return c.wire.gone(); });
  }

  bool slow = false;

 private:
  struct Connection {
    Wire wire;
    policy::FrameReader reader;
    std::vector<Header> held;
    std::uint32_t next_serial = 0;
    bool open = false;
  };

  void on_frame(Connection& one, const Frame& asked) {
    const Header& header = asked.header;
    if (header.program == policy::kKeepaliveProgram) {
      CHECK(asked.body.empty() && header.is(Type::message));
      if (header.procedure == policy::number(policy::Keepalive::ping)) {
        one.wire.put(policy::keepalive_frame(policy::Keepalive::pong));
      }
      return;
    }
    CHECK(header.serial == one.next_serial++);
    check_call(one, asked);
    if (slow && one.open && header.procedure != number(Remote::CONNECT_CLOSE)) {
      one.held.push_back(header);
    } else {
      answer(one, header);
    }
  }

  static void check_call(const Connection& one, const Frame& asked) {
    base::Buffer encoded;
    const policy::Verdict verdict = policy::judge(asked.header, asked.body, encoded);
    CHECK(std::ranges::equal(encoded, asked.body));
    CHECK(asked.header.program == policy::kRemoteProgram && verdict.procedure != nullptr);
    if (one.open && verdict.decision == Decision::forward) {
      CHECK(verdict.procedure->rule == Rule::pass || verdict.procedure->rule == Rule::check);
      return;
    }
    CHECK(verdict.decision == Decision::answer);
    const policy::EventCall* event = policy::find_event_call(asked.header.procedure);
    if (one.open && event != nullptr) return CHECK(!event->older);
    switch (static_cast<Remote>(asked.header.procedure)) {
      case Remote::AUTH_LIST:
        return CHECK(!one.open);
      case Remote::CONNECT_OPEN:
        return CHECK(!one.open && verdict.arguments[0].text == "test:///hail" &&
                     verdict.arguments[1].number == 1);
      case Remote::CONNECT_SUPPORTS_FEATURE:
        return CHECK(one.open || verdict.arguments[0].number == 10);
      default:
        CHECK(one.open && asked.header.procedure == number(Remote::CONNECT_CLOSE));
    }
  }

  static std::size_t smallest_size(const policy::ReplyItem& item) {
    switch (item.type) {
      case policy::ReplyType::hyper:
      case policy::ReplyType::uhyper:
        return 8;
      case policy::ReplyType::object: {
        const policy::Layout& layout = policy::layout_of(item.object);
        std::size_t size = 0;
        for (std::size_t i = 0; i < layout.count; ++i) {
          size += layout.fields[i] == policy::Field::uuid ? 16 : 4;
        }
        return size;
      }
      default:
        return 4;
    }
  }

  // A reply with nothing but zeros, which are empty strings and lists.
  static base::Buffer smallest(const policy::Procedure& row) {
    std::size_t size = 0;
    const auto items = row.reply.all();
    for (std::size_t i = 0; i < items.size(); i += 1U + items[i].members) {
      const policy::ReplyItem& item = items[i];
      const bool alone = item.shape == policy::ReplyShape::single;
      const bool fixed = item.shape == policy::ReplyShape::fixed;
      size += alone || fixed ? item.bound * smallest_size(item) : 4;
    }
    return base::Buffer(size);
  }

  void answer(Connection& one, const Header& call) {
    base::Buffer body;
    policy::XdrWriter writer(body);
    const auto procedure = static_cast<Remote>(call.procedure);
    const policy::EventCall* event = policy::find_event_call(call.procedure);
    if (procedure == Remote::AUTH_LIST) {
      writer.word(1);
      writer.word(0);
    } else if (procedure == Remote::CONNECT_SUPPORTS_FEATURE) {
      writer.word(1);
    } else if (procedure == Remote::CONNECT_OPEN) {
      one.open = true;
    } else if (event != nullptr && event->adds) {
      send_events(one, *event, next_callback_);
      writer.number(next_callback_++);
    } else if (event == nullptr) {
      body = smallest(policy::find_procedure(procedure));
    }
    Header reply = call;
    reply.type = static_cast<std::uint32_t>(Type::reply);
    one.wire.put(frame(reply, body));
    if (procedure == Remote::CONNECT_CLOSE) one.wire.end();
  }

  static void send_events(Connection& one, const policy::EventCall& call, std::int32_t id) {
    for (const policy::EventKind& kind : policy::event_kinds()) {
      if (kind.family != call.family || kind.id != 0) continue;
      base::Buffer body = smallest(policy::find_procedure(static_cast<Remote>(kind.procedure)));
      policy::store_word(body.data(), static_cast<std::uint32_t>(id));
      Header event;
      event.procedure = kind.procedure;
      event.type = static_cast<std::uint32_t>(Type::message);
      event.serial = 1;
      one.wire.put(frame(event, body));
    }
  }

  std::list<Connection> connections_;
  std::int32_t next_callback_ = 5;
};

// Counts what it asks and what comes back.
class Client {
 public:
  explicit Client(std::uint32_t longest) : sent_(longest) {}

  Wire wire;

  void send(base::Bytes bytes) {
    wire.put(bytes);
    sent_.feed(bytes);
    while (const auto one = sent_.next()) ++asked_[key(one->header)];
  }

  bool turn() {
    bool busy = wire.turn();
    const base::Buffer written = wire.take();
    got_.feed(written);
    while (const auto one = got_.next()) on_frame(*one);
    CHECK(!got_.broken());
    busy = busy || !written.empty();
    if (wire.ended()) wire.end();
    return busy;
  }

  [[nodiscard]] bool all_answered() const {
    return std::ranges::all_of(asked_, [](const auto& one) { return one.second == 0; });
  }

 private:
  using Key = std::tuple<std::uint32_t, std::int32_t, std::uint32_t>;

  static Key key(const Header& header) { return {header.program, header.procedure, header.serial}; }

  void on_frame(const Frame& got) {
    const Header& header = got.header;
    if (header.is(Type::message)) {
      const bool alive = header.program == policy::kKeepaliveProgram;
      CHECK(alive || policy::find_procedure(header.program, header.procedure) != nullptr);
      return;
    }
    CHECK(header.is(Type::reply) || header.is(Type::stream));
    const auto found = asked_.find(key(header));
    CHECK(found != asked_.end() && found->second > 0);
    --found->second;
    if (header.is(policy::Status::error)) {
      CHECK(!policy::decode_error(got.body).text.empty());
    } else {
      CHECK(header.is(policy::Status::ok));
    }
  }

  policy::FrameReader sent_;
  policy::FrameReader got_;
  std::map<Key, std::size_t> asked_;
};

conf::Config configuration() {
  conf::Config config;
  auto target = conf::make_target(kName, "test+unix:///hail?socket=/run/hail");
  CHECK(target.ok());
  config.targets.push_back(std::move(target).value());
  config.targets.back().call_timeout = Milliseconds(1000);
  config.listen.emplace_back().path = "/run/gate";
  return config;
}

class Scene {
 public:
  explicit Scene(const conf::Config& config)
      : config_(config), gate_(clock_, log_, sasl_, config, {}, [this](const tunnel::Target&) {
          return std::make_unique<test::BorrowedTunnel>(daemon_);
        }) {}

  Client& arrive() {
    Client& client = clients_.emplace_back(config_.limits.max_call);
    tunnel::io::Peer peer;
    peer.uid = 1000;
    gate_.accept(client.wire.stream(), peer, 0);
    return client;
  }
  Daemon& daemon() { return daemon_; }

  void settle() {
    for (bool busy = true; busy;) {
      busy = daemon_.turn();
      for (Client& client : clients_) busy = client.turn() || busy;
      if (const auto next = clock_.next(); next && *next <= clock_.now()) {
        clock_.advance(clock_.now());
        busy = true;
      }
    }
  }

  void pass(Milliseconds time) {
    const Milliseconds end = clock_.now() + time;
    for (settle(); clock_.now() < end; settle()) {
      const auto next = clock_.next();
      clock_.advance(next ? std::min(end, *next) : end);
    }
  }

  void end() {
    bool done = false;
    gate_.drain([&done] { done = true; });
    settle();
    if (!done) pass(std::chrono::seconds(60));
    CHECK(done && gate_.clients() == 0 && daemon_.left());
    CHECK(std::ranges::all_of(clients_, [](const Client& c) { return c.wire.gone(); }));
  }

 private:
  const conf::Config& config_;
  tunnel::io::Clock clock_;
  Silence log_;
  proxy::Sasl sasl_{[](const std::string&, const std::string&, auto&) {
    return proxy::CredentialsResult(base::Failure{std::string("none")});
  }};
  std::list<Client> clients_;
  Daemon daemon_;
  proxy::Gate gate_;
};

void play(const conf::Config& config, unsigned behaviour, std::size_t cut, base::Bytes bytes) {
  Scene scene(config);
  Client& client = scene.arrive();
  client.wire.cut = cut;
  if ((behaviour & kGreeted) != 0) client.send(opening());
  Client* bystander = (behaviour & kBystander) != 0 ? &scene.arrive() : nullptr;
  if (bystander != nullptr) bystander->send(opening());
  scene.daemon().slow = (behaviour & kSlow) != 0;
  client.wire.stuck = (behaviour & kStuck) != 0;
  client.send((behaviour & kCompact) != 0 ? expanded(bytes)
                                          : base::Buffer(bytes.begin(), bytes.end()));
  if (bystander != nullptr) {
    bystander->send(frame({.procedure = number(Remote::CONNECT_GET_LIB_VERSION), .serial = 2}));
  }
  scene.settle();
  if ((behaviour & kDies) != 0) scene.daemon().kill();
  if ((behaviour & kLate) != 0) scene.pass(Milliseconds(1500));
  scene.daemon().answer_held();
  client.wire.stuck = false;
  scene.settle();
  if (bystander != nullptr) {
    // What is lost twice is dialled again after a pause.
    if (!bystander->all_answered()) scene.pass(Milliseconds(2500));
    CHECK(bystander->all_answered());
  }
  if ((behaviour & kHangsUp) != 0) {
    client.wire.break_off();
  } else {
    client.wire.end();
  }
  scene.end();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const conf::Config kConfig = configuration();
  if (size < 2) return 0;
  play(kConfig, data[1], data[0], base::Bytes(data + 2, size - 2));
  return 0;
}

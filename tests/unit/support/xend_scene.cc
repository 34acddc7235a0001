#include "tests/unit/support/xend_scene.h"

#include <algorithm>

#include "base/check.h"
#include "conf/target.h"
#include "tests/unit/support/borrowed_tunnel.h"

namespace test {

using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Stage;

struct ScriptedXend::Connection final : tunnel::io::StreamOwner {
  Connection(ScriptedXend& owner, std::size_t n, std::unique_ptr<MemoryStream> s)
      : xend(owner), number(n), stream(std::move(s)) {}

  void on_open() override {}
  void on_data(base::Bytes data) override {
    xend.got[number] += base::text_of(data);
    const std::string& text = xend.got[number];
    if (!answered && !xend.silent && text.find("\r\n\r\n") != std::string::npos) say();
  }
  void say() {
    answered = true;
    stream->write(base::bytes_of(xend.answer));
    if (xend.closes) stream->end();
  }
  void on_end() override { stream->close({Reason::Kind::end, Stage::established, ""}); }
  void on_drain() override {}
  void on_closed(const Reason&) override {
    std::erase_if(xend.connections_, [this](const auto& one) { return one.get() == this; });
  }

  ScriptedXend& xend;
  std::size_t number;
  std::unique_ptr<MemoryStream> stream;
  bool answered = false;
};

ScriptedXend::ScriptedXend(tunnel::io::Clock& clock) : clock_(clock) {}

ScriptedXend::~ScriptedXend() { CHECK(connections_.empty()); }

std::unique_ptr<tunnel::io::Stream> ScriptedXend::stream() {
  auto [ours, theirs] = MemoryStream::pair(clock_);
  theirs->deliver_at_most(cut);
  ours->deliver_at_most(cut);
  if (down) theirs->hold_open();
  got.emplace_back();
  auto added = std::make_unique<Connection>(*this, got.size() - 1, std::move(ours));
  added->stream->open(*added);
  connections_.push_back(std::move(added));
  return std::move(theirs);
}

void ScriptedXend::answer_all() {
  for (const auto& connection : connections_) {
    if (!connection->answered) connection->say();
  }
}

void ScriptedXend::kill_all() {
  for (const auto& connection : connections_) {
    connection->stream->close({Reason::Kind::requested, Stage::established, "killed"});
  }
}

TextClient::~TextClient() { CHECK(closed); }

void TextClient::hang_up() { stream_->close({Reason::Kind::requested, Stage::established, "bye"}); }

void TextClient::on_end() {
  ended = true;
  if (!stays) hang_up();
}

void TextClient::on_closed(const Reason&) { closed = true; }

int TextClient::status() const {
  constexpr std::size_t kVersion = 9;
  if (!got.starts_with("HTTP/1.1 ") || got.size() < kVersion + 3) return 0;
  int out = 0;
  for (const char c : got.substr(kVersion, 3)) out = out * 10 + (c - '0');
  return out;
}

std::string TextClient::body() const {
  const std::size_t end = got.find("\r\n\r\n");
  return end == std::string::npos ? "" : got.substr(end + 4);
}

XendWorld::XendWorld(std::vector<std::string> targets) {
  config.control.group = kHouse;
  for (const std::string& name : targets) {
    auto made = conf::make_target(name, "///run/" + name, {});
    CHECK(made.ok());
    config.targets.push_back(std::move(made).value());
    conf::Listen listen;
    listen.path = "/run/gate/" + name;
    listen.target = name;
    config.listen.push_back(listen);
    xends_[name] = std::make_unique<ScriptedXend>(clock);
  }
}

proxy::Gate& XendWorld::gate() {
  if (!gate_) {
    gate_ = std::make_unique<proxy::Gate>(
        clock, log, sasl_, config, conf::LibvirtConf(), [this](const tunnel::Target& target) {
          return std::make_unique<BorrowedTunnel>(*xends_.at(target.name));
        });
  }
  return *gate_;
}

TextClient& XendWorld::client(std::size_t listener, uid_t uid, std::size_t cut) {
  auto [ours, theirs] = MemoryStream::pair(clock);
  theirs->deliver_at_most(cut);
  clients_.push_back(std::make_unique<TextClient>(std::move(ours)));
  TextClient& added = *clients_.back();
  added.start();
  tunnel::io::Peer peer;
  peer.uid = uid;
  peer.gid = uid;
  peer.pid = 4711;
  peer.groups = {kHouse};
  gate().accept(std::move(theirs), peer, listener);
  return added;
}

TextClient& XendWorld::asked(std::string_view text) {
  TextClient& added = client();
  added.send(text);
  settle();
  return added;
}

void XendWorld::pass(Milliseconds time) {
  const Milliseconds end = clock.now() + time;
  settle();
  while (clock.now() < end) {
    const auto next = clock.next();
    clock.advance(next ? std::min(end, std::max(*next, clock.now() + Milliseconds(1))) : end);
    settle();
  }
}

std::shared_ptr<bool> XendWorld::drain() {
  drained_ = true;
  auto done = std::make_shared<bool>(false);
  gate().drain([done] { *done = true; });
  return done;
}

void XendWorld::end() {
  if (gate_ && !drained_) {
    const auto done = drain();
    pass(std::chrono::seconds(60));
    CHECK(*done);
  }
  gate_.reset();
  for (const auto& client : clients_) {
    if (!client->closed) client->hang_up();
  }
  settle();
}

std::string ask(std::string_view path) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
}

std::string says(std::string_view body, std::string_view status) {
  return "HTTP/1.1 " + std::string(status) + "\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + std::string(body);
}

}  // namespace test

#include "tests/unit/support/tls_scene.h"

#include <algorithm>
#include <utility>

#include <unistd.h>

#include "base/check.h"
#include "tunnel/tls/tunnel.h"

namespace test {

using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Stage;

Witness::~Witness() { CHECK(stream == nullptr || closed || stages.empty()); }

void Witness::must_live() const { CHECK(!closed); }

void Witness::on_stage(Stage stage) {
  must_live();
  CHECK(stages.empty() || stages.back() < stage);
  stages.push_back(stage);
  if (when_stage) when_stage(stage);
}

void Witness::on_open() {
  must_live();
  CHECK(opened == 0);
  ++opened;
  if (when_open) when_open();
}

void Witness::on_data(base::Bytes some) {
  must_live();
  CHECK(opened == 1 && ended == 0 && !some.empty());
  base::append(data, some);
  if (when_data) when_data();
}

void Witness::on_end() {
  must_live();
  CHECK(opened == 1 && ended == 0);
  ++ended;
  if (when_end) when_end();
}

void Witness::on_drain() {
  must_live();
  CHECK(stream->queued() <= tunnel::io::Stream::kLowMark);
  ++drained;
}

void Witness::on_closed(const Reason& reason) {
  must_live();
  CHECK(!calling_);
  closed = reason;
  stream.reset();
}

void Witness::call(const std::function<void(tunnel::io::Stream&)>& what) {
  if (stream == nullptr) return;
  const bool was = std::exchange(calling_, true);
  what(*stream);
  calling_ = was;
}

ServerEnd::ServerEnd(const TlsServer::Options& options, std::unique_ptr<MemoryStream> with)
    : tls(options), stream(std::move(with)) {
  stream->open(*this);
}

ServerEnd::~ServerEnd() = default;

void ServerEnd::on_data(base::Bytes data) {
  tls.receive(data);
  flush();
  if (tls.failed()) stream->end();
}

void ServerEnd::on_closed(const Reason&) {
  closed = true;
  stream.reset();
}

void ServerEnd::flush() {
  base::Buffer out = std::exchange(tls.output(), {});
  if (left_) {
    out.resize(std::min(out.size(), *left_));
    *left_ -= out.size();
  }
  if (stream != nullptr && !out.empty()) stream->write(out);
}

Scene::Scene() {
  target.name = "hail";
  target.transport = tunnel::Transport::tls;
  target.host = "hail.example";
  target.pkipath = world.folder.path();
}

Scene::~Scene() { finish(); }

void Scene::connect() {
  const auto make_below = [this]() -> std::unique_ptr<tunnel::io::Stream> {
    auto [ours, theirs] = MemoryStream::pair(clock);
    ours->deliver_at_most(piece);
    theirs->deliver_at_most(piece);
    if (hold_below) ours->hold_open();
    below = ours.get();
    server = std::make_unique<ServerEnd>(world.options, std::move(theirs));
    return std::move(ours);
  };
  if (tunnel == nullptr) {
    tunnel::TlsPlaces places;
    places.uid = ::geteuid();
    const auto note = [this](const std::string& text) { notes.push_back(text); };
    tunnel = tunnel::make_tls_tunnel({clock, target, places, note, errand}, make_below);
  }
  client.stream = tunnel->stream();
}

void Scene::open() {
  connect();
  client.call([this](auto& stream) { stream.open(client); });
  settle();
}

void Scene::pass(Milliseconds time) {
  clock.advance(clock.now() + time);
  settle();
}

void Scene::finish() {
  client.call([](auto& stream) { stream.close(Reason()); });
  if (server != nullptr && server->stream != nullptr) {
    server->stream->resume(~0U);
    server->stream->close(Reason());
  }
  settle();
  // A stream that nobody opened ends with its owner.
  if (client.stages.empty() && !client.closed) client.stream.reset();
  CHECK(client.stream == nullptr);
  CHECK(!clock.next());
  tunnel.reset();
}

}  // namespace test

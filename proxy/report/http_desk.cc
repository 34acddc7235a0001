#include "proxy/report/http_desk.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"

namespace proxy {

using policy::HttpAnswer;
using policy::HttpHead;
using tunnel::io::Reason;
using tunnel::io::Stage;

class HttpDesk::Visit final : private tunnel::io::StreamOwner {
 public:
  Visit(HttpDesk& desk, std::uint64_t number, std::unique_ptr<tunnel::io::Stream> stream,
        tunnel::io::Peer peer)
      : desk_(desk),
        number_(number),
        stream_(std::move(stream)),
        peer_(std::move(peer)),
        deadline_(desk.clock_, [this] {
          stream_->close({Reason::Kind::timeout, Stage::established, "it took too long"});
        }) {}
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;
  ~Visit() override = default;

  void start() {
    stream_->open(*this);
    deadline_.start(kPatience);
  }
  void close() {
    closing_ = true;
    stream_->close({Reason::Kind::requested, Stage::established, "the gate closed it"});
  }
  [[nodiscard]] bool closing() const { return closing_; }
  [[nodiscard]] bool asks() const { return !answered_ && !waits_ && !closing_; }
  [[nodiscard]] std::uint64_t number() const { return number_; }

  void send(const HttpAnswer& answer) {
    if (answered_ || closing_) return;
    answered_ = true;
    waits_ = false;
    stream_->write(policy::encode_http_answer(answer));
    stream_->end();
  }

 private:
  void on_open() override {}
  void on_data(base::Bytes data) override {
    read_ += data.size();
    if (read_ > kMostRead) stream_->pause(1);
    if (answered_ || waits_) return;
    switch (head_.feed(data)) {
      case HttpHead::State::reading:
        return;
      case HttpHead::State::complete:
        return take_request();
      case HttpHead::State::malformed:
        return send(policy::http_text(policy::http::kBadRequest,
                                      "the request cannot be used: " + head_.wrong()));
      case HttpHead::State::long_line:
        return send(policy::http_text(policy::http::kUriTooLong, "the request is too long"));
      case HttpHead::State::long_fields:
        return send(
            policy::http_text(policy::http::kFieldsTooLarge, "the request has too many fields"));
    }
  }
  // It has what it came for, or will not get it.
  void on_end() override {
    ended_ = true;
    if (!waits_ && (!answered_ || stream_->queued() == 0)) close();
  }
  void on_drain() override {
    if (ended_ && stream_->queued() == 0) close();
  }
  void on_closed(const Reason& reason) override {
    static_cast<void>(reason);
    deadline_.stop();
    desk_.gone(*this);
  }

  void take_request() {
    const std::string_view line = head_.first_line();
    const std::size_t first = line.find(' ');
    const std::size_t second = line.rfind(' ');
    if (first == std::string_view::npos || second == first ||
        !line.substr(second + 1).starts_with("HTTP/1.")) {
      return send(policy::http_text(policy::http::kBadRequest, "this is no request of HTTP/1.1"));
    }
    std::string_view path = line.substr(first + 1, second - first - 1);
    path = path.substr(0, path.find('?'));
    const std::string_view method = line.substr(0, first);
    const auto respond = [&desk = desk_, number = number_](const HttpAnswer& answer) {
      desk.respond(number, answer);
    };
    if (method == "GET") {
      waits_ = true;
      return desk_.answer_(path, head_.find("accept"), respond);
    }
    if (method != "POST" || !desk_.order_) {
      return send(policy::http_text(policy::http::kMethodNotAllowed, "only GET works"));
    }
    waits_ = true;
    deadline_.start(kOrderPatience);
    desk_.order_(path, peer_, respond);
  }

  HttpDesk& desk_;
  const std::uint64_t number_;
  std::unique_ptr<tunnel::io::Stream> stream_;
  const tunnel::io::Peer peer_;
  tunnel::io::Timer deadline_;
  HttpHead head_{{kLongestLine, kMostFields, kLongestFields}};
  std::size_t read_ = 0;  // bytes
  bool answered_ = false;
  bool waits_ = false;  // for what it has asked for
  bool ended_ = false;
  bool closing_ = false;
};

HttpDesk::HttpDesk(tunnel::io::Clock& clock, Answer answer, Order order)
    : clock_(clock), answer_(std::move(answer)), order_(std::move(order)) {}

HttpDesk::~HttpDesk() { CHECK(visits_.empty()); }

void HttpDesk::accept(std::unique_ptr<tunnel::io::Stream> stream, const tunnel::io::Peer& peer) {
  if (closed_) return;
  const auto there =
      std::ranges::count_if(visits_, [](const auto& one) { return !one->closing(); });
  if (static_cast<std::size_t>(there) >= kMostConnections) {
    const auto oldest = std::ranges::find_if(visits_, [](const auto& one) { return one->asks(); });
    if (oldest == visits_.end() || visits_.size() >= 2 * kMostConnections) return;
    (*oldest)->close();
  }
  visits_.push_back(std::make_unique<Visit>(*this, next_++, std::move(stream), peer));
  visits_.back()->start();
}

void HttpDesk::gone(const Visit& visit) {
  std::erase_if(visits_, [&](const auto& one) { return one.get() == &visit; });
  if (closed_ && visits_.empty()) std::exchange(closed_, nullptr)();
}

void HttpDesk::respond(std::uint64_t visit, const HttpAnswer& answer) {
  const auto found =
      std::ranges::find_if(visits_, [&](const auto& one) { return one->number() == visit; });
  if (found != visits_.end()) (*found)->send(answer);
}

void HttpDesk::close(std::function<void()> closed) {
  if (visits_.empty()) return closed();
  closed_ = std::move(closed);
  for (const auto& visit : visits_) visit->close();
}

}  // namespace proxy

// The way to one xend for all who ask it: no more exchanges at a time than the target may have
// connections; who comes later waits in turn.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "conf/values.h"
#include "proxy/record/counters.h"
#include "proxy/record/snapshot.h"
#include "proxy/xend/xend_exchange.h"
#include "tunnel/io/clock.h"
#include "tunnel/tunnel.h"

namespace proxy {

// Who asks. It must not go away in these calls.
class XendAsker {
 public:
  virtual ~XendAsker() = default;
  virtual void on_xend_answer(const policy::XendResponse& response) = 0;
  virtual void on_xend_failed(const tunnel::io::Reason& reason) = 0;
};

class XendPool final : private XendExchangeOwner {
 public:
  // The target, of protocol xend, is copied; clock and counters outlive the pool. `tunnel` is the
  // way to it.
  XendPool(tunnel::io::Clock& clock, conf::TargetConfig target,
           std::unique_ptr<tunnel::Tunnel> tunnel, std::shared_ptr<TargetCounters> counters);
  XendPool(const XendPool&) = delete;
  XendPool& operator=(const XendPool&) = delete;
  // close() has been called and is through, or nothing was ever asked.
  ~XendPool() override;

  [[nodiscard]] const conf::TargetConfig& target() const { return target_; }

  // Counts those who may ask, so that nobody is left when it is closed.
  void attach() { ++attached_; }
  void detach() { --attached_; }
  [[nodiscard]] bool used() const { return attached_ > 0; }

  // One of the asker's calls follows from the loop, within the target's call_timeout, unless
  // leave() comes before. An asker has one question at a time.
  void ask(XendAsker& asker, policy::XendQuestion question);
  // Nobody waits for the answer any more.
  void leave(const XendAsker& asker);

  // Ends what is under way; `closed` is called when nothing is, from the loop or at once. Nobody
  // may be attached.
  void close(std::function<void()> closed);

  [[nodiscard]] TargetCounters& counters() { return *counters_; }
  [[nodiscard]] TargetSnapshot snapshot() const;
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }
  [[nodiscard]] std::size_t running() const { return running_.size(); }

 private:
  struct Waiting {
    XendAsker* asker;
    policy::XendQuestion question;
    tunnel::io::Milliseconds deadline;
  };
  struct Running {
    XendAsker* asker;  // null: it has left
    std::unique_ptr<XendExchange> exchange;
  };

  void on_xend_done(XendExchange& exchange) override;
  void start_next();
  void expire();
  void arm();

  tunnel::io::Clock& clock_;
  const conf::TargetConfig target_;
  const std::string host_;
  std::unique_ptr<tunnel::Tunnel> tunnel_;
  const std::shared_ptr<TargetCounters> counters_;
  std::optional<UpstreamFailure> last_failure_;
  std::list<Waiting> waiting_;  // in the order of their deadlines
  std::list<Running> running_;
  std::uint32_t attached_ = 0;
  tunnel::io::Timer expire_;
  std::function<void()> closed_;
};

}  // namespace proxy

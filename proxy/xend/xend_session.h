// One client of a xend: it speaks HTTP, asks one question, and gets one answer. What is no reading
// question is refused here and never reaches xend.
//
// The connection is over with the answer. What else the client sends is dropped.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "policy/http.h"
#include "policy/xend_request.h"
#include "policy/xend_response.h"
#include "proxy/record/counters.h"
#include "proxy/record/log.h"
#include "proxy/record/snapshot.h"
#include "proxy/visitor/budget.h"
#include "proxy/visitor/deadline.h"
#include "proxy/visitor/guest.h"
#include "proxy/visitor/turns.h"
#include "proxy/visitor/visitor.h"
#include "proxy/xend/xend_pool.h"
#include "tunnel/io/peer.h"
#include "tunnel/io/stream.h"

namespace proxy {

// What a session asks the gate.
class XendTargets {
 public:
  virtual ~XendTargets() = default;
  // The xend of that name. The error: there is none any more, or `peer` may not ask it.
  virtual base::Result<XendPool*, policy::Fault> xend(const tunnel::io::Peer& peer,
                                                      const std::string& name) = 0;
};

class XendSession final : public Visitor,
                          private tunnel::io::StreamOwner,
                          private XendAsker,
                          private BudgetHolder {
 public:
  // `targets` outlives the session, and so does the pool.
  XendSession(const VisitorDeps& deps, XendTargets& targets, Arrival arrival, XendPool& pool);
  XendSession(const XendSession&) = delete;
  XendSession& operator=(const XendSession&) = delete;
  ~XendSession() override;

  void start() override;
  void turn_away(policy::Fault why) override;
  void drain(std::string_view why) override;
  // A session that has asked its question was allowed to, and goes on with the xend that it asked.
  void regrant() override;
  void close(tunnel::io::Reason reason) override;

  [[nodiscard]] std::int64_t number() const override { return number_; }
  [[nodiscard]] std::uint64_t calls() const override { return phase_ == Phase::reading ? 0 : 1; }
  [[nodiscard]] ClientSnapshot snapshot() const override;
  [[nodiscard]] const Guest& guest() const override { return guest_; }
  // Whatever answer it got counts as what it came for.
  [[nodiscard]] const ClientEnd& end() const override { return end_; }

 private:
  enum class Phase : std::uint8_t { reading, asking, leaving };

  void on_open() override {}
  void on_data(base::Bytes data) override;
  void on_end() override;
  void on_drain() override { holding_.recount(); }
  void on_closed(const tunnel::io::Reason& reason) override;

  void on_xend_answer(const policy::XendResponse& response) override;
  void on_xend_failed(const tunnel::io::Reason& reason) override;
  void clean();

  [[nodiscard]] std::uint64_t queued() const override { return stream_->queued(); }

  void drop(std::size_t bytes);
  void refuse(Refusal why, const policy::HttpAnswer& answer, std::string_view reason);
  void say_refusal(const policy::HttpAnswer& answer, std::string_view reason,
                   const std::string& reference = {});
  void tell(int status, const policy::Fault& fault);
  void count_end(Outcome outcome);
  void answer(const policy::HttpAnswer& answer);
  [[nodiscard]] std::array<Deadline<XendSession>, 2> deadlines() const;
  void arm();
  void tick();
  void request_is_late();
  void check_reading();
  Line line(Level level, std::string_view event);

  const VisitorDeps deps_;
  XendTargets& targets_;
  const std::int64_t number_;
  std::unique_ptr<tunnel::io::Stream> stream_;
  const tunnel::io::Peer peer_;
  Budget::Holding holding_;
  XendPool* pool_;
  const Guest guest_;
  ClientEnd end_;
  tunnel::io::Timer tick_;
  Turns::Part turn_;
  std::optional<policy::XendCleaning> cleaning_;  // of the answer

  policy::XendRequest request_;
  Phase phase_ = Phase::reading;
  int status_ = 0;
  bool input_ended_ = false;
  std::size_t dropped_ = 0;
  Traffic traffic_;
  tunnel::io::Milliseconds began_;
  tunnel::io::Milliseconds asked_{0};
  std::optional<tunnel::io::Milliseconds> sent_;  // when all of the answer had gone out
};

}  // namespace proxy

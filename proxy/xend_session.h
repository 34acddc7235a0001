// One client of a xend: it speaks HTTP, asks one question, and gets one answer. What is no reading
// question is refused here and never reaches xend.
//
// The connection is over with the answer. What else the client sends is dropped.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "conf/config.h"
#include "policy/http.h"
#include "policy/xend_request.h"
#include "proxy/counters.h"
#include "proxy/guest.h"
#include "proxy/log.h"
#include "proxy/snapshot.h"
#include "proxy/users.h"
#include "proxy/xend_pool.h"
#include "tunnel/io/peer.h"
#include "tunnel/io/stream.h"

namespace proxy {

class XendSession;

class XendSessionOwner {
 public:
  virtual ~XendSessionOwner() = default;
  // The last call, from the loop; the owner destroys the session.
  virtual void on_session_gone(XendSession& session) = 0;
};

class XendSession final : private tunnel::io::StreamOwner, private XendAsker {
 public:
  // All of it outlives the session, and so does its pool.
  struct Place {
    tunnel::io::Clock& clock;
    Log& log;
    const conf::Limits& limits;
    Counters& counters;
    XendSessionOwner& owner;
  };

  // `number` names the client in the log; `stream` may be any, not yet open; `peer` is who is at
  // the other end of it.
  XendSession(const Place& place, std::int64_t number, std::unique_ptr<tunnel::io::Stream> stream,
              const tunnel::io::Peer& peer, User& user, XendPool& pool, Guest guest = {});
  XendSession(const XendSession&) = delete;
  XendSession& operator=(const XendSession&) = delete;
  ~XendSession() override = default;

  void start();
  // Answers with `why` whatever is asked: for a newcomer who is one too many.
  void turn_away(const std::string& why);
  // The same for one whom no rule lets in.
  void forbid(const std::string& why);
  // Asks this one in place of its pool. Not once it has asked.
  void move_to(XendPool& pool);
  // Ends when what was asked has been answered.
  void drain(std::string_view why);
  void close(tunnel::io::Reason reason);

  [[nodiscard]] std::int64_t number() const { return number_; }
  [[nodiscard]] User& user() { return user_; }
  [[nodiscard]] const tunnel::io::Peer& peer() const { return peer_; }
  // It has asked its question, or got an answer without.
  [[nodiscard]] bool asked() const { return state_ != State::reading; }
  [[nodiscard]] ClientSnapshot snapshot() const;
  // Of the answer that was given; 0: none was.
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] const XendPool& pool() const { return *pool_; }
  [[nodiscard]] const Guest& guest() const { return guest_; }
  // Once it is gone. Whatever answer it got counts as what it came for.
  [[nodiscard]] const ClientEnd& end() const { return end_; }

 private:
  enum class State : std::uint8_t { reading, asking, leaving };

  void on_open() override {}
  void on_data(base::Bytes data) override;
  void on_end() override;
  void on_drain() override { recount(); }
  void on_closed(const tunnel::io::Reason& reason) override;

  void on_xend_answer(const policy::XendResponse& response) override;
  void on_xend_failed(const tunnel::io::Reason& reason) override;

  void drop(std::size_t bytes);
  void refuse(Refusal why, const policy::HttpAnswer& answer, std::string_view reason);
  void say_refusal(const policy::HttpAnswer& answer, std::string_view reason);
  void count_end(Outcome outcome);
  void answer(const policy::HttpAnswer& answer);
  void recount();
  void arm();
  void tick();
  Line line(Level level, std::string_view event);

  const Place place_;
  const std::int64_t number_;
  std::unique_ptr<tunnel::io::Stream> stream_;
  const tunnel::io::Peer peer_;
  User& user_;
  XendPool* pool_;
  const Guest guest_;
  ClientEnd end_;
  tunnel::io::Timer tick_;

  policy::XendRequest request_;
  State state_ = State::reading;
  int status_ = 0;
  bool input_ended_ = false;
  std::size_t dropped_ = 0;
  Traffic traffic_;
  std::uint64_t counted_ = 0;  // what user_.buffered holds of ours
  tunnel::io::Milliseconds began_;
  tunnel::io::Milliseconds asked_{0};
  tunnel::io::Milliseconds last_progress_{0};
  std::optional<tunnel::io::Milliseconds> sent_;  // when all of the answer had gone out
};

}  // namespace proxy

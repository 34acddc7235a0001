// A channel of an ssh connection, as its owner sees it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/bytes.h"
#include "tunnel/io/clock.h"
#include "tunnel/io/stream.h"
#include "tunnel/ssh/engine.h"
#include "tunnel/ssh/remote_command.h"

namespace tunnel::ssh {

// Gets a channel's calls, from the loop. It may call any function of any channel from them.
class ChannelOwner {
 public:
  virtual ~ChannelOwner() = default;
  // The connection, which was not yet there, has come so far.
  virtual void on_channel_stage(io::Stage stage) = 0;
  virtual void on_channel_open() = 0;
  // As StreamOwner::room().
  virtual std::span<std::uint8_t> on_channel_room() { return {}; }
  virtual void on_channel_data(base::Bytes data) = 0;
  virtual void on_channel_end() = 0;
  virtual void on_channel_drain() = 0;
  // The server does not open such a channel: the last call. `sessions_full` when another connection
  // would have room for it.
  virtual void on_channel_refused(const std::string& why, bool sessions_full) = 0;
  // The channel or the whole connection has ended: the last call. Of a command that ended, `text`
  // says how, with what it wrote to its standard error.
  virtual void on_channel_closed(const io::Reason& reason) = 0;
};

class Channel {
 public:
  // What is kept of a command's standard error.
  static constexpr std::size_t kMostErrors = 2048;

  // Without an owner it closes once it is open. The server may take `patience` for each answer.
  Channel(io::Clock& clock, Way way, ChannelOwner* owner, io::Milliseconds patience,
          std::function<void()> wake);
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // For the owner.
  void write(base::Bytes data);
  [[nodiscard]] std::size_t queued() const { return out_.size() - out_sent_; }
  void end();
  void pause(bool paused);
  // The owner hears nothing any more and forgets the channel.
  void release();

  // The rest is for the connection, from the loop. Each may call the owner, who may open channels.

  [[nodiscard]] bool has_owner() const { return owner_ != nullptr; }
  [[nodiscard]] bool gone() const { return state_ == State::gone; }
  // A command that runs, which is what servers count.
  [[nodiscard]] bool is_session() const { return executes() && channel_ != nullptr; }
  // A socket or an address, which needs no session.
  [[nodiscard]] bool forwards() const { return !executes(); }

  void tell_stage(io::Stage stage);
  // The server's time begins.
  void start_patience() { deadline_.start(patience_); }
  // When its turn to open comes: whether nobody waits for that any more, so that it has gone.
  bool drop_unwanted();
  // Says pending as long as the opening is not over.
  Engine::Step step_opening(Engine& engine);
  void tell_opened();
  // The opening failed. Whether it was a session that the server refused.
  [[nodiscard]] bool is_refused_session() const { return executes() && channel_ == nullptr; }
  void tell_refused(const std::string& why, bool sessions_full);

  // Does what can be done with an open or closing channel.
  void service(Engine& engine, const std::function<bool()>& below_is_busy);
  // What the server has not done in its time.
  enum class Late : std::uint8_t { nothing, opening, start, closing };
  [[nodiscard]] Late late() const;
  // The command never started: its opening is over, and the channel closes.
  void give_up_start(const io::Reason& reason);
  // The connection is over, and the engine with it.
  void abandon(io::Reason reason);

 private:
  enum class State : std::uint8_t { queued, opening, starting, open, closing, gone };

  Engine::Step open(Engine& engine);
  void send(Engine& engine, const std::function<bool()>& below_is_busy);
  void receive(Engine& engine);
  void receive_errors(Engine& engine);
  void check_end(Engine& engine);
  void begin_close(Engine& engine);
  void finish(const io::Reason& reason);
  [[nodiscard]] bool executes() const { return is_command(way_.kind); }

  Way way_;
  ChannelOwner* owner_;
  io::Milliseconds patience_;
  std::function<void()> wake_;
  State state_ = State::queued;
  Engine::Channel channel_ = nullptr;
  bool released_ = false;
  bool timed_out_ = false;
  bool paused_ = false;
  bool was_high_ = false;
  bool ending_ = false;
  bool end_sent_ = false;
  bool end_seen_ = false;
  base::Buffer out_;
  std::size_t out_sent_ = 0;
  std::string errors_;
  io::Timer deadline_;
};

}  // namespace tunnel::ssh

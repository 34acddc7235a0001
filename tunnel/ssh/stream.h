// A stream to the daemon over a channel of a shared ssh connection.
//
// The ways to the daemon are tried one after the other. Whether a command such as virt-ssh-helper
// is there shows only when it ends, after the stream has opened, since libvirt's client speaks
// first. So until the first byte comes back, what was written is kept, and a command that ends
// without a word is taken for a way that failed: the next one gets what was written. The owner
// notices a delay, or at the end that all ways failed. A command whose first byte is a character of
// text has failed too: a daemon begins with the length of a message, whose first byte is close to
// zero, and what speaks is the login shell, or a file that it reads when it starts.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "tunnel/io/stream.h"
#include "tunnel/io/stream_state.h"
#include "tunnel/ssh/channel.h"
#include "tunnel/ssh/remote_command.h"

namespace tunnel::ssh {

class Connection;
class SshTunnel;

class SshStream : public io::Stream, private ChannelOwner {
 public:
  // What is kept until the first answer. Whoever writes more than that before gets no other way.
  static constexpr std::size_t kMostKept = std::size_t{64} * 1024;
  // What is quoted of a shell.
  static constexpr std::size_t kMostShellText = 200;

  // The tunnel outlives the stream.
  SshStream(io::Clock& clock, SshTunnel& tunnel);

  void open(io::StreamOwner& owner) override;
  void write(base::Bytes data) override;
  [[nodiscard]] std::size_t queued() const override;
  void end() override;
  void pause(unsigned reasons) override;
  void resume(unsigned reasons) override;
  void close(io::Reason reason) override;

 private:
  void on_channel_stage(io::Stage stage) override;
  void on_channel_open() override;
  std::span<std::uint8_t> on_channel_room() override;
  void on_channel_data(base::Bytes data) override;
  void on_channel_end() override;
  void on_channel_drain() override;
  void on_channel_refused(const std::string& why, bool sessions_full) override;
  void on_channel_closed(const io::Reason& reason) override;

  // Whether the data is not the daemon's, so that it was taken here.
  bool take_shell_text(base::Bytes data);
  // Hands on what is the daemon's.
  void hear(base::Bytes data);
  [[nodiscard]] std::string shell_says() const;
  void try_way();
  void next_way(const std::string& why);
  [[nodiscard]] const Way& way() const { return ways_[way_]; }
  // The command may still turn out not to be there.
  [[nodiscard]] bool on_trial() const;

  SshTunnel& tunnel_;
  io::StreamState state_;
  Connection* connection_ = nullptr;
  Channel* channel_ = nullptr;
  bool channel_open_ = false;
  std::vector<Way> ways_;
  std::size_t way_ = 0;
  std::vector<std::string> failures_;
  bool reused_ = false;   // the connection was there before
  bool retried_ = false;  // and had gone, so that another was made
  bool announced_ = false;
  bool heard_ = false;
  bool keeping_ = true;
  bool ending_ = false;
  std::string shell_text_;
  base::Buffer kept_;  // all that was written, until heard_; for the channel once it opens
  io::Stage stage_ = io::Stage::look_up;
  io::Timer close_timer_;
  io::Timer exit_timer_;
};

}  // namespace tunnel::ssh

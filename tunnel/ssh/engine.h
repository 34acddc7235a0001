// libssh2 as an engine: it is fed what the server sends and hands back what the server is to get.
//
// The library never sees a socket. Its send callback always takes everything and its receive
// callback gives what was fed, so that no packet is ever half sent: with several busy channels a
// half-sent packet breaks libssh2 1.10 and hangs 1.11 when the server changes keys. Back-pressure
// is therefore the caller's: it stops calling write() while the stream below has much to do, and
// read() for a channel that nobody reads from, whose window then closes.
//
// Each function that needs an answer of the server says `pending` until it is there, and is then to
// be called again with the same arguments, after the next input. Only one of handshake,
// authentication and the opening of a channel may be pending at a time. Reading anything takes all
// that was fed, and data of all channels lies ready inside the library after that: so every channel
// must be asked after each input.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <libssh2.h>

#include "base/bytes.h"
#include "tunnel/ssh/greeting.h"
#include "tunnel/ssh/heap.h"
#include "tunnel/ssh/keys.h"

namespace tunnel::ssh {

class Engine {
 public:
  enum class Step : std::uint8_t { pending, done, failed };
  struct Transfer {
    Step step = Step::pending;
    std::size_t size = 0;  // when done
  };
  using Channel = LIBSSH2_CHANNEL*;

  // What a channel may receive before somebody reads it. Memory of a channel at most, beside the
  // packet that reaches over it; a round trip carries so much at most.
  static constexpr std::uint32_t kWindow = std::uint32_t{256} * 1024;
  // Memory of a session without channels, and of each channel besides, at most: twice what is
  // buffered, since the library keeps a small packet in more than its size.
  static constexpr std::size_t kSessionMemory = std::size_t{32} << 20;
  static constexpr std::size_t kChannelMemory = std::size_t{2} * kWindow;

  // Signs for a key that is not here.
  class Signer {
   public:
    virtual ~Signer() = default;
    // Called again until it is not pending. The signature comes without its algorithm.
    virtual Step sign(base::Bytes data, base::Buffer& signature) = 0;
  };

  // `known_types` of host keys are asked for first.
  explicit Engine(const std::vector<std::string>& known_types);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine();

  void receive(base::Bytes data);
  // Nothing more will come. Whatever is pending fails when it is called again.
  void receive_end() { ended_ = true; }
  // Fed and not yet taken by the library.
  [[nodiscard]] std::size_t unread() const { return input_.size() - taken_; }
  // For the server, since the last call.
  base::Buffer take_output();
  [[nodiscard]] std::size_t output_size() const { return output_.size(); }

  Step handshake();
  [[nodiscard]] base::Bytes host_key() const;
  [[nodiscard]] const Greeting& greeting() const { return greeting_; }
  [[nodiscard]] const Algorithms& offered() const { return offered_; }

  // Done with `methods` empty: the server wants no authentication.
  Step list_methods(const std::string& user, std::string& methods);
  // A refusal by the server leaves failed() false; another key may follow.
  Step try_key(const std::string& user, const PrivateKey& key);
  // After a failed try_key(): the library could read the key, so that the server has seen it.
  [[nodiscard]] bool key_was_read() const { return key_was_read_; }
  Step try_key(const std::string& user, base::Bytes public_key, Signer& signer);

  // A refusal leaves failed() false. The channel lives until free_channel() or the engine's end.
  Step open_socket(const std::string& path, Channel& channel);
  Step open_address(const std::string& host, std::uint16_t port, Channel& channel);
  Step open_session(Channel& channel);
  Step execute(Channel channel, const std::string& command);

  // Never done with nothing: an end is pending for ever, and ended() tells it.
  Transfer read(Channel channel, std::span<std::uint8_t> to);
  Transfer read_errors(Channel channel, std::span<std::uint8_t> to);
  // Takes less than `data` when the server's window is smaller.
  Transfer write(Channel channel, base::Bytes data);
  Step end(Channel channel);
  // The server sends no more, and everything it sent has been read.
  bool ended(Channel channel);
  // The server has closed the channel. Before close() to be asked after ended() only.
  bool closed(Channel channel);
  // Of a closed channel: "exit status 1", "signal TERM".
  std::string exit_text(Channel channel);
  // Tells the server that the channel is done with. After it only closed() and, when that says so,
  // free_channel() may be called. Freed earlier, the channel's number would be used again, and what
  // is under way for it would reach the next channel that gets it.
  void close(Channel channel);
  void free_channel(Channel channel);

  // A message that nobody answers, for what sits between and forgets idle connections.
  void keepalive();
  void disconnect();

  // The session is over; error() says why.
  [[nodiscard]] bool failed() const { return failed_; }
  // That is for lack of descriptors or memory here.
  [[nodiscard]] bool shortage() const { return shortage_; }
  // The server ended the session without a word.
  [[nodiscard]] bool cut_off() const { return ended_ && unread() == 0 && goodbye_.empty(); }
  // libssh2's words for the last Step::failed, and what the server said when it disconnected.
  // Foreign text in it is printable.
  [[nodiscard]] const std::string& error() const { return error_; }

  // For the callbacks of the library.
  std::size_t on_send(base::Bytes data);
  std::ptrdiff_t on_receive(std::span<std::uint8_t> to);
  Heap& heap() { return heap_; }
  void on_disconnect(std::string_view message) { goodbye_ = message; }

 private:
  enum class Pending : std::uint8_t { nothing, handshake, list, key, agent, open };

  void choose_methods(const std::vector<std::string>& known_types);
  Step outcome(int code);
  Step outcome(int code, Pending what);
  Step open(std::string_view type, base::Bytes message, Channel& channel);
  Transfer transferred(std::ptrdiff_t result);
  void finish_pending();

  Heap heap_;
  LIBSSH2_SESSION* session_;
  int descriptor_ = -1;
  bool shortage_ = false;
  base::Buffer input_;
  std::size_t taken_ = 0;
  base::Buffer output_;
  bool ended_ = false;
  bool failed_ = false;
  bool key_was_read_ = true;
  Pending pending_ = Pending::nothing;
  std::string user_;
  Greeting greeting_;
  Algorithms offered_;
  std::string error_;
  std::string goodbye_;
};

}  // namespace tunnel::ssh

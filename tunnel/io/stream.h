// A stream of bytes in both directions: what every tunnel is to the layer above it, whether it is a
// socket, TLS over one, an ssh channel or the standard streams of a child.
//
// Life. The owner holds the stream by unique_ptr, calls open() once, and hears on_open(), then
// on_data() any number of times, and at the end on_closed() exactly once, as the last call it ever
// gets from that stream. on_closed() comes from the loop (or from the clock), never from inside a
// call that the owner makes; after or in it the owner destroys the stream. A stream that was opened
// must not be destroyed before on_closed(); one that was never opened may be destroyed at any time.
// A stream that was accepted by a listener is opened with open() too: on_open() follows.
//
// Layers. A stream that owns a stream below it opens when that one has opened and its own handshake
// is done. The first failure in any layer closes the whole stack with that layer's reason and
// stage.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace tunnel::io {

// Where in its life a stream was when something happened, in the order in which they come.
enum class Stage : std::uint8_t {
  look_up,         // of the host's name
  connect,         // of the socket, or the start of a child
  handshake,       // of TLS or ssh, the check of the other side's key or certificate included
  login,           // of us by the ssh server
  channel,         // of an ssh channel to the daemon's socket or helper
  authentication,  // of us by the daemon, in TLS too
  open,            // of the libvirt connection
  established,     // the stream is open
};

// "look-up", "connect", ...: the words that logs, errors and `ping` use.
std::string_view stage_name(Stage stage);

// Why a stream ended. `text` says it to a person, without the stage; it may quote foreign text,
// which is to be escaped where it is shown.
struct Reason {
  enum class Kind : std::uint8_t {
    requested,  // the owner closed it
    end,        // the other side ended it in an orderly way
    system,     // the system said so; `text` has its words
    timeout,    // the stage took longer than it may
    refused,    // the other side did not want us, or we did not want it: keys, certificates,
                // passwords
    protocol,   // the other side broke the rules
    exhausted,  // this host had no descriptors, no memory or no process left for it
  };
  Kind kind = Kind::requested;
  Stage stage = Stage::established;
  std::string text;
};

// "requested", "end", ...
std::string_view kind_name(Reason::Kind kind);

// What it is when the system says this errno: system or exhausted.
Reason::Kind kind_of(int error);

// What a failure is: exhausted where this host had too little of something, or else `otherwise`.
constexpr Reason::Kind kind_of(bool shortage, Reason::Kind otherwise) {
  return shortage ? Reason::Kind::exhausted : otherwise;
}

// Who gets a stream's calls. The owner may call any function of the stream from them.
class StreamOwner {
 public:
  virtual ~StreamOwner() = default;
  // A stage began. For those who measure or explain; nothing need be done.
  virtual void on_stage(Stage stage) { static_cast<void>(stage); }
  virtual void on_open() = 0;
  // Where the owner wants the next bytes, if it has a place for them: they may be put there, and
  // on_data() then brings them from there. It lives until the next call of the owner.
  virtual std::span<std::uint8_t> room() { return {}; }
  // `data` is never empty and lives as long as the call. It does not come while reading is paused,
  // with the exception of what pause() says.
  virtual void on_data(base::Bytes data) = 0;
  // The other side will send no more; it may still read. Comes at most once. Most owners close the
  // stream here.
  virtual void on_end() = 0;
  // queued() has fallen to kLowMark or below after it was above kHighMark.
  virtual void on_drain() = 0;
  virtual void on_closed(const Reason& reason) = 0;
};

class Stream {
 public:
  // Whoever writes should stop at the source when queued() is above the high mark, and go on in
  // on_drain().
  static constexpr std::size_t kHighMark = std::size_t{256} * 1024;
  static constexpr std::size_t kLowMark = std::size_t{64} * 1024;

  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream() = default;

  virtual void open(StreamOwner& owner) = 0;

  // Takes all of `data`, copied, in any state from open() on; what is written before on_open() is
  // sent after it. Nothing happens once the stream is closing. Several writes within one turn of
  // the loop leave as one.
  virtual void write(base::Bytes data) = 0;
  // The same without a copy where the stream can send the bytes from where they are.
  virtual void write_kept(base::Bytes data, const base::Keeper& keeper) {
    static_cast<void>(keeper);
    write(data);
  }
  // Bytes taken and not yet handed to the system (or to the layer below and by it to the system). A
  // piece counts until all of it has been handed over, since it takes memory until then.
  [[nodiscard]] virtual std::size_t queued() const = 0;
  // Sends what is queued, then tells the other side that nothing follows. No write() after it.
  virtual void end() = 0;

  // Reading goes on while no reason to pause is set. `reasons` is a set of bits whose meaning is
  // the owner's. A layer that has already decoded bytes when pause() is called from inside
  // on_data() may still deliver what that one call had in hand.
  virtual void pause(unsigned reasons) = 0;
  virtual void resume(unsigned reasons) = 0;

  // Ends the stream now; what is queued may be lost. The first reason stays. Any state, any number
  // of times.
  virtual void close(Reason reason) = 0;
};

}  // namespace tunnel::io

// The frame of libvirt's RPC protocol: header, bounds, and how frames are cut out of a stream of
// bytes. The constants are those of libvirt's virnetprotocol.x (program, type, status, limits) and
// were checked against libvirtd 9.0.0.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "base/bytes.h"

namespace policy {

inline constexpr std::uint32_t kRemoteProgram = 0x20008086;
inline constexpr std::uint32_t kQemuProgram = 0x20008087;
inline constexpr std::uint32_t kLxcProgram = 0x00068000;
inline constexpr std::uint32_t kKeepaliveProgram = 0x6b656570;
inline constexpr std::uint32_t kProgramVersion = 1;  // of each of them

inline constexpr std::uint32_t kHeaderSize = 28;  // with the length word
inline constexpr std::uint32_t kMaxMessage = 4 + 32 * 1024 * 1024;

enum class Type : std::uint32_t {
  call,
  reply,
  message,
  stream,
  call_with_fds,
  reply_with_fds,
  stream_hole
};
enum class Status : std::uint32_t { ok, error, go_on };

// Types and statuses are kept as numbers, because a peer can send any.
struct Header {
  std::uint32_t length = kHeaderSize;  // of the whole frame, itself included
  std::uint32_t program = kRemoteProgram;
  std::uint32_t version = kProgramVersion;
  std::int32_t procedure = 0;
  std::uint32_t type = 0;
  std::uint32_t serial = 0;
  std::uint32_t status = 0;

  [[nodiscard]] bool is(Type t) const { return type == static_cast<std::uint32_t>(t); }
  [[nodiscard]] bool is(Status s) const { return status == static_cast<std::uint32_t>(s); }
};

// `bytes` holds kHeaderSize bytes at least. No field is judged.
Header decode_header(base::Bytes bytes);
std::array<std::uint8_t, kHeaderSize> encode_header(const Header& header);

// Appends a whole frame to `to`; the length is computed. The body must leave it within kMaxMessage.
void append_frame(base::Buffer& to, Header header, base::Bytes body);

struct Frame {
  Header header;
  base::Bytes body;  // what follows the header
  base::Keeper keeper = {};
};

// Cuts a stream into frames. Frames that lie whole in the bytes given are not copied; of a frame
// that has only begun, the bytes that came are kept, and nothing at all between frames. A length
// that is announced reserves nothing: memory grows with what arrives, to at most one frame of
// `limit` bytes. A large frame grows in a place of its own, where whoever takes its keeper can
// leave it.
class FrameReader {
 public:
  // Gives memory for so many bytes, with anything in it.
  using Place = std::function<std::shared_ptr<std::uint8_t[]>(std::size_t)>;

  // Large frames are put into what `places` gives; null: the system's memory.
  explicit FrameReader(std::uint32_t limit = kMaxMessage, Place places = nullptr)
      : limit_(limit), places_(std::move(places)) {}

  // Hands over the bytes that came. They must live until next() has returned nothing or take_rest()
  // has been called; only then may more be fed.
  void feed(base::Bytes bytes);

  // Where the next bytes of a large frame belong: whoever reads them to there and feeds them from
  // there saves a copy. Empty: anywhere. It lives until the next call of any other function.
  [[nodiscard]] std::span<std::uint8_t> room();

  // The next whole frame, or nothing: more bytes are needed, or broken(). The frame's body lives
  // until the next call of next(), feed() or take_rest(), and no longer than the bytes fed; one of
  // a frame with a keeper lives as long as that.
  std::optional<Frame> next();

  // What was fed and has not been looked at yet, to go on with later: it is forgotten
  // here and can be fed again.
  base::Bytes take_rest();

  // A length below kHeaderSize or above the limit was announced. It is final; there is no way to
  // find the next frame.
  [[nodiscard]] bool broken() const { return broken_; }
  // What broke the stream, to be put behind its sender: "announced a message of 7 bytes"; or, when
  // the first thing it sent is text, such as that of a shell or of HTTP, the text's first line,
  // raw.
  [[nodiscard]] const std::string& breach() const { return breach_; }

  // Bytes kept for the frame that has begun, or that was handed out last.
  [[nodiscard]] std::size_t held() const { return large_ ? filled_ : partial_.size(); }
  // Memory that is kept for that, between frames too.
  [[nodiscard]] std::size_t capacity() const { return large_ ? filled_ : partial_.capacity(); }

 private:
  bool length_fits(std::uint32_t length);
  [[nodiscard]] std::string describe(std::uint32_t length) const;
  std::optional<Frame> next_in_rest();
  std::optional<Frame> finish_partial();
  bool fill_partial(std::size_t size);
  bool fill_large(std::size_t size);
  void drop_partial();

  std::uint32_t limit_;
  Place places_;
  bool broken_ = false;
  bool partial_done_ = false;
  bool heard_ = false;  // a length that fits
  std::string breach_;
  base::Buffer partial_;
  std::shared_ptr<std::uint8_t[]> large_;  // in place of partial_
  std::size_t filled_ = 0;                 // of large_
  base::Bytes rest_;
};

// A keepalive message of program kKeepaliveProgram, as libvirt sends it: type message, serial 0, no
// body.
enum class Keepalive : std::int32_t { ping = 1, pong = 2 };
constexpr std::int32_t number(Keepalive what) { return static_cast<std::int32_t>(what); }
std::array<std::uint8_t, kHeaderSize> keepalive_frame(Keepalive what);

}  // namespace policy

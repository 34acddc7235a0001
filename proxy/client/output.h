// What goes to a client: the frames that the gate writes, and what they count for.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "base/bytes.h"
#include "policy/error.h"
#include "policy/message.h"
#include "proxy/record/counters.h"
#include "proxy/visitor/budget.h"
#include "tunnel/io/stream.h"

namespace proxy {

class Output {
 public:
  // All outlive it. `all` counts for the whole gate; `wrote` is called after each frame, before the
  // function returns that wrote it.
  Output(tunnel::io::Stream& stream, Budget::Holding& holding, Traffic& all,
         std::function<void()> wrote)
      : stream_(stream), holding_(holding), all_(all), wrote_(std::move(wrote)) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() = default;

  // The answer to a call of which the header has program, procedure and serial.
  void reply(const policy::Header& call, policy::Status status, base::Bytes body,
             const base::Keeper& keeper = {}) {
    policy::Header header = call;
    header.type = static_cast<std::uint32_t>(policy::Type::reply);
    header.status = static_cast<std::uint32_t>(status);
    header.length = policy::kHeaderSize + static_cast<std::uint32_t>(body.size());
    write(policy::encode_header(header));
    if (keeper == nullptr)
      write(body);
    else
      stream_.write_kept(body, keeper);
    count(header.length);
  }
  void error(const policy::Header& call, const policy::Fault& fault) {
    base::Buffer encoded;
    policy::append_error_reply(encoded, call, fault);
    write(encoded);
    count(encoded.size());
  }
  // The body is in two parts.
  void event(std::int32_t procedure, base::Bytes first, base::Bytes rest) {
    policy::Header header;
    header.procedure = procedure;
    header.type = static_cast<std::uint32_t>(policy::Type::message);
    header.serial = kEventSerial;
    frame(header, first, rest);
  }
  void keepalive(policy::Keepalive what) {
    write(policy::keepalive_frame(what));
    wrote();
  }

  // More is queued than whoever reads leaves there.
  [[nodiscard]] bool is_full() const { return stream_.queued() > tunnel::io::Stream::kHighMark; }
  // Whether a body of so many bytes would leave the client no more than `most` to read.
  [[nodiscard]] bool has_room(std::size_t body, std::uint64_t most) const {
    const std::uint64_t unread = stream_.queued();
    return unread <= most && policy::kHeaderSize + body <= most - unread;
  }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  static constexpr std::uint32_t kEventSerial = 1;  // daemons send events with this serial

  void frame(policy::Header& header, base::Bytes first, base::Bytes rest) {
    header.length = policy::kHeaderSize + static_cast<std::uint32_t>(first.size() + rest.size());
    write(policy::encode_header(header));
    write(first);
    write(rest);
    count(header.length);
  }
  void write(base::Bytes bytes) {
    if (!bytes.empty()) stream_.write(bytes);
  }
  void count(std::uint64_t bytes) {
    bytes_ += bytes;
    all_.out += bytes;
    wrote();
  }
  void wrote() {
    holding_.recount();
    wrote_();
  }

  tunnel::io::Stream& stream_;
  Budget::Holding& holding_;
  Traffic& all_;
  const std::function<void()> wrote_;
  std::uint64_t bytes_ = 0;
};

}  // namespace proxy

#include "policy/message.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/text.h"
#include "policy/xdr.h"

namespace policy {
namespace {

constexpr std::size_t kLengthSize = 4;
constexpr std::size_t kMostQuoted = 120;
// Of a frame that has begun; then it is given all that it needs, in memory that is the system's
// until bytes come for it.
constexpr std::size_t kLarge = std::size_t{64} * 1024;

}  // namespace

Header decode_header(base::Bytes bytes) {
  CHECK(bytes.size() >= kHeaderSize);
  const std::uint8_t* at = bytes.data();
  return {.length = load_word(at),
          .program = load_word(at + 4),
          .version = load_word(at + 8),
          .procedure = static_cast<std::int32_t>(load_word(at + 12)),
          .type = load_word(at + 16),
          .serial = load_word(at + 20),
          .status = load_word(at + 24)};
}

std::array<std::uint8_t, kHeaderSize> encode_header(const Header& header) {
  std::array<std::uint8_t, kHeaderSize> bytes;
  std::uint8_t* at = bytes.data();
  store_word(at, header.length);
  store_word(at + 4, header.program);
  store_word(at + 8, header.version);
  store_word(at + 12, static_cast<std::uint32_t>(header.procedure));
  store_word(at + 16, header.type);
  store_word(at + 20, header.serial);
  store_word(at + 24, header.status);
  return bytes;
}

void append_frame(base::Buffer& to, Header header, base::Bytes body) {
  CHECK(body.size() <= kMaxMessage - kHeaderSize);
  header.length = kHeaderSize + static_cast<std::uint32_t>(body.size());
  base::append(to, encode_header(header));
  base::append(to, body);
}

void FrameReader::feed(base::Bytes bytes) {
  CHECK(rest_.empty());
  if (partial_done_) drop_partial();
  if (!broken_) rest_ = bytes;
}

base::Bytes FrameReader::take_rest() {
  if (partial_done_) drop_partial();
  const base::Bytes rest = rest_;
  rest_ = {};
  return rest;
}

std::span<std::uint8_t> FrameReader::room() {
  if (partial_done_ || !large_) return {};
  return {large_.get() + filled_, load_word(large_.get()) - filled_};
}

std::optional<Frame> FrameReader::next() {
  if (partial_done_) drop_partial();
  if (broken_ || rest_.empty()) return std::nullopt;
  return held() == 0 ? next_in_rest() : finish_partial();
}

std::optional<Frame> FrameReader::next_in_rest() {
  if (rest_.size() < kLengthSize) return finish_partial();
  const std::uint32_t length = load_word(rest_.data());
  if (!length_fits(length)) return std::nullopt;
  if (length > rest_.size()) return finish_partial();
  const base::Bytes frame = rest_.first(length);
  rest_ = rest_.subspan(length);
  return Frame{decode_header(frame), frame.subspan(kHeaderSize)};
}

std::optional<Frame> FrameReader::finish_partial() {
  if (!fill_partial(kLengthSize)) return std::nullopt;
  const std::uint32_t length = load_word(large_ ? large_.get() : partial_.data());
  if (!length_fits(length) || !fill_partial(length)) return std::nullopt;
  partial_done_ = true;
  const base::Bytes frame = large_ ? base::Bytes(large_.get(), length) : base::Bytes(partial_);
  return Frame{decode_header(frame), frame.subspan(kHeaderSize), large_};
}

bool FrameReader::length_fits(std::uint32_t length) {
  if (length >= kHeaderSize && length <= limit_) return heard_ = true;
  broken_ = true;
  breach_ = describe(length);
  rest_ = {};
  drop_partial();
  return false;
}

// Later text may be the content of a reply, which is nobody's to see.
std::string FrameReader::describe(std::uint32_t length) const {
  const auto is_text = [](std::uint8_t c) {
    return (c >= 0x20 && c < 0x7f) || c == '\t' || c == '\r' || c == '\n';
  };
  base::Buffer seen = partial_;
  base::append(seen, rest_.first(std::min(rest_.size(), kMostQuoted)));
  const base::Bytes word = base::Bytes(seen).first(kLengthSize);
  if (heard_ || !std::ranges::all_of(word, is_text)) {
    return "announced a message of " + std::to_string(length) + " bytes";
  }
  std::string_view line = base::text_of(seen);
  line.remove_prefix(std::min(line.find_first_not_of("\r\n"), line.size()));
  line = line.substr(0, line.find_first_of("\r\n"));
  return "sent text in place of a message: \"" + base::shortened(line, kMostQuoted) + '"';
}

// Takes bytes over until the frame that has begun has `size` of them.
bool FrameReader::fill_partial(std::size_t size) {
  if (held() >= size) return true;
  const std::size_t missing = size - held();
  if (large_ || held() + std::min(rest_.size(), missing) > kLarge) return fill_large(size);
  const base::Bytes more = rest_.first(std::min(rest_.size(), missing));
  const std::size_t needed = partial_.size() + more.size();
  if (needed > partial_.capacity()) {
    partial_.reserve(std::clamp(2 * partial_.capacity(), needed, std::min(size, kLarge)));
  }
  base::append(partial_, more);
  rest_ = rest_.subspan(more.size());
  return partial_.size() == size;
}

bool FrameReader::fill_large(std::size_t size) {
  if (!large_) {
    large_ = places_ ? places_(size) : std::make_shared_for_overwrite<std::uint8_t[]>(size);
    filled_ = partial_.size();
    std::memcpy(large_.get(), partial_.data(), filled_);
    base::Buffer().swap(partial_);
  }
  const base::Bytes more = rest_.first(std::min(rest_.size(), size - filled_));
  std::uint8_t* place = large_.get() + filled_;
  if (more.data() != place) std::memcpy(place, more.data(), more.size());
  filled_ += more.size();
  rest_ = rest_.subspan(more.size());
  return filled_ == size;
}

void FrameReader::drop_partial() {
  partial_done_ = false;
  partial_.clear();
  large_.reset();
}

std::array<std::uint8_t, kHeaderSize> keepalive_frame(Keepalive what) {
  return encode_header({.program = kKeepaliveProgram,
                        .procedure = static_cast<std::int32_t>(what),
                        .type = static_cast<std::uint32_t>(Type::message)});
}

}  // namespace policy

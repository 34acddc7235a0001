#include "tunnel/io/lines.h"

#include <algorithm>
#include <utility>

namespace tunnel::io {
namespace {

constexpr std::size_t kLastLength = 512;

}  // namespace

Lines::Lines(Clock& clock, std::function<void(std::string_view)> line)
    : line_(std::move(line)), second_(clock, [this] { tell_left_out(); }) {}

void Lines::feed(base::Bytes data) {
  std::string_view text = base::text_of(data);
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    current_ += text.substr(0, std::min(end, kMaxLength - current_.size()));
    if (end == text.size()) return;
    complete();
    text.remove_prefix(end + 1);
  }
}

void Lines::finish() {
  complete();
  second_.stop();
  tell_left_out();
}

void Lines::complete() {
  if (current_.ends_with('\r')) current_.pop_back();
  const std::string line = std::exchange(current_, {});
  if (line.empty()) return;
  last_ = line.substr(0, kLastLength);
  if (!second_.running()) second_.start(Milliseconds(1000));
  if (told_ == kMaxPerSecond) {
    ++left_out_;
    return;
  }
  ++told_;
  if (line_) line_(line);
}

void Lines::tell_left_out() {
  told_ = 0;
  const std::size_t count = std::exchange(left_out_, 0);
  if (count == 0 || !line_) return;
  line_(std::to_string(count) + (count == 1 ? " more line was" : " more lines were") + " left out");
}

}  // namespace tunnel::io

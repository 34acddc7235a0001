#include <utility>

#include "base/check.h"
#include "tunnel/io/connect.h"

namespace tunnel::io {
namespace {

class FailedStream final : public Stream {
 public:
  FailedStream(Clock& clock, Reason reason)
      : reason_(std::move(reason)), timer_(clock, [this] { finish(); }) {}
  ~FailedStream() override { CHECK(owner_ == nullptr); }

  void open(StreamOwner& owner) override {
    CHECK(owner_ == nullptr);
    owner_ = &owner;
    timer_.start(Milliseconds(0));
  }
  void write(base::Bytes) override {}
  [[nodiscard]] std::size_t queued() const override { return 0; }
  void end() override {}
  void pause(unsigned) override {}
  void resume(unsigned) override {}
  void close(Reason) override {}

 private:
  void finish() {
    StreamOwner* owner = std::exchange(owner_, nullptr);
    const Reason reason = reason_;
    owner->on_closed(reason);
  }

  Reason reason_;
  StreamOwner* owner_ = nullptr;
  Timer timer_;
};

}  // namespace

std::unique_ptr<Stream> failed_stream(Clock& clock, Reason reason) {
  return std::make_unique<FailedStream>(clock, std::move(reason));
}

}  // namespace tunnel::io

#include <utility>

#include "tunnel/io/connect.h"
#include "tunnel/io/stream_state.h"

namespace tunnel::io {
namespace {

class FailedStream final : public Stream {
 public:
  FailedStream(Clock& clock, Reason reason) : timer_(clock, [this] { state_.finish(); }) {
    state_.close(std::move(reason));
  }

  void open(StreamOwner& owner) override {
    state_.open(owner);
    timer_.start(Milliseconds(0));
  }
  void write(base::Bytes) override {}
  [[nodiscard]] std::size_t queued() const override { return 0; }
  void end() override {}
  void pause(unsigned) override {}
  void resume(unsigned) override {}
  void close(Reason) override {}

 private:
  StreamState state_;
  Timer timer_;
};

}  // namespace

std::unique_ptr<Stream> failed_stream(Clock& clock, Reason reason) {
  return std::make_unique<FailedStream>(clock, std::move(reason));
}

}  // namespace tunnel::io

#include "tunnel/ssh/lower.h"

#include <utility>

#include "base/check.h"

namespace tunnel::ssh {

// Owns itself, from open() to on_closed().
class LowerStream::Holder : public io::StreamOwner {
 public:
  Holder(std::unique_ptr<io::Stream> stream, LowerStream& handle, io::StreamOwner& user)
      : stream_(std::move(stream)), handle_(&handle), user_(&user) {}

  io::Stream* stream() { return stream_.get(); }

  void leave() {
    handle_ = nullptr;
    user_ = nullptr;
    stream_->close({io::Reason::Kind::requested, io::Stage::established, "closed"});
  }

  void on_stage(io::Stage stage) override {
    if (user_ != nullptr) user_->on_stage(stage);
  }
  void on_open() override {
    if (user_ != nullptr) user_->on_open();
  }
  void on_data(base::Bytes data) override {
    if (user_ != nullptr) user_->on_data(data);
  }
  void on_end() override {
    if (user_ != nullptr) user_->on_end();
  }
  void on_drain() override {
    if (user_ != nullptr) user_->on_drain();
  }
  void on_closed(const io::Reason& reason) override {
    if (handle_ != nullptr) handle_->holder_ = nullptr;
    if (user_ != nullptr) user_->on_closed(reason);
    delete this;
  }

 private:
  std::unique_ptr<io::Stream> stream_;
  LowerStream* handle_;
  io::StreamOwner* user_;
};

void LowerStream::open(std::unique_ptr<io::Stream> stream, io::StreamOwner& user) {
  CHECK(holder_ == nullptr);
  holder_ = new Holder(std::move(stream), *this, user);
  holder_->stream()->open(*holder_);
}

void LowerStream::reset() {
  if (holder_ != nullptr) std::exchange(holder_, nullptr)->leave();
}

io::Stream* LowerStream::operator->() const {
  CHECK(holder_ != nullptr);
  return holder_->stream();
}

}  // namespace tunnel::ssh

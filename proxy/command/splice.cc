#include "proxy/command/splice.h"

#include <utility>

namespace proxy {

using tunnel::io::Reason;
using tunnel::io::Stage;
using tunnel::io::Stream;

namespace {

// Why a side is not read.
enum Hold : unsigned { kFull = 1, kNobodyThere = 2 };

}  // namespace

class Splice::Side final : public tunnel::io::StreamOwner {
 public:
  Side(Splice& splice, std::unique_ptr<Stream> of) : stream(std::move(of)), splice_(splice) {}

  std::unique_ptr<Stream> stream;  // null: closed

 private:
  void on_open() override { splice_.on_open(*this); }
  void on_data(base::Bytes data) override { splice_.on_data(*this, data); }
  void on_end() override { splice_.on_end(*this); }
  void on_drain() override { splice_.on_drain(*this); }
  void on_closed(const Reason& reason) override { splice_.on_closed(*this, reason); }

  Splice& splice_;
};

Splice::Splice(tunnel::io::Clock& clock, std::unique_ptr<Stream> near, std::unique_ptr<Stream> far,
               std::function<void(const End&)> done)
    : near_(std::make_unique<Side>(*this, std::move(near))),
      far_(std::make_unique<Side>(*this, std::move(far))),
      deadline_(clock, [this] { tick(); }),
      done_(std::move(done)) {}

Splice::~Splice() = default;

void Splice::start() {
  near_->stream->pause(kNobodyThere);
  near_->stream->open(*near_);
  far_->stream->open(*far_);
}

void Splice::stop() {
  for (const auto& side : {near_.get(), far_.get()}) {
    if (side->stream) side->stream->close({Reason::Kind::requested, Stage::established, "stopped"});
  }
}

void Splice::on_open(Side& side) {
  if (&side != far_.get()) return;
  end_.opened = true;
  if (near_->stream) near_->stream->resume(kNobodyThere);
}

void Splice::on_data(Side& from, base::Bytes data) {
  const Side& to = other(from);
  if (!to.stream) return;
  to.stream->write(data);
  if (to.stream->queued() > Stream::kHighMark) from.stream->pause(kFull);
  if (near_ended_) deadline_.start(kPatience);
}

void Splice::on_drain(Side& side) {
  const Side& source = other(side);
  if (source.stream) source.stream->resume(kFull);
}

void Splice::on_end(Side& side) {
  if (&side == far_.get()) {
    return side.stream->close({Reason::Kind::end, Stage::established, "the far side ended"});
  }
  near_ended_ = true;
  if (!far_->stream) return;
  far_->stream->end();
  deadline_.start(kPatience);
}

void Splice::on_closed(Side& side, const Reason& reason) {
  if (!one_closed_) {
    one_closed_ = true;
    end_.reason = reason;
    end_.near_failed = &side == near_.get();
  }
  side.stream.reset();
  const Side& left = other(side);
  if (!left.stream) {
    deadline_.stop();
    const End end = end_;
    return done_(end);
  }
  if (&left == near_.get()) return end_near();
  left.stream->close({Reason::Kind::requested, Stage::established, "nobody is there any more"});
}

void Splice::end_near() {
  far_ended_ = true;
  near_->stream->end();
  near_left_ = near_->stream->queued();
  deadline_.start(kPatience);
}

void Splice::tick() {
  if (!far_ended_) {
    if (far_->stream) far_->stream->close({Reason::Kind::end, Stage::established, "it is silent"});
    return;
  }
  if (!near_->stream) return;
  const std::size_t left = near_->stream->queued();
  if (left < std::exchange(near_left_, left)) return deadline_.start(kPatience);
  end_.near_failed = true;
  near_->stream->close({Reason::Kind::timeout, Stage::established, "it takes no more"});
}

}  // namespace proxy

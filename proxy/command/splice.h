// Two streams joined so that what one delivers is written to the other, as it is. Nothing looks at
// the bytes: this is for a way on which somebody else decides, or the user alone.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "tunnel/io/clock.h"
#include "tunnel/io/stream.h"

namespace proxy {

// Reading goes on at one side as the other takes what was read. The end of the near side's input
// is passed on and what comes back is waited for; when the far side has ended, the near side gets
// the rest and is ended too, whatever it still sends.
class Splice {
 public:
  // How long the far side may be silent once the near one has ended, and how long the near one may
  // take nothing once the far one has.
  static constexpr tunnel::io::Milliseconds kPatience{10000};

  struct End {
    bool opened = false;  // the far side was there
    // Why it ended: of the far side, unless the near one failed first. `end` or `requested`: all is
    // well.
    tunnel::io::Reason reason;
    bool near_failed = false;
  };

  // The clock outlives it. `near` closes by itself after its end() when all was written, as
  // join_fds() has it. `done` is called once, from the loop, when both streams have gone.
  Splice(tunnel::io::Clock& clock, std::unique_ptr<tunnel::io::Stream> near,
         std::unique_ptr<tunnel::io::Stream> far, std::function<void(const End& end)> done);
  Splice(const Splice&) = delete;
  Splice& operator=(const Splice&) = delete;
  ~Splice();  // `done` has been called, or start() never was

  void start();
  // Ends both now.
  void stop();

 private:
  class Side;

  void on_open(Side& side);
  void on_data(Side& from, base::Bytes data);
  void on_end(Side& side);
  void on_drain(Side& side);
  void on_closed(Side& side, const tunnel::io::Reason& reason);
  Side& other(const Side& side) { return &side == near_.get() ? *far_ : *near_; }
  void end_near();
  void tick();

  std::unique_ptr<Side> near_;
  std::unique_ptr<Side> far_;
  tunnel::io::Timer deadline_;
  std::function<void(const End&)> done_;
  End end_;
  bool one_closed_ = false;
  std::size_t near_left_ = 0;
  bool near_ended_ = false;
  bool far_ended_ = false;
};

}  // namespace proxy

// A log whose records are written by a thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "proxy/record/log.h"
#include "proxy/record/writer.h"

namespace proxy {

class BackgroundLog final : public Log {
 public:
  // What may wait to be written, in bytes of text. Records beyond that are lost, and counted in a
  // record `log-lost` once there is room again.
  static constexpr std::size_t kMostQueued = std::size_t{1} << 20;
  // How long the end waits for what is queued.
  static constexpr std::chrono::milliseconds kLastWords{500};

  // `to` gets the records of level `least` and above. Without a thread it gets them at once.
  BackgroundLog(Level least, std::unique_ptr<Log> to);
  BackgroundLog(const BackgroundLog&) = delete;
  BackgroundLog& operator=(const BackgroundLog&) = delete;
  // Records that `to` does not take within kLastWords are lost.
  ~BackgroundLog() override;

  void write(const Record& record) override;
  [[nodiscard]] bool takes(Level level) const override { return level >= least_; }
  [[nodiscard]] std::uint64_t lost() const override { return writer_.lost().count; }

 private:
  const Level least_;
  Writer<Record> writer_;
};

}  // namespace proxy

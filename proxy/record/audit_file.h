// The file of the audit, which is only ever appended to, by a thread.
//
// A line is whole or not there: of one that a full disk cuts short the rest is kept, and is written
// before anything else. Only the end of the process in that state leaves half a line, and then what
// is written next begins a new one.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "base/result.h"
#include "conf/values.h"
#include "proxy/record/writer.h"

namespace proxy {

// Where lines go; each ends with its end of line.
class AuditSink {
 public:
  virtual ~AuditSink() = default;
  // Never waits.
  virtual void put(std::string line) = 0;
  // In all; more may follow of what has been put, while it is not idle.
  [[nodiscard]] virtual Losses lost() const = 0;
  [[nodiscard]] virtual bool idle() const = 0;
  // Waits a little until all is written. Nothing may be put after it.
  virtual void finish() {}
};

class AuditFile final : public AuditSink {
 public:
  // What may wait to be written, in bytes. Lines beyond that are lost.
  static constexpr std::size_t kMostQueued = std::size_t{4} << 20;
  // How long the end waits for what is queued.
  static constexpr std::chrono::milliseconds kLastWords{2000};

  // A regular file, which is made if need be. Null, without an error: `audit` names none. The error
  // says why it cannot be. This may take long, as any look at a file may.
  static base::Result<std::unique_ptr<AuditFile>, std::string> open(const conf::AuditConfig& audit);
  AuditFile(const AuditFile&) = delete;
  AuditFile& operator=(const AuditFile&) = delete;
  ~AuditFile() override;

  // Goes on where `before` ends, which is not used any more: behind what that still has to write,
  // if it is the file of the same path.
  void follow(AuditFile& before);

  void put(std::string line) override;
  [[nodiscard]] Losses lost() const override { return writer_->lost(); }
  [[nodiscard]] bool idle() const override { return writer_->idle(); }
  void finish() override { writer_->finish(kLastWords); }

 private:
  struct File;
  struct Line {
    std::shared_ptr<File> file;
    std::string text;  // empty: the file is only let go
  };
  class Ink;

  AuditFile(std::string path, std::shared_ptr<File> file);

  const std::string path_;
  std::shared_ptr<File> file_;
  std::shared_ptr<Writer<Line>> writer_;
};

}  // namespace proxy

#include "proxy/record/audit_file.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "proxy/record/audit.h"

namespace proxy {

using std::chrono::milliseconds;

namespace {

using Steady = std::chrono::steady_clock;

// Between two tries to finish a line that was cut short.
constexpr milliseconds kTryAgain{1000};
// Records that one fdatasync() may be for, where each is to be on the disk before its next ones.
constexpr std::uint64_t kMostUnsynced = 64;

}  // namespace

struct AuditFile::File {
  base::Fd fd{-1};
  std::optional<milliseconds> sync;
  std::string rest;  // of a line that was cut short, or an end of line that is missing
  std::uint64_t unsynced = 0;
  Steady::time_point synced = Steady::now();

  // An errno.
  int write_rest() {
    while (!rest.empty()) {
      const ssize_t written = ::write(fd.get(), rest.data(), rest.size());
      if (written > 0) {
        rest.erase(0, static_cast<std::size_t>(written));
      } else if (written == 0 || errno != EINTR) {
        return written == 0 ? ENOSPC : errno;
      }
    }
    return 0;
  }

  // Of a line nothing is written, or all that fits, and the rest is due.
  int write(const std::string& line) {
    if (const int error = write_rest(); error != 0) return error;
    rest = line;
    const int error = write_rest();
    if (error != 0 && rest.size() == line.size()) {
      rest.clear();
      return error;
    }
    ++unsynced;
    return 0;
  }

  Losses sync_if_due(bool dry) {
    if (!sync || unsynced == 0) return {};
    const bool due =
        sync->count() == 0 ? dry || unsynced >= kMostUnsynced : Steady::now() >= synced + *sync;
    if (!due) return {};
    const std::uint64_t records = std::exchange(unsynced, 0);
    const bool done = ::fdatasync(fd.get()) == 0;
    const int error = errno;
    synced = Steady::now();
    return done ? Losses{} : Losses{records, error};
  }

  void leave() {
    write_rest();
    if (sync && unsynced > 0) ::fdatasync(fd.get());
  }

  // When there is something to do although nothing is written.
  [[nodiscard]] std::optional<milliseconds> again() const {
    if (!rest.empty()) return kTryAgain;
    if (!sync || unsynced == 0) return std::nullopt;
    const auto left = std::chrono::ceil<milliseconds>(synced + *sync - Steady::now());
    return std::max(milliseconds(1), left);
  }
};

class AuditFile::Ink final : public Pen<Line> {
 public:
  Losses write(const Line& line) override {
    if (file_ != line.file && file_ != nullptr) file_->leave();
    file_ = line.file;
    if (line.text.empty()) return {};
    if (const int error = file_->write(line.text); error != 0) return {1, error};
    return file_->sync_if_due(false);
  }

  bool say_lost(std::uint64_t count) override {
    Record record{Level::error, "audit-lost", true, {}};
    record.fields.push_back({"count", std::to_string(count), true});
    return file_->write(to_json(record)) == 0;
  }

  Losses settle(std::optional<milliseconds>& again) override {
    if (file_ == nullptr) return {};
    file_->write_rest();
    const Losses lost = file_->sync_if_due(true);
    again = file_->again();
    return lost;
  }

  void end() override {
    if (file_ != nullptr) file_->leave();
  }

 private:
  std::shared_ptr<File> file_;
};

AuditFile::AuditFile(std::string path, std::shared_ptr<File> file)
    : path_(std::move(path)),
      file_(std::move(file)),
      writer_(std::make_shared<Writer<Line>>(std::make_unique<Ink>(), kMostQueued)) {}

// The last one to let go of a file closes it, which the loop must not wait for.
AuditFile::~AuditFile() { writer_->put({std::move(file_), {}}, 0); }

base::Result<std::unique_ptr<AuditFile>, std::string> AuditFile::open(
    const conf::AuditConfig& audit) {
  if (audit.file.empty()) return std::unique_ptr<AuditFile>();
  const auto wrong = [&](const std::string& why) {
    return base::Failure{"the audit file " + base::printable(audit.file, 4096) + " " + why};
  };
  constexpr int kFlags = O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW;
  int fd = ::open(audit.file.c_str(), O_RDWR | kFlags, 0640);
  if (fd < 0 && errno == EACCES) fd = ::open(audit.file.c_str(), O_WRONLY | kFlags, 0640);
  if (fd < 0) return wrong("cannot be opened: " + base::system_words(errno));
  auto file = std::make_shared<File>();
  file->fd.reset(fd);
  file->sync = audit.sync;
  struct stat status = {};
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return wrong("is not a regular file");
  char last = '\n';
  if (status.st_size > 0 && ::pread(fd, &last, 1, status.st_size - 1) == 1 && last != '\n') {
    file->rest = "\n";
  }
  return std::unique_ptr<AuditFile>(new AuditFile(audit.file, std::move(file)));
}

void AuditFile::follow(AuditFile& before) {
  if (before.path_ == path_) writer_ = before.writer_;
}

void AuditFile::put(std::string line) {
  const std::size_t size = line.size();
  writer_->put({file_, std::move(line)}, size);
}

}  // namespace proxy

#include "proxy/service/landlock.h"

#include <cerrno>
#include <cstdint>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

namespace proxy {
namespace {

// Of linux/landlock.h, which is older than the kernel on many systems. A kernel takes a larger
// structure than its own if what it does not know is zero.
struct RulesetAttributes {
  std::uint64_t files = 0;
  std::uint64_t network = 0;
  std::uint64_t scoped = 0;
};

struct __attribute__((packed)) PathBeneath {
  std::uint64_t allowed = 0;
  std::int32_t parent = -1;
};

struct NetPort {
  std::uint64_t allowed = 0;
  std::uint64_t port = 0;
};

constexpr int kVersionFlag = 1;
constexpr int kRulePathBeneath = 1;
constexpr int kRuleNetPort = 2;

constexpr std::uint64_t kExecute = 1U << 0;
constexpr std::uint64_t kWriteFile = 1U << 1;
constexpr std::uint64_t kReadFile = 1U << 2;
constexpr std::uint64_t kReadFolder = 1U << 3;
constexpr std::uint64_t kRemoveFile = 1U << 5;
constexpr std::uint64_t kMakeFolder = 1U << 7;
constexpr std::uint64_t kMakeFile = 1U << 8;
constexpr std::uint64_t kMakeSocket = 1U << 9;
constexpr std::uint64_t kAllOfFirst = (1U << 13) - 1;
constexpr std::uint64_t kRefer = 1U << 13;          // since version 2
constexpr std::uint64_t kTruncate = 1U << 14;       // since version 3
constexpr std::uint64_t kControlDevice = 1U << 15;  // since version 5
constexpr std::uint64_t kOfFiles = kExecute | kWriteFile | kReadFile | kTruncate | kControlDevice;

constexpr std::uint64_t kBindTcp = 1U << 0;     // since version 4
constexpr std::uint64_t kConnectTcp = 1U << 1;  // since version 4

constexpr std::uint64_t kScopeAbstractSockets = 1U << 0;  // since version 6
constexpr std::uint64_t kScopeSignals = 1U << 1;          // since version 6

constexpr int kNetworkSince = 4;
constexpr int kScopesSince = 6;

RulesetAttributes known_to(int version, const Confinement& confinement) {
  RulesetAttributes all;
  all.files = kAllOfFirst;
  if (version >= 2) all.files |= kRefer;
  if (version >= 3) all.files |= kTruncate;
  if (version >= 5) all.files |= kControlDevice;
  if (version >= kNetworkSince) all.network = kBindTcp | (confinement.any_port ? 0 : kConnectTcp);
  if (version >= kScopesSince) {
    all.scoped = kScopeSignals | (confinement.abstract_sockets ? 0 : kScopeAbstractSockets);
  }
  return all;
}

std::uint64_t rights(FileUse use) {
  const std::uint64_t read = kReadFile | kReadFolder;
  const std::uint64_t append = read | kWriteFile | kMakeFile | kMakeFolder;
  switch (use) {
    case FileUse::read:
      return read;
    case FileUse::append:
      return append;
    case FileUse::own:
      break;
  }
  return append | kMakeSocket | kRemoveFile | kTruncate;
}

// What is not there needs no rule.
bool allow_place(int ruleset, const FilePlace& place, std::uint64_t known) {
  const base::Fd fd(open(place.path.c_str(), O_PATH | O_CLOEXEC));
  struct stat status {};
  if (!fd.ok() || fstat(fd.get(), &status) != 0) return true;
  PathBeneath rule;
  rule.allowed = rights(place.use) & known;
  if (!S_ISDIR(status.st_mode)) rule.allowed &= kOfFiles;
  rule.parent = fd.get();
  return syscall(SYS_landlock_add_rule, ruleset, kRulePathBeneath, &rule, 0) == 0;
}

bool allow_all(int ruleset, const RulesetAttributes& known, const Confinement& confinement) {
  for (const FilePlace& place : confinement.places) {
    if (!allow_place(ruleset, place, known.files)) return false;
  }
  if ((known.network & kConnectTcp) == 0) return true;
  for (const std::uint16_t port : confinement.ports) {
    const NetPort rule{kConnectTcp, port};
    if (syscall(SYS_landlock_add_rule, ruleset, kRuleNetPort, &rule, 0) != 0) return false;
  }
  return true;
}

Landlocked nothing(const std::string& why, Confinement held) {
  held.places = {{"/", FileUse::own}};
  held.any_port = true;
  held.abstract_sockets = true;
  return {"all: " + why, "all: " + why, std::move(held)};
}

}  // namespace

Landlocked restrict_with_landlock(const Confinement& confinement) {
  const long version = syscall(SYS_landlock_create_ruleset, nullptr, 0, kVersionFlag);
  if (version < 1) return nothing("no Landlock: " + base::system_words(errno), confinement);
  const RulesetAttributes known = known_to(static_cast<int>(version), confinement);
  const base::Fd ruleset(
      static_cast<int>(syscall(SYS_landlock_create_ruleset, &known, sizeof known, 0)));
  if (!ruleset.ok() || !allow_all(ruleset.get(), known, confinement) ||
      syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) {
    return nothing("Landlock failed: " + base::system_words(errno), confinement);
  }
  const std::string name = "Landlock " + std::to_string(version);
  Landlocked out{"as configured (" + name + ")", "as configured (" + name + ")", confinement};
  if (version < kNetworkSince) {
    out.ports = "all: " + name + " knows none";
    out.held.any_port = true;
  }
  out.held.abstract_sockets |= version < kScopesSince;
  return out;
}

}  // namespace proxy

// The buffer of a gate that is told none follows from the memory that its machine and its control
// groups have.
#include <sys/stat.h>

#include "proxy/service/memory.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temporary_folder.h"

using proxy::buffer_for;
using proxy::cgroup_memory;

namespace {

constexpr std::uint64_t kMiB = 1U << 20;
constexpr std::uint64_t kGiB = 1U << 30;

struct Groups {
  void folder(const std::string& name) const {
    REQUIRE(::mkdir((files.path() + "/" + name).c_str(), 0700) == 0);
  }
  [[nodiscard]] auto of(const std::string& cgroups) const {
    return cgroup_memory(cgroups, files.path());
  }
  test::TemporaryFolder files;
};

}  // namespace

TEST_CASE("the least limit of all control groups above counts") {
  const Groups groups;
  groups.folder("system.slice");
  groups.folder("system.slice/virtgate.service");
  const std::string cgroups = "0::/system.slice/virtgate.service\n";
  CHECK_FALSE(groups.of(cgroups));
  groups.files.write("system.slice/virtgate.service/memory.max", "max\n");
  groups.files.write("system.slice/virtgate.service/memory.high", "max\n");
  CHECK_FALSE(groups.of(cgroups));
  groups.files.write("system.slice/memory.max", "1073741824\n");
  CHECK(groups.of(cgroups) == kGiB);
  groups.files.write("system.slice/virtgate.service/memory.high", "536870912\n");
  CHECK(groups.of(cgroups) == kGiB / 2);
  groups.files.write("memory.max", "268435456\n");
  CHECK(groups.of(cgroups) == kGiB / 4);
  CHECK(groups.of("0::/\n") == kGiB / 4);
  CHECK_FALSE(groups.of(""));
  CHECK(groups.of("0::/no/such/group") == kGiB / 4);
}

TEST_CASE("control groups of the first version have limits too") {
  const Groups groups;
  groups.folder("memory");
  groups.folder("memory/docker");
  groups.files.write("memory/memory.limit_in_bytes", "9223372036854771712\n");
  groups.files.write("memory/docker/memory.limit_in_bytes", "67108864\n");
  groups.files.write("memory.max", "1048576\n");
  CHECK(groups.of("5:cpu,memory:/docker\n2:pids:/docker\n") == 64 * kMiB);
  CHECK_FALSE(groups.of("5:memoryless:/docker\n"));
}

TEST_CASE("a buffer is a quarter of a machine, or half of a control group") {
  CHECK(buffer_for(8 * kGiB, {}) == 2 * kGiB);
  CHECK(buffer_for(8 * kGiB, kGiB) == kGiB / 2);
  CHECK(buffer_for(8 * kGiB, 100 * kGiB) == 2 * kGiB);
  CHECK(buffer_for(100 * kGiB, {}) == 4 * kGiB);
  CHECK(buffer_for(128 * kMiB, {}) == 64 * kMiB);
  CHECK(buffer_for(0, {}) == 64 * kMiB);
  CHECK(buffer_for(kGiB + 12345, {}) == 256 * kMiB);
  CHECK(proxy::usual_buffer() >= 64 * kMiB);
}

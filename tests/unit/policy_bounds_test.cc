// Flags that reveal or act are refused, SECURE is left out of what is sent on, and each number
// passes only within its bound.
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "policy/filter.h"
#include "policy/xdr.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/policy_bodies.h"

using policy::Decision;
using policy::ErrorCode;
using policy::find_procedure;
using policy::Remote;
using policy::Rule;
using policy::Verdict;

namespace {

// The bits of flags that are known to read, from libvirt's public headers: of lists, the filters;
// of parameters, LIVE, CONFIG and TYPED_STRING_OKAY; of descriptions, INACTIVE and what shows no
// secret.
const std::map<Remote, std::uint32_t>& known_flags() {
  static const std::map<Remote, std::uint32_t> kFlags = {
      {Remote::STORAGE_VOL_GET_XML_DESC, 0x0},
      {Remote::NODE_NUM_OF_DEVICES, 0x0},
      {Remote::NODE_LIST_DEVICES, 0x0},
      {Remote::SECRET_GET_XML_DESC, 0x0},
      {Remote::DOMAIN_MEMORY_STATS, 0x0},
      {Remote::NWFILTER_GET_XML_DESC, 0x0},
      {Remote::DOMAIN_HAS_MANAGED_SAVE_IMAGE, 0x0},
      {Remote::DOMAIN_SNAPSHOT_GET_XML_DESC, 0x0},
      {Remote::DOMAIN_SNAPSHOT_LOOKUP_BY_NAME, 0x0},
      {Remote::DOMAIN_HAS_CURRENT_SNAPSHOT, 0x0},
      {Remote::DOMAIN_SNAPSHOT_CURRENT, 0x0},
      {Remote::DOMAIN_GET_BLOCK_INFO, 0x0},
      {Remote::CONNECT_GET_SYSINFO, 0x0},
      {Remote::DOMAIN_GET_STATE, 0x0},
      {Remote::NODE_GET_CPU_STATS, 0x0},
      {Remote::NODE_GET_MEMORY_STATS, 0x0},
      {Remote::DOMAIN_GET_CONTROL_INFO, 0x0},
      {Remote::DOMAIN_SNAPSHOT_GET_PARENT, 0x0},
      {Remote::DOMAIN_GET_DISK_ERRORS, 0x0},
      {Remote::DOMAIN_SNAPSHOT_IS_CURRENT, 0x0},
      {Remote::DOMAIN_SNAPSHOT_HAS_METADATA, 0x0},
      {Remote::STORAGE_POOL_LIST_ALL_VOLUMES, 0x0},
      {Remote::CONNECT_LIST_ALL_NWFILTERS, 0x0},
      {Remote::NODE_GET_CPU_MAP, 0x0},
      {Remote::NODE_DEVICE_LOOKUP_SCSI_HOST_BY_WWN, 0x0},
      {Remote::DOMAIN_MIGRATE_GET_COMPRESSION_CACHE, 0x0},
      {Remote::CONNECT_GET_CPU_MODEL_NAMES, 0x0},
      {Remote::NODE_GET_FREE_PAGES, 0x0},
      {Remote::NETWORK_GET_DHCP_LEASES, 0x0},
      {Remote::DOMAIN_INTERFACE_ADDRESSES, 0x0},
      {Remote::DOMAIN_MIGRATE_GET_MAX_DOWNTIME, 0x0},
      {Remote::DOMAIN_MANAGED_SAVE_GET_XML_DESC, 0x0},
      {Remote::NWFILTER_BINDING_GET_XML_DESC, 0x0},
      {Remote::CONNECT_LIST_ALL_NWFILTER_BINDINGS, 0x0},
      {Remote::CONNECT_GET_STORAGE_POOL_CAPABILITIES, 0x0},
      {Remote::NETWORK_LIST_ALL_PORTS, 0x0},
      {Remote::NETWORK_PORT_GET_XML_DESC, 0x0},
      {Remote::DOMAIN_CHECKPOINT_LOOKUP_BY_NAME, 0x0},
      {Remote::DOMAIN_CHECKPOINT_GET_PARENT, 0x0},
      {Remote::DOMAIN_BACKUP_GET_XML_DESC, 0x0},
      {Remote::NETWORK_GET_XML_DESC, 0x1},
      {Remote::STORAGE_POOL_GET_XML_DESC, 0x1},
      {Remote::NODE_DEVICE_GET_XML_DESC, 0x1},
      {Remote::INTERFACE_GET_XML_DESC, 0x1},
      {Remote::DOMAIN_GET_BLOCK_JOB_INFO, 0x1},
      {Remote::STORAGE_VOL_GET_INFO_FLAGS, 0x1},
      {Remote::CONNECT_COMPARE_CPU, 0x3},
      {Remote::CONNECT_BASELINE_CPU, 0x3},
      {Remote::DOMAIN_GET_VCPU_PIN_INFO, 0x3},
      {Remote::DOMAIN_GET_METADATA, 0x3},
      {Remote::DOMAIN_GET_EMULATOR_PIN_INFO, 0x3},
      {Remote::CONNECT_LIST_ALL_INTERFACES, 0x3},
      {Remote::DOMAIN_GET_IOTHREAD_INFO, 0x3},
      {Remote::NETWORK_GET_METADATA, 0x3},
      {Remote::DOMAIN_BLOCK_STATS_FLAGS, 0x4},
      {Remote::DOMAIN_GET_CPU_STATS, 0x4},
      {Remote::NODE_GET_MEMORY_PARAMETERS, 0x4},
      {Remote::NETWORK_PORT_GET_PARAMETERS, 0x4},
      {Remote::DOMAIN_GET_XML_DESC, 0x6},
      {Remote::DOMAIN_CHECKPOINT_GET_XML_DESC, 0x6},
      {Remote::DOMAIN_GET_MEMORY_PARAMETERS, 0x7},
      {Remote::DOMAIN_GET_VCPUS_FLAGS, 0x7},
      {Remote::DOMAIN_GET_BLKIO_PARAMETERS, 0x7},
      {Remote::DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS, 0x7},
      {Remote::DOMAIN_GET_BLOCK_IO_TUNE, 0x7},
      {Remote::DOMAIN_GET_NUMA_PARAMETERS, 0x7},
      {Remote::DOMAIN_GET_INTERFACE_PARAMETERS, 0x7},
      {Remote::DOMAIN_GET_PERF_EVENTS, 0x7},
      {Remote::DOMAIN_GET_MESSAGES, 0x7},
      {Remote::CONNECT_LIST_ALL_SECRETS, 0xf},
      {Remote::DOMAIN_LIST_ALL_CHECKPOINTS, 0xf},
      {Remote::DOMAIN_CHECKPOINT_LIST_ALL_CHILDREN, 0xf},
      {Remote::CONNECT_LIST_ALL_NETWORKS, 0x3f},
      {Remote::DOMAIN_SNAPSHOT_NUM, 0x7ff},
      {Remote::DOMAIN_SNAPSHOT_LIST_NAMES, 0x7ff},
      {Remote::DOMAIN_SNAPSHOT_NUM_CHILDREN, 0x7ff},
      {Remote::DOMAIN_SNAPSHOT_LIST_CHILDREN_NAMES, 0x7ff},
      {Remote::DOMAIN_LIST_ALL_SNAPSHOTS, 0x7ff},
      {Remote::DOMAIN_SNAPSHOT_LIST_ALL_CHILDREN, 0x7ff},
      {Remote::CONNECT_LIST_ALL_DOMAINS, 0xffff},
      {Remote::CONNECT_LIST_ALL_STORAGE_POOLS, 0xfffff},
      {Remote::CONNECT_GET_ALL_DOMAIN_STATS, 0xe00000ff},
      {Remote::CONNECT_LIST_ALL_NODE_DEVICES, 0xf07fffff},
  };
  return kFlags;
}

// The bits that are taken and not sent on.
std::uint32_t omitted_flags(Remote procedure) {
  switch (procedure) {
    case Remote::DOMAIN_GET_XML_DESC:
    case Remote::DOMAIN_SNAPSHOT_GET_XML_DESC:
    case Remote::DOMAIN_MANAGED_SAVE_GET_XML_DESC:
    case Remote::DOMAIN_CHECKPOINT_GET_XML_DESC:
      return 0x1;  // SECURE
    default:
      return 0;
  }
}

Verdict judge(Remote procedure, const std::vector<test::Value>& values) {
  const policy::Procedure& row = find_procedure(procedure);
  base::Buffer encoded;
  return policy::judge(test::call_of(row), test::body_with(row, values), encoded);
}

bool passes(Remote procedure, const std::vector<test::Value>& values) {
  const Verdict verdict = judge(procedure, values);
  if (verdict.decision == Decision::forward) return true;
  CHECK(verdict.decision == Decision::refuse);
  CHECK(verdict.fault.code == ErrorCode::operation_denied);
  CHECK(verdict.fault.domain == find_procedure(procedure).domain);
  return false;
}

}  // namespace

TEST_CASE("of each flags argument, the bits that read pass", "[policy][bounds]") {
  std::size_t seen = 0;
  for (const policy::Procedure* row : test::all_procedures()) {
    if (row->rule != Rule::pass && row->rule != Rule::check) continue;
    for (const policy::ArgumentSpec& spec : row->arguments.specs()) {
      if (spec.name != "flags" || spec.values == policy::Values::set) continue;
      const auto procedure = static_cast<Remote>(row->number);
      CAPTURE(row->name);
      const auto known = known_flags().find(procedure);
      REQUIRE(known != known_flags().end());
      ++seen;
      const std::uint32_t taken = known->second | omitted_flags(procedure);
      CHECK(passes(procedure, {{"flags", 0}}));
      CHECK(passes(procedure, {{"flags", known->second}}));
      for (int bit = 0; bit < 32; ++bit) {
        const std::uint32_t flag = std::uint32_t{1} << bit;
        CAPTURE(bit);
        CHECK(passes(procedure, {{"flags", flag}}) == ((taken & flag) != 0));
        CHECK(passes(procedure, {{"flags", known->second | flag}}) == ((taken & flag) != 0));
      }
    }
  }
  CHECK(seen == known_flags().size());
}

TEST_CASE("flags that reveal or act are refused, alone and with others", "[policy][bounds]") {
  struct Case {
    Remote procedure;
    std::uint32_t bad;
    std::uint32_t good;
  };
  const auto [procedure, bad, good] =
      GENERATE(Case{Remote::DOMAIN_GET_XML_DESC, 8, 6}, Case{Remote::DOMAIN_GET_XML_DESC, 9, 6},
               Case{Remote::DOMAIN_GET_VCPUS_FLAGS, 8, 7});
  CHECK_FALSE(passes(procedure, {{"flags", bad}}));
  CHECK_FALSE(passes(procedure, {{"flags", bad | good}}));
  CHECK_FALSE(passes(procedure, {{"flags", 0xffffffff}}));
  CHECK(passes(procedure, {{"flags", good}}));
  CHECK(passes(procedure, {{"flags", 0}}));
}

TEST_CASE("SECURE is left out of what is sent on", "[policy][bounds]") {
  const auto [procedure, others] =
      GENERATE(table<Remote, std::uint32_t>({{Remote::DOMAIN_GET_XML_DESC, 0x6},
                                             {Remote::DOMAIN_SNAPSHOT_GET_XML_DESC, 0x0},
                                             {Remote::DOMAIN_MANAGED_SAVE_GET_XML_DESC, 0x0},
                                             {Remote::DOMAIN_CHECKPOINT_GET_XML_DESC, 0x6}}));
  const policy::Procedure& row = find_procedure(procedure);
  CAPTURE(row.name);
  for (const std::uint32_t with : {0U, others}) {
    base::Buffer encoded;
    const Verdict verdict =
        policy::judge(test::call_of(row), test::body_with(row, {{"flags", with | 1}}), encoded);
    CHECK(verdict.decision == Decision::forward);
    CHECK(verdict.arguments.amendment == policy::Amendment::secure_omitted);
    CHECK(verdict.arguments[1].number == with);
    CHECK(encoded == test::body_with(row, {{"flags", with}}));
    CHECK(judge(procedure, {{"flags", with}}).arguments.amendment == policy::Amendment::none);
  }
}

TEST_CASE("statistics of a finished job are kept", "[policy][bounds]") {
  const policy::Procedure& row = find_procedure(Remote::DOMAIN_GET_JOB_STATS);
  for (const std::uint32_t flags :
       {0U, 1U, 2U, 3U, 4U, 6U, 7U, 0x80000000U, 0x80000003U, 0xffffffffU}) {
    CAPTURE(flags);
    CHECK(passes(Remote::DOMAIN_GET_JOB_STATS, {{"flags", flags}}) == (flags <= 3));
    if (flags > 3) continue;
    base::Buffer encoded;
    const Verdict verdict =
        policy::judge(test::call_of(row), test::body_with(row, {{"flags", flags}}), encoded);
    CHECK(encoded == test::body_with(row, {{"flags", flags == 1 ? 3 : flags}}));
    CHECK((verdict.arguments.amendment == policy::Amendment::statistics_kept) == (flags == 1));
  }
}

TEST_CASE("addresses come from leases and from ARP, not from the guest", "[policy][bounds]") {
  for (const std::uint32_t source : {0U, 1U, 2U, 3U, 4U, 0x80000000U, 0xffffffffU}) {
    CHECK(passes(Remote::DOMAIN_INTERFACE_ADDRESSES, {{"source", source}}) ==
          (source == 0 || source == 2));
  }
}

TEST_CASE("numbers pass within their bounds", "[policy][bounds]") {
  struct Case {
    Remote procedure;
    const char* name;
    std::int64_t low;
    std::int64_t high;
  };
  const auto [procedure, name, low, high] =
      GENERATE(Case{Remote::DOMAIN_GET_VCPUS, "maxinfo", 0, 16384},
               Case{Remote::CONNECT_LIST_DEFINED_DOMAINS, "maxnames", 0, 16384},
               Case{Remote::CONNECT_LIST_DEFINED_NETWORKS, "maxnames", 0, 16384},
               Case{Remote::CONNECT_LIST_DOMAINS, "maxids", 0, 16384},
               Case{Remote::CONNECT_LIST_NETWORKS, "maxnames", 0, 16384},
               Case{Remote::DOMAIN_GET_SCHEDULER_PARAMETERS, "nparams", 0, 16},
               Case{Remote::CONNECT_LIST_STORAGE_POOLS, "maxnames", 0, 16384},
               Case{Remote::CONNECT_LIST_DEFINED_STORAGE_POOLS, "maxnames", 0, 16384},
               Case{Remote::STORAGE_POOL_LIST_VOLUMES, "maxnames", 0, 16384},
               Case{Remote::NODE_GET_CELLS_FREE_MEMORY, "max_cells", 0, 1024},
               Case{Remote::NODE_GET_CELLS_FREE_MEMORY, "start_cell", 0, 65535},
               Case{Remote::NODE_LIST_DEVICES, "maxnames", 0, 65536},
               Case{Remote::NODE_DEVICE_LIST_CAPS, "maxnames", 0, 65536},
               Case{Remote::CONNECT_LIST_INTERFACES, "maxnames", 1, 16384},
               Case{Remote::CONNECT_LIST_DEFINED_INTERFACES, "maxnames", 1, 16384},
               Case{Remote::CONNECT_LIST_SECRETS, "maxuuids", 0, 16384},
               Case{Remote::DOMAIN_MEMORY_STATS, "max_stats", 0, 1024},
               Case{Remote::CONNECT_LIST_NWFILTERS, "maxnames", 0, 16384},
               Case{Remote::DOMAIN_SNAPSHOT_LIST_NAMES, "maxnames", 0, 16384},
               Case{Remote::DOMAIN_GET_MEMORY_PARAMETERS, "nparams", 0, 16},
               Case{Remote::DOMAIN_GET_BLKIO_PARAMETERS, "nparams", 0, 16},
               Case{Remote::DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS, "nparams", 0, 16},
               Case{Remote::NODE_GET_CPU_STATS, "nparams", 0, 16},
               Case{Remote::NODE_GET_CPU_STATS, "cpu_num", -1, 65535},
               Case{Remote::NODE_GET_MEMORY_STATS, "nparams", 0, 16},
               Case{Remote::NODE_GET_MEMORY_STATS, "cell_num", -1, 65535},
               Case{Remote::DOMAIN_GET_VCPU_PIN_INFO, "ncpumaps", 0, 16384},
               Case{Remote::DOMAIN_BLOCK_STATS_FLAGS, "nparams", 0, 16},
               Case{Remote::DOMAIN_SNAPSHOT_LIST_CHILDREN_NAMES, "maxnames", 0, 16384},
               Case{Remote::DOMAIN_GET_BLOCK_IO_TUNE, "nparams", 0, 32},
               Case{Remote::DOMAIN_GET_NUMA_PARAMETERS, "nparams", 0, 16},
               Case{Remote::DOMAIN_GET_INTERFACE_PARAMETERS, "nparams", 0, 16},
               Case{Remote::DOMAIN_GET_CPU_STATS, "nparams", 0, 16},
               Case{Remote::DOMAIN_GET_CPU_STATS, "ncpus", 0, 128},
               Case{Remote::DOMAIN_GET_CPU_STATS, "start_cpu", -1, 65535},
               Case{Remote::DOMAIN_GET_DISK_ERRORS, "maxerrors", 0, 256},
               Case{Remote::DOMAIN_GET_METADATA, "type", 0, 2},
               Case{Remote::DOMAIN_GET_EMULATOR_PIN_INFO, "maplen", 0, 8192},
               Case{Remote::NODE_GET_MEMORY_PARAMETERS, "nparams", 0, 64},
               Case{Remote::NETWORK_PORT_GET_PARAMETERS, "nparams", 0, 16},
               Case{Remote::NETWORK_GET_METADATA, "type", 0, 2},
               Case{Remote::CONNECT_LIST_ALL_DOMAINS, "need_results", 0, 1},
               Case{Remote::NODE_GET_CPU_MAP, "need_map", 0, 1},
               Case{Remote::NODE_GET_CPU_MAP, "need_online", 0, 1},
               Case{Remote::CONNECT_GET_ALL_DOMAIN_STATS, "stats", 0, 0x7ff},
               Case{Remote::NODE_GET_FREE_PAGES, "start_cell", -1, 65535});
  CAPTURE(find_procedure(procedure).name, name);
  CHECK(passes(procedure, {{name, low}}));
  CHECK(passes(procedure, {{name, high}}));
  CHECK_FALSE(passes(procedure, {{name, low - 1}}));
  CHECK_FALSE(passes(procedure, {{name, high + 1}}));
  for (const std::int64_t hostile : {INT32_MIN, INT32_MAX, -2})
    CHECK_FALSE(passes(procedure, {{name, hostile}}));
}

TEST_CASE("need_results is 0 or 1 wherever it is", "[policy][bounds]") {
  for (const policy::Procedure* row : test::all_procedures()) {
    if (row->signature.find("need_results:") == std::string_view::npos) continue;
    const auto procedure = static_cast<Remote>(row->number);
    CHECK(passes(procedure, {{"need_results", 0}}));
    CHECK(passes(procedure, {{"need_results", 1}}));
    CHECK_FALSE(passes(procedure, {{"need_results", 2}}));
    CHECK_FALSE(passes(procedure, {{"need_results", -1}}));
  }
}

TEST_CASE("processor maps fit in 8 MiB", "[policy][bounds]") {
  struct Case {
    std::int64_t count;
    std::int64_t size;
    bool good;
  };
  const auto [count, size, good] =
      GENERATE(Case{0, 0, true}, Case{0, 8192, true}, Case{1, 8192, true}, Case{1, 8193, false},
               Case{16384, 512, true}, Case{16384, 513, false}, Case{1024, 8192, true},
               Case{1025, 8192, false}, Case{16384, 8192, false}, Case{16384, 262144, false},
               Case{1, -1, false}, Case{-1, -1, false});
  CHECK(passes(Remote::DOMAIN_GET_VCPUS, {{"maxinfo", count}, {"maplen", size}}) == good);
  CHECK(passes(Remote::DOMAIN_GET_VCPU_PIN_INFO, {{"ncpumaps", count}, {"maplen", size}}) == good);
}

TEST_CASE("free pages are counted 1024 times at most", "[policy][bounds]") {
  struct Case {
    std::uint32_t pages;
    std::uint32_t cells;
    bool good;
  };
  // The last but one wraps 32 bits to 2; another such crashed libvirtd 9.0.0 (CVE-2026-18917).
  const auto [pages, cells, good] =
      GENERATE(Case{1, 1, true}, Case{1, 1024, true}, Case{16, 1, true}, Case{16, 64, true},
               Case{0, 1, false}, Case{1, 0, false}, Case{0, 0, false}, Case{1, 1025, false},
               Case{16, 65, false}, Case{17, 1, false}, Case{3, 1431655766, false},
               Case{1, 0xffffffff, false});
  base::Buffer body;
  policy::XdrWriter writer(body);
  writer.word(pages);
  for (std::uint32_t i = 0; i < pages; ++i) writer.word(4 + i);
  writer.word(0);
  writer.word(cells);
  writer.word(0);
  const policy::Procedure& row = find_procedure(Remote::NODE_GET_FREE_PAGES);
  base::Buffer encoded;
  const Verdict verdict = policy::judge(test::call_of(row), body, encoded);
  CHECK((verdict.decision == Decision::forward) == good);
  if (!good) CHECK(verdict.fault.code == ErrorCode::operation_denied);
}

TEST_CASE("a refusal says which argument, which value and what is allowed", "[policy][bounds]") {
  CHECK(judge(Remote::DOMAIN_GET_XML_DESC, {{"flags", 0xb}}).fault.text ==
        "virtgate is read-only: flag MIGRATABLE is refused: it reveals passwords");
  CHECK(judge(Remote::DOMAIN_SNAPSHOT_GET_XML_DESC, {{"flags", 0x13}}).fault.text ==
        "virtgate refuses DOMAIN_SNAPSHOT_GET_XML_DESC: bits 0x12 of flags are no flags that "
        "it knows, so they may do more than read");
  CHECK(judge(Remote::DOMAIN_GET_STATE, {{"flags", 0x80000000}}).fault.text ==
        "virtgate refuses DOMAIN_GET_STATE: bits 0x80000000 of flags are no flags that it "
        "knows, so they may do more than read");
  CHECK(judge(Remote::DOMAIN_GET_MEMORY_PARAMETERS, {{"nparams", -1}}).fault.text ==
        "virtgate refuses DOMAIN_GET_MEMORY_PARAMETERS: nparams is -1, allowed is 0 to 16");
  CHECK(judge(Remote::DOMAIN_INTERFACE_ADDRESSES, {{"source", 1}}).fault.text ==
        "virtgate refuses DOMAIN_INTERFACE_ADDRESSES: source is 1, allowed is 0, 2 (AGENT asks the "
        "guest agent)");
  CHECK(judge(Remote::DOMAIN_GET_VCPUS, {{"maxinfo", 16384}, {"maplen", 1024}}).fault.text ==
        "virtgate refuses DOMAIN_GET_VCPUS: 16384 maps of 1024 bytes are more than 8388608 bytes");
  CHECK(judge(Remote::NODE_GET_FREE_PAGES, {{"cell_count", 1000}}).fault.text ==
        "virtgate refuses NODE_GET_FREE_PAGES: 2 page sizes of 1000 cells are not 1 to 1024 counts "
        "(pages times "
        "cells must be 1 to 1024)");
}

#include "tests/unit/support/descriptions.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "base/check.h"
#include "tests/unit/support/temporary_folder.h"

namespace test {
namespace {

constexpr std::string_view kFolder = "tests/unit/descriptions/";
constexpr std::string_view kSchemas = "/usr/share/libvirt/schemas/";

Description description(std::string root, std::string schema, std::string_view more = "") {
  Description out;
  out.file = root + std::string(more) + ".xml";
  out.root = std::move(root);
  out.schema = std::move(schema);
  out.text = read_file(std::string(kFolder) + out.file);
  CHECK(!out.text.empty());
  return out;
}

}  // namespace

std::vector<Description> descriptions() {
  return {
      description("domain", "domain.rng"),
      description("domainsnapshot", "domainsnapshot.rng"),
      description("domaincheckpoint", "domaincheckpoint.rng"),
      description("domainbackup", "domainbackup.rng"),
      description("network", "network.rng"),
      description("networkport", "networkport.rng"),
      description("pool", "storagepool.rng"),
      description("pool", "storagepool.rng", "-2"),
      description("volume", "storagevol.rng"),
      description("device", "nodedev.rng"),
      description("device", "nodedev.rng", "-2"),
      description("secret", "secret.rng"),
      description("sysinfo", ""),
  };
}

std::vector<std::string> marks_of(policy::Hidden hidden) {
  std::string mark = "secret-";
  mark += policy::name_of(hidden);
  switch (hidden) {
    case policy::Hidden::paths:
      return {mark,   "0x7e", "0x1d",     "'117'",   "'118'",      "'71'",
              "'72'", "'73'", "7ea9ffd6", "host717", "naa.7e4d00", "7e0000c9831b4b7"};
    case policy::Hidden::graphics:
      return {mark, "47917", "47918", "47919", "2047-09-17"};
    case policy::Hidden::network:
      return {"secretnetwork"};
    default:
      return {mark};
  }
}

bool has_mark(std::string_view text, policy::Hidden hidden) {
  return std::ranges::any_of(marks_of(hidden), [&](const std::string& mark) {
    return text.find(mark) != std::string_view::npos;
  });
}

std::string objection_of_schema(const Description& description, const std::string& text) {
  const std::string schema = std::string(kSchemas) + description.schema;
  if (description.schema.empty() || !std::filesystem::exists(schema)) return {};
  const TemporaryFolder folder;
  const std::string document = folder.path() + "/description.xml";
  const std::string said = folder.path() + "/said";
  std::ofstream(document) << text;
  const std::string command =
      "xmllint --noout --relaxng " + schema + ' ' + document + " >" + said + " 2>&1";
  if (std::system(command.c_str()) == 0) return {};
  return read_file(said) + text;
}

}  // namespace test

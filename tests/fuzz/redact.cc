// A description that is to be cut. The first byte of the input says what is hidden, the second what
// the description is of; the rest is the description.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "policy/redact/description.h"
#include "policy/redact/hidden.h"

namespace {

constexpr std::array<std::string_view, 11> kRoots = {
    "domain", "domainsnapshot", "domaincheckpoint", "domainbackup", "network", "networkport",
    "pool",   "volume",         "device",           "secret",       "sysinfo"};

policy::HiddenSet set_of(std::uint8_t bits) {
  policy::HiddenSet set;
  for (std::size_t i = 0; i < policy::kHiddenNames.size(); ++i) {
    if ((bits >> i & 1U) != 0) set.add(static_cast<policy::Hidden>(i));
  }
  return set;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const policy::HiddenSet hidden = set_of(data[0]);
  const std::string_view root = kRoots[data[1] % kRoots.size()];
  const std::string text(reinterpret_cast<const char*>(data) + 2, size - 2);
  const auto done = policy::cut_description(text, root, hidden);
  if (!done) {
    CHECK(!done.error().empty());
    return 0;
  }
  if (!done.value()) return 0;
  // What is left is a description as well, with nothing more to cut.
  const auto again = policy::cut_description(*done.value(), root, hidden);
  CHECK(again.ok() && !again.value());
  return 0;
}

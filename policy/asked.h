// What a call says of its reply: how much may come, and of what.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "policy/procedures.h"
#include "policy/xdr.h"

namespace policy {

// The views are into the call.
struct Asked {
  std::optional<std::uint64_t> most;  // elements of the first list
  bool list = true;                   // false: only how many there would be in it
  std::uint32_t each = 0;             // parameters of each processor, of a list of these
  base::Bytes uuid;                   // of the object that is looked up
  std::optional<std::string_view> name;
  std::optional<std::uint32_t> id;
  base::Bytes machines;  // those that are named, encoded one after the other; empty: any may come
};

// `call` is the body of a call of `procedure` that the gate has encoded itself.
Asked asked_by(const Procedure& procedure, base::Bytes call);

// The machines that a call names, each of which may come once. Daemons answer in the order of the
// list, so each search begins behind the last hit; the list's bound limits one that does not.
class NamedMachines {
 public:
  static constexpr std::size_t kMost = 256;

  explicit NamedMachines(base::Bytes list) : list_(list), rest_(list) {}

  // By UUID alone: a machine may have been given another name since. Any may come, as often as it
  // likes, when none is named.
  bool take(base::Bytes uuid);

 private:
  base::Bytes list_;
  XdrReader rest_;
  std::size_t next_ = 0;  // the first in `rest_`
  std::bitset<kMost> taken_;
};

}  // namespace policy

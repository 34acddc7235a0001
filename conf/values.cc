#include "conf/values.h"

namespace conf {

const TargetConfig* Config::find(std::string_view name) const {
  for (const TargetConfig& target : targets) {
    if (target.name == name) return &target;
  }
  return nullptr;
}

const TargetConfig* Config::xend_of(const Listen& socket) const {
  const TargetConfig* target = find(socket.target);
  return target != nullptr && target->protocol == Protocol::xend ? target : nullptr;
}

bool Config::speaks_rpc(const Listen& socket) const {
  return !socket.xen_proxy && xend_of(socket) == nullptr;
}

}  // namespace conf

#include "proxy/upstream/names.h"

#include <string_view>

#include "base/bytes.h"
#include "policy/procedures.h"
#include "policy/xdr.h"

namespace proxy {

using policy::Remote;

namespace {

constexpr std::size_t kUuid = 16;

bool is_look_up(const Call& call) {
  if (call.program != policy::kRemoteProgram) return false;
  switch (static_cast<Remote>(call.procedure)) {
    case Remote::DOMAIN_LOOKUP_BY_ID:
    case Remote::DOMAIN_LOOKUP_BY_NAME:
    case Remote::NETWORK_LOOKUP_BY_NAME:
    case Remote::STORAGE_POOL_LOOKUP_BY_NAME:
    case Remote::NWFILTER_LOOKUP_BY_NAME:
      return true;
    default:
      return false;
  }
}

}  // namespace

void Names::resolve(Call& call) const {
  if (!is_look_up(call)) return;
  call.asked_by = call.subject.key;
  const auto found = objects_.find({call.subject.kind, call.asked_by});
  if (found == objects_.end()) return;
  call.subject.key = found->second.uuid;
  call.subject.name = found->second.name;
}

void Names::learn(const Call& call, const policy::Frame& reply) {
  if (call.asked_by.empty()) return;
  forget({call.subject.kind, call.asked_by});
  if (!reply.header.is(policy::Status::ok)) return;
  policy::XdrReader reader(reply.body);
  std::string_view name;
  base::Bytes uuid;
  if (!reader.string(name) || !reader.fixed(kUuid, uuid)) return;
  const auto added = objects_.try_emplace({call.subject.kind, call.asked_by}).first;
  added->second.uuid = base::text_of(uuid);
  added->second.name = name;
  added->second.age = ages_.insert(ages_.end(), &added->first);
  if (objects_.size() > kMost) forget(Key(*ages_.front()));
}

void Names::forget(const Key& key) {
  const auto found = objects_.find(key);
  if (found == objects_.end()) return;
  ages_.erase(found->second.age);
  objects_.erase(found);
}

void Names::clear() {
  objects_.clear();
  ages_.clear();
}

}  // namespace proxy

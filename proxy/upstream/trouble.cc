#include "proxy/upstream/trouble.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <utility>

#include "policy/procedures.h"
#include "policy/subject.h"

namespace proxy {

void describe_trouble(const Queue& queue, const Upstreams& upstreams, Milliseconds now,
                      TargetSnapshot& to) {
  const auto name = [](std::int32_t procedure) {
    const policy::Procedure* row = policy::find_procedure(policy::kRemoteProgram, procedure);
    return row == nullptr ? std::string() : std::string(row->name);
  };
  for (const auto& upstream : upstreams) {
    for (const Call& call : upstream->calls()) {
      if (call.topic == nullptr) continue;
      if (!call.wanted()) ++to.abandoned;
      if (call.overdue) ++to.overdue;
    }
  }
  for (const auto& [key, topic] : queue.topics()) {
    if (topic.silent > 0) ++to.silent;
    if (topic.silent == 0 && topic.overdue == 0) continue;
    if (to.troubles.size() == TargetSnapshot::kMostTroubles) continue;
    TroubleSnapshot trouble;
    std::set<uid_t> uids;
    trouble.subject = policy::describe(topic.subject);
    trouble.silent = topic.silent > 0;
    trouble.procedure = name(topic.unanswered);
    if (trouble.silent) trouble.age_ms = milliseconds_since(topic.silent_since, now);
    for (const auto& upstream : upstreams) {
      for (const Call& call : upstream->calls()) {
        if (call.topic != &topic || !call.overdue) continue;
        const std::uint64_t age = milliseconds_since(call.sent, now);
        if (age >= trouble.age_ms) trouble.procedure = name(call.procedure);
        trouble.age_ms = std::max(trouble.age_ms, age);
        uids.insert(call.payer->uid);
      }
    }
    trouble.uids.assign(uids.begin(), uids.end());
    to.troubles.push_back(std::move(trouble));
  }
}

void describe_upstreams(const Upstreams& upstreams, const Silence& silence, Milliseconds now,
                        TargetSnapshot& to) {
  for (const auto& upstream : upstreams) {
    to.in_flight += upstream->in_flight();
    to.upstreams.push_back(
        {upstream->ready() ? "open" : (upstream->connecting() ? "opening" : "closing"),
         std::string(tunnel::io::stage_name(upstream->stage())), upstream->in_flight(),
         silence.is_silent(*upstream) ? milliseconds_since(upstream->last_answered(), now) : 0});
  }
}

}  // namespace proxy

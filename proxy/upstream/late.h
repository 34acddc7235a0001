// What clients are told of calls that are not answered in time.
#pragma once

#include <cstddef>

#include "conf/values.h"
#include "policy/error.h"
#include "proxy/upstream/topic.h"

namespace proxy {

// About a subject that is silent.
policy::Fault silence_fault(const conf::TargetConfig& target, const Topic& topic, Milliseconds now);

// Of a call that has reached its deadline; null: of a registration. `fault` is why there is no
// upstream, or empty. `silent`: since when nothing comes from
// the daemon. `crowd`: calls that it leaves unanswered, while more than those that may be overdue.
policy::Fault no_answer_fault(const conf::TargetConfig& target, const Call* call,
                              policy::Fault fault, Milliseconds silent, std::size_t crowd);

}  // namespace proxy

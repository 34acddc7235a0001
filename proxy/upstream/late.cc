#include "proxy/upstream/late.h"

#include <cstddef>
#include <string>

namespace proxy {

using policy::ErrorCode;
using policy::ErrorDomain;
using policy::Fault;

Fault silence_fault(const conf::TargetConfig& target, const Topic& topic, Milliseconds now) {
  const auto seconds = (now - topic.silent_since).count() / 1000;
  return {ErrorCode::operation_timeout, ErrorDomain::rpc,
          "target '" + target.name + "': " + policy::describe(topic.subject) +
              " has not answered for " + std::to_string(seconds) +
              " s; virtgate asks it again from time to time"};
}

Fault no_answer_fault(const conf::TargetConfig& target, const Call* call, Fault fault,
                      Milliseconds silent, std::size_t crowd) {
  fault.code = ErrorCode::operation_timeout;
  fault.domain = ErrorDomain::rpc;
  const std::string limit =
      "no answer within " + std::to_string(target.call_timeout.count()) + " ms";
  const std::string about =
      call == nullptr ? "" : " about " + policy::describe(call->subject) + ":";
  fault.text = fault.text.empty() ? "target '" + target.name + "': call" + about +
                                        (about.empty() ? ": " : " ") + limit
                                  : fault.text + " (" + limit + ")";
  if (!fault.plain.empty()) fault.plain += " (" + limit + ")";
  if (silent.count() > 0) {
    fault.text += "; the daemon has answered nothing for " + std::to_string(silent.count() / 1000) +
                  " s, no ping either";
  }
  if (crowd > 0 && call != nullptr && call->sent.count() == 0) {
    fault.text += "; the daemon leaves " + std::to_string(crowd) +
                  " calls unanswered, so that what is not known to be answered waits";
  }
  return fault;
}

}  // namespace proxy

#include "policy/filter.h"

#include <string>
#include <utility>

namespace policy {
namespace {

void refuse(Verdict& verdict, ErrorCode code, ErrorDomain domain, std::string text) {
  verdict.decision = Decision::refuse;
  verdict.fault = {code, domain, std::move(text)};
}

void judge_call(const Header& header, base::Bytes body, base::Buffer& encoded, Verdict& verdict) {
  if (header.version != kProgramVersion || procedures_of(header.program).empty()) {
    return refuse(verdict, ErrorCode::rpc, ErrorDomain::rpc,
                  "Cannot find program " + std::to_string(header.program) + " version " +
                      std::to_string(header.version));
  }
  if (!header.is(Status::ok)) {
    return refuse(verdict, ErrorCode::rpc, ErrorDomain::rpc,
                  "Unexpected message status " + std::to_string(header.status));
  }
  const Procedure* row = find_procedure(header.program, header.procedure);
  if (row == nullptr || row->rule == Rule::event) {
    return refuse(verdict, ErrorCode::rpc, ErrorDomain::rpc,
                  "unknown procedure: " + std::to_string(header.procedure));
  }
  verdict.procedure = row;
  if (row->rule == Rule::deny) {
    return refuse(
        verdict, ErrorCode::operation_denied, row->domain,
        "virtgate is read-only: " + std::string(row->name) + " " + std::string(row->note));
  }
  if (auto fault = decode_arguments(*row, body, encoded, verdict.arguments)) {
    verdict.decision = Decision::refuse;
    verdict.fault = *std::move(fault);
    return;
  }
  verdict.decision = row->rule == Rule::local ? Decision::answer : Decision::forward;
}

}  // namespace

Verdict judge(const Header& header, base::Bytes body, base::Buffer& encoded) {
  Verdict verdict;
  if (header.is(Type::call)) {
    judge_call(header, body, encoded, verdict);
  } else if (header.is(Type::call_with_fds)) {
    refuse(verdict, ErrorCode::operation_denied, ErrorDomain::rpc,
           "virtgate is read-only: it takes no file descriptors");
    verdict.decision = Decision::end;
  } else if (header.is(Type::stream) || header.is(Type::stream_hole)) {
    refuse(verdict, ErrorCode::operation_denied, ErrorDomain::rpc,
           "virtgate is read-only: no stream can be opened");
  } else {
    const bool ping = header.program == kKeepaliveProgram && header.version == kProgramVersion &&
                      header.is(Type::message) && header.procedure == number(Keepalive::ping);
    verdict.decision = ping ? Decision::ping : Decision::ignore;
  }
  return verdict;
}

}  // namespace policy

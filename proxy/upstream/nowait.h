// `stats_nowait` of a target: what bulk statistics say of a machine whose lock somebody else holds
// is left out, in place of waiting for it. Daemons before libvirt 4.5, and drivers without it,
// refuse the flag: then it is left out from there on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "policy/error.h"
#include "policy/message.h"
#include "policy/procedures.h"
#include "proxy/upstream/call.h"

namespace proxy {

class NoWait {
 public:
  // Adds the flag, unless the call has it, cannot have it, or the daemon has refused it.
  void add(Call& call) const {
    const bool is_statistics =
        call.program == policy::kRemoteProgram &&
        call.procedure == policy::number(policy::Remote::CONNECT_GET_ALL_DOMAIN_STATS);
    if (refused_ || !is_statistics || call.body.size() < kFlags) return;
    if ((call.body[first(call)] & kBit) != 0) return;
    call.body[first(call)] |= kBit;
    call.nowait = true;
  }
  // Whether the answer to `call` says that the daemon does not know the flag.
  [[nodiscard]] static bool refused(const Call& call, const policy::Frame& reply) {
    if (!asks(call) || !reply.header.is(policy::Status::error)) return false;
    const policy::RemoteError error = policy::decode_error(reply.body);
    // virCheckFlags() of libvirt's src/internal.h
    return error.code == static_cast<std::int32_t>(policy::ErrorCode::invalid_argument) &&
           error.text.find("unsupported flags") != std::string::npos;
  }
  // Whom the refusal is for, of those who still wait: who asked for the flag themselves, and
  // others, whose calls are as they were before add().
  struct Askers {
    Calls themselves;
    Calls others;
  };
  static Askers askers_of(Call& call) {
    Calls all = one_asker(call);
    all.splice(all.end(), call.joined);
    Askers out;
    while (!all.empty()) {
      Call& one = all.front();
      Calls& to = one.nowait ? out.others : out.themselves;
      if (one.nowait) take_back(one);
      one.probe = false;
      if (one.lane != nullptr)
        to.splice(to.end(), all, all.begin());
      else
        all.pop_front();
    }
    return out;
  }
  // It is not added any more.
  void leave_out() { refused_ = true; }
  // The daemon may be another one.
  void forget() { refused_ = false; }

 private:
  // What add() did.
  static void take_back(Call& call) {
    call.body[first(call)] &= static_cast<std::uint8_t>(~kBit);
    call.nowait = false;
  }

  // VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT, 1 << 29, in the first byte of the flags, which are
  // the last argument.
  static constexpr std::uint8_t kBit = 0x20;
  static constexpr std::size_t kFlags = 4;

  static std::size_t first(const Call& call) { return call.body.size() - kFlags; }
  static bool asks(const Call& call) {
    if (call.nowait) return true;
    for (const Call& one : call.joined) {
      if (one.nowait) return true;
    }
    return false;
  }

  bool refused_ = false;
};

}  // namespace proxy

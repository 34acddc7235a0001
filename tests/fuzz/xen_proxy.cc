// The translator of the old Xen proxy between a client and a gate of which both are hostile. The
// first byte says how the client lays structures out, and how its bytes are cut; what follows are
// steps: one byte of kind, two of length, and so many bytes.
#include "policy/xen_proxy.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "policy/filter.h"
#include "policy/message.h"

namespace {

using policy::Decision;
using policy::Header;
using policy::XenAbi;
using policy::XenProxy;

constexpr std::size_t kLongestPacket = 4096;
constexpr std::uint16_t kLastCommand = 12;

std::uint16_t short_at(base::Bytes bytes, std::size_t at) {
  std::uint16_t value = 0;
  std::copy_n(bytes.data() + at, sizeof value, reinterpret_cast<std::uint8_t*>(&value));
  return value;
}

// What may follow the header of an answer, by another hand.
bool is_size_of(std::uint16_t command, std::size_t extra, XenAbi abi) {
  const bool wide = abi == XenAbi::x86_64;
  switch (command) {
    case 2:
      return extra == 0 || extra == (wide ? 64 : 60);
    case 3:
      return extra % 4 == 0;
    case 5:
      return extra == 0 || (extra >= 17 && extra <= 1017);
    case 6:
      return extra <= 1001;
    case 7:
      return extra == 0 || extra == 16;
    case 9:
      return extra == 0 || extra == (wide ? 40 : 24);
    default:
      return extra == 0 || command >= 10;
  }
}

// The far ends of one translator.
class Ends {
 public:
  Ends(XenAbi abi, std::size_t piece) : abi_(abi), piece_(piece), engine_(abi) {}

  void send(base::Bytes bytes) {
    while (!bytes.empty()) {
      const std::size_t size = piece_ == 0 ? bytes.size() : std::min(piece_, bytes.size());
      engine_.feed(bytes.first(size));
      bytes = bytes.subspan(size);
      look();
    }
  }

  void reply(policy::Status status, base::Bytes body) {
    if (!call_) return;
    Header header = *std::exchange(call_, std::nullopt);
    header.status = static_cast<std::uint32_t>(status);
    if (header.program == policy::kKeepaliveProgram) {
      header.procedure = policy::number(policy::Keepalive::pong);
    } else {
      header.type = static_cast<std::uint32_t>(policy::Type::reply);
    }
    engine_.answer({header, body});
    look();
  }

  void say(base::Bytes bytes) {
    if (bytes.size() < policy::kHeaderSize) return;
    const Header header = policy::decode_header(bytes);
    const bool pong = call_ && call_->program == policy::kKeepaliveProgram &&
                      header.program == policy::kKeepaliveProgram &&
                      header.procedure == policy::number(policy::Keepalive::pong);
    if (!pong && call_ && header.serial == call_->serial) return;
    if (pong) call_.reset();
    const bool asking = engine_.asking();
    engine_.answer({header, bytes.subspan(policy::kHeaderSize)});
    CHECK(pong || engine_.asking() == asking);
    look();
  }

  void give_up() {
    engine_.give_up();
    CHECK(!engine_.asking());
    look_at_packets();
    CHECK(engine_.take_calls().empty());
  }

  [[nodiscard]] const base::Buffer& told() const { return told_; }

 private:
  void look() {
    look_at_packets();
    look_at_calls();
    CHECK(!engine_.broken() || !engine_.wrong().empty());
    if (engine_.midway()) CHECK(engine_.held() < kLongestPacket);
  }

  void look_at_packets() {
    const base::Buffer packets = engine_.take_packets();
    base::append(told_, packets);
    base::Bytes rest = packets;
    while (!rest.empty()) {
      CHECK(rest.size() >= 16 && short_at(rest, 0) == 1);
      const std::size_t length = short_at(rest, 6);
      CHECK(length >= 16 && length <= kLongestPacket && length <= rest.size());
      const std::uint16_t command = short_at(rest, 2);
      CHECK(command <= kLastCommand && is_size_of(command, length - 16, abi_));
      rest = rest.subspan(length);
    }
  }

  // One at a time, and only what the filter lets through as it is.
  void look_at_calls() {
    const base::Buffer calls = engine_.take_calls();
    if (calls.empty()) return;
    policy::FrameReader reader;
    reader.feed(calls);
    const auto call = reader.next();
    CHECK(call && !call_ && engine_.asking());
    base::Buffer encoded;
    const policy::Verdict verdict = policy::judge(call->header, call->body, encoded);
    // Names of the other side may be longer than the filter lets pass.
    CHECK(verdict.decision == Decision::forward || verdict.decision == Decision::ping ||
          verdict.decision == Decision::refuse ||
          (verdict.decision == Decision::answer && call->header.procedure == 1));
    if (verdict.decision == Decision::forward) {
      CHECK(std::equal(encoded.begin(), encoded.end(), call->body.begin(), call->body.end()));
    }
    call_ = call->header;
    CHECK(!reader.next() && !reader.broken());
  }

  const XenAbi abi_;
  const std::size_t piece_;
  XenProxy engine_;
  std::optional<Header> call_;
  base::Buffer told_;
};

void play(Ends& ends, base::Bytes steps) {
  while (steps.size() >= 3) {
    const unsigned kind = steps[0] % 6U;
    const std::size_t announced = steps[1] * 256U + steps[2];
    steps = steps.subspan(3);
    const std::size_t size = std::min(announced, steps.size());
    const base::Bytes bytes = steps.first(size);
    steps = steps.subspan(size);
    switch (kind) {
      case 0:
      case 1:
        ends.send(bytes);
        break;
      case 2:
        ends.reply(policy::Status::ok, bytes);
        break;
      case 3:
        ends.reply(policy::Status::error, bytes);
        break;
      case 4:
        ends.say(bytes);
        break;
      default:
        return ends.give_up();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const base::Bytes steps(data + 1, size - 1);
  const XenAbi abi = data[0] % 2 == 0 ? XenAbi::x86_64 : XenAbi::i386;
  Ends whole(abi, 0);
  play(whole, steps);
  Ends pieces(abi, 1 + data[0] / 2U);
  play(pieces, steps);
  CHECK(whole.told() == pieces.told());
  return 0;
}

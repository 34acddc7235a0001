// What a client sends, from bytes to verdicts. The first byte of the input says how the rest is cut
// when it is fed; the rest is the stream.
#include "policy/filter.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"
#include "policy/error.h"
#include "policy/message.h"

namespace {

using policy::Decision;
using policy::Header;
using policy::Rule;
using policy::Verdict;

void check_encoded(const Header& header, base::Bytes body, const base::Buffer& encoded,
                   Decision decision) {
  CHECK(encoded.size() == body.size());
  base::Buffer again;
  const Verdict verdict = policy::judge(header, encoded, again);
  CHECK(verdict.decision == decision);
  CHECK(again == encoded);
}

void check_arguments(const Verdict& verdict, const base::Buffer& encoded) {
  CHECK(verdict.arguments.count == verdict.procedure->arguments.count);
  const std::uint8_t* at = encoded.data();
  for (std::size_t i = 0; i < verdict.arguments.count; ++i) {
    CHECK(verdict.arguments[i].encoded.data() == at);
    at += verdict.arguments[i].encoded.size();
  }
  CHECK(at == encoded.data() + encoded.size());
}

void check_fault(const Header& header, const policy::Fault& fault) {
  CHECK(!fault.text.empty());
  base::Buffer reply;
  policy::append_error_reply(reply, header, fault);
  const policy::RemoteError error =
      policy::decode_error(base::Bytes(reply).subspan(policy::kHeaderSize));
  CHECK(error.code == static_cast<std::int32_t>(fault.code));
}

void check_frame(const Header& header, base::Bytes body) {
  base::Buffer encoded;
  const Verdict verdict = policy::judge(header, body, encoded);
  switch (verdict.decision) {
    case Decision::forward:
    case Decision::answer: {
      CHECK(header.is(policy::Type::call) && header.is(policy::Status::ok));
      const Rule rule = verdict.procedure->rule;
      CHECK(verdict.decision == Decision::answer ? rule == Rule::local
                                                 : rule == Rule::pass || rule == Rule::check);
      CHECK(verdict.procedure->number == header.procedure);
      CHECK(header.program == policy::kRemoteProgram);
      check_encoded(header, body, encoded, verdict.decision);
      check_arguments(verdict, encoded);
      break;
    }
    case Decision::refuse:
    case Decision::end:
      CHECK(encoded.empty());
      check_fault(header, verdict.fault);
      break;
    case Decision::ping:
    case Decision::ignore:
      CHECK(encoded.empty());
      CHECK(!header.is(policy::Type::call));
      break;
  }
}

void drain(policy::FrameReader& reader, base::Buffer& seen) {
  while (const auto frame = reader.next()) {
    policy::append_frame(seen, frame->header, frame->body);
    check_frame(frame->header, frame->body);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t seed = data[0];
  const base::Bytes stream(data + 1, size - 1);

  policy::FrameReader whole;
  base::Buffer seen_whole;
  whole.feed(stream);
  drain(whole, seen_whole);

  policy::FrameReader reader;
  base::Buffer seen;
  std::size_t piece = seed;
  for (std::size_t at = 0; at < stream.size();) {
    piece = 1 + (piece * 31 + 7) % (1 + seed);
    const base::Bytes cut = stream.subspan(at, std::min(piece, stream.size() - at));
    const std::span<std::uint8_t> room = reader.room();
    if (room.size() < cut.size()) {
      reader.feed(cut);
    } else {
      std::ranges::copy(cut, room.begin());
      reader.feed(room.first(cut.size()));
    }
    drain(reader, seen);
    at += cut.size();
    CHECK(reader.held() <= at);
    CHECK(reader.capacity() <= 2 * at + policy::kHeaderSize);
  }
  CHECK(seen == seen_whole);
  CHECK(reader.broken() == whole.broken());
  return 0;
}

// Headers are byte for byte libvirt's, frames are found at every split of the stream, and a length
// that is out of bounds breaks it for good.
#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "policy/message.h"
#include "policy/procedures.h"
#include "policy/xdr.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/policy_hex.h"

using policy::Frame;
using policy::FrameReader;
using policy::Header;
using policy::Status;
using policy::Type;

namespace {

struct Kept {
  Header header;
  base::Buffer body;
};

void take_all(FrameReader& reader, std::vector<Kept>& to) {
  while (const auto frame = reader.next()) {
    to.push_back({frame->header, base::Buffer(frame->body.begin(), frame->body.end())});
  }
}

base::Buffer frame_of(std::uint32_t serial, std::size_t body_size) {
  base::Buffer body(body_size);
  for (std::size_t i = 0; i < body_size; ++i) body[i] = static_cast<std::uint8_t>(i + serial);
  base::Buffer bytes;
  policy::append_frame(
      bytes, {.procedure = policy::number(policy::Remote::DOMAIN_GET_XML_DESC), .serial = serial},
      body);
  return bytes;
}

base::Buffer length_only(std::uint32_t length) {
  base::Buffer bytes(4);
  policy::store_word(bytes.data(), length);
  return bytes;
}

}  // namespace

TEST_CASE("a header is what libvirt puts on the wire", "[policy][message]") {
  const base::Buffer call =
      test::hex("0000001c 20008086 00000001 00000042 00000000 00000000 00000000");
  const Header header = policy::decode_header(call);
  CHECK(header.length == 28);
  CHECK(header.program == policy::kRemoteProgram);
  CHECK(header.version == policy::kProgramVersion);
  CHECK(header.procedure == 66);
  CHECK(header.is(Type::call));
  CHECK(header.is(Status::ok));
  const auto again = policy::encode_header(header);
  CHECK(std::equal(again.begin(), again.end(), call.begin(), call.end()));
}

TEST_CASE("every field of a header has its own place", "[policy][message]") {
  const base::Buffer bytes =
      test::hex("0000002c 11121314 21222324 f1f2f3f4 41424344 ffffffff 61626364");
  const Header header = policy::decode_header(bytes);
  CHECK(header.length == 44);
  CHECK(header.program == 0x11121314);
  CHECK(header.version == 0x21222324);
  CHECK(header.procedure == static_cast<std::int32_t>(0xf1f2f3f4));
  CHECK(header.type == 0x41424344);
  CHECK(header.serial == 0xffffffff);
  CHECK(header.status == 0x61626364);
  const auto again = policy::encode_header(header);
  CHECK(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()));
}

TEST_CASE("append_frame computes the length and appends", "[policy][message]") {
  base::Buffer bytes = test::hex("aa");
  policy::append_frame(bytes,
                       {.length = 7,
                        .procedure = policy::number(policy::Remote::CONNECT_SUPPORTS_FEATURE),
                        .serial = 1},
                       test::hex("0000000a"));
  CHECK(bytes ==
        test::hex("aa 00000020 20008086 00000001 0000003c 00000000 00000001 00000000 0000000a"));
}

TEST_CASE("keepalive messages are those of libvirt", "[policy][message]") {
  const auto ping = policy::keepalive_frame(policy::Keepalive::ping);
  CHECK(base::Buffer(ping.begin(), ping.end()) ==
        test::hex("0000001c 6b656570 00000001 00000001 00000002 00000000 00000000"));
  const auto pong = policy::keepalive_frame(policy::Keepalive::pong);
  CHECK(base::Buffer(pong.begin(), pong.end()) ==
        test::hex("0000001c 6b656570 00000001 00000002 00000002 00000000 00000000"));
}

TEST_CASE("frames are found however the stream is cut", "[policy][message]") {
  base::Buffer stream;
  const std::vector<std::size_t> sizes = {0, 4, 0, 1, 61, 300, 0};
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    base::append(stream, frame_of(static_cast<std::uint32_t>(i), sizes[i]));
  }
  const auto check = [&](const std::vector<Kept>& frames) {
    REQUIRE(frames.size() == sizes.size());
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      base::Buffer bytes;
      policy::append_frame(bytes, frames[i].header, frames[i].body);
      REQUIRE(bytes == frame_of(static_cast<std::uint32_t>(i), sizes[i]));
    }
  };

  SECTION("in two, at every place") {
    for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
      FrameReader reader;
      std::vector<Kept> frames;
      reader.feed(base::Bytes(stream).first(cut));
      take_all(reader, frames);
      reader.feed(base::Bytes(stream).subspan(cut));
      take_all(reader, frames);
      check(frames);
      REQUIRE(reader.held() == 0);
    }
  }
  SECTION("in pieces of every size") {
    for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
      FrameReader reader;
      std::vector<Kept> frames;
      for (std::size_t at = 0; at < stream.size(); at += piece) {
        reader.feed(base::Bytes(stream).subspan(at, std::min(piece, stream.size() - at)));
        take_all(reader, frames);
      }
      check(frames);
      REQUIRE(reader.held() == 0);
    }
  }
}

TEST_CASE("a frame that lies whole in what is fed is not copied", "[policy][message]") {
  base::Buffer stream = frame_of(1, 8);
  base::append(stream, frame_of(2, 8));
  FrameReader reader;
  reader.feed(stream);
  CHECK(reader.next()->body.data() == stream.data() + policy::kHeaderSize);
  CHECK(reader.next()->body.data() == stream.data() + 36 + policy::kHeaderSize);
  CHECK_FALSE(reader.next());
  CHECK(reader.capacity() == 0);
}

TEST_CASE("what has not been looked at can be fed again", "[policy][message]") {
  base::Buffer stream = frame_of(1, 8);
  base::append(stream, frame_of(2, 12));
  FrameReader reader;
  reader.feed(base::Bytes(stream).first(10));
  CHECK_FALSE(reader.next());
  reader.feed(base::Bytes(stream).subspan(10));
  CHECK(reader.next()->header.serial == 1);
  const base::Bytes rest = reader.take_rest();
  CHECK(rest.size() == 40);
  CHECK_FALSE(reader.next());
  reader.feed(rest);
  CHECK(reader.next()->header.serial == 2);
}

TEST_CASE("lengths out of bounds break the stream for good", "[policy][message]") {
  using Case = std::pair<std::uint32_t, bool>;
  const auto [length, fits] =
      GENERATE(Case{0, false}, Case{1, false}, Case{27, false}, Case{28, true},
               Case{policy::kMaxMessage, true}, Case{policy::kMaxMessage + 1, false},
               Case{0x80000000U, false}, Case{0xffffffffU, false});
  const base::Buffer bytes = length_only(length);
  const std::size_t cut = GENERATE(0U, 1U, 2U, 3U, 4U);
  FrameReader reader;
  reader.feed(base::Bytes(bytes).first(cut));
  CHECK_FALSE(reader.next());
  reader.feed(base::Bytes(bytes).subspan(cut));
  CHECK_FALSE(reader.next());
  CHECK(reader.broken() == !fits);
  if (!fits) {
    CHECK(reader.breach() == "announced a message of " + std::to_string(length) + " bytes");
    CHECK(reader.held() == 0);
    reader.feed(frame_of(1, 0));
    CHECK_FALSE(reader.next());
  }
}

TEST_CASE("frames before the one that breaks the stream are handed out", "[policy][message]") {
  base::Buffer stream = frame_of(1, 4);
  base::append(stream, length_only(27));
  base::append(stream, frame_of(2, 4));
  FrameReader reader;
  reader.feed(stream);
  CHECK(reader.next()->header.serial == 1);
  CHECK_FALSE(reader.broken());
  CHECK_FALSE(reader.next());
  CHECK(reader.broken());
}

TEST_CASE("a reader has a limit of its own", "[policy][message]") {
  FrameReader reader(64);
  const base::Buffer fits = frame_of(1, 36);
  reader.feed(fits);
  CHECK(reader.next());
  CHECK_FALSE(reader.next());
  const base::Buffer too_long = frame_of(2, 37);
  reader.feed(too_long);
  CHECK_FALSE(reader.next());
  CHECK(reader.broken());
  CHECK(reader.breach() == "announced a message of 65 bytes");
}

TEST_CASE("text in place of the first message is quoted, and never later", "[policy][message]") {
  const std::size_t cut = GENERATE(0U, 2U, 4U, 9U);
  const base::Bytes text = base::bytes_of("\r\nGET / HTTP/1.1\r\nHost: x\r\n");
  FrameReader reader;
  reader.feed(text.first(cut));
  reader.next();
  reader.feed(text.subspan(cut));
  reader.next();
  REQUIRE(reader.broken());
  const std::string_view seen = cut == 9 ? "GET / H" : "GET / HTTP/1.1";
  if (cut != 4) {
    CHECK(reader.breach() == "sent text in place of a message: \"" + std::string(seen) + '"');
  }
  FrameReader later;
  const base::Buffer frame = frame_of(1, 4);
  later.feed(frame);
  REQUIRE(later.next());
  CHECK_FALSE(later.next());
  later.feed(base::bytes_of("secret of a reply"));
  CHECK_FALSE(later.next());
  CHECK(later.breach() == "announced a message of 1936024434 bytes");
}

TEST_CASE("a large frame can be kept, and a small one is not", "[policy][message]") {
  for (const std::size_t size : {std::size_t{1000}, std::size_t{65537}, std::size_t{1} << 20}) {
    base::Buffer whole;
    policy::append_frame(whole, {}, base::Buffer(size, 7));
    for (const std::size_t piece : {std::size_t{999}, std::size_t{65536}}) {
      FrameReader reader;
      base::Bytes rest = whole;
      std::optional<Frame> frame;
      while (!frame) {
        const base::Bytes next = rest.first(std::min(piece, rest.size()));
        rest = rest.subspan(next.size());
        reader.feed(next);
        frame = reader.next();
      }
      CHECK(rest.empty());
      REQUIRE(frame->body.size() == size);
      CHECK((frame->keeper != nullptr) == (size > 65536));
      if (frame->keeper == nullptr) continue;
      const Frame kept = *frame;
      frame.reset();
      CHECK_FALSE(reader.next());
      reader.feed(whole);
      CHECK(std::ranges::all_of(kept.body, [](std::uint8_t byte) { return byte == 7; }));
    }
  }
}

TEST_CASE("bytes of a large frame may be put where they belong", "[policy][message]") {
  base::Buffer stream = frame_of(1, 10);
  base::append(stream, frame_of(2, 300'000));
  base::append(stream, frame_of(3, 200'000));
  base::append(stream, frame_of(4, 10));
  std::vector<std::size_t> asked;
  const auto place = [&](std::size_t size) {
    asked.push_back(size);
    return std::make_shared<std::uint8_t[]>(size);
  };
  for (const std::size_t most : {std::size_t{997}, std::size_t{65536}, std::size_t{400'000}}) {
    asked.clear();
    FrameReader reader(policy::kMaxMessage, place);
    std::vector<Kept> frames;
    std::size_t in_place = 0;
    base::Bytes rest = stream;
    while (!rest.empty()) {
      const std::span<std::uint8_t> room = reader.room();
      const base::Bytes piece =
          rest.first(std::min({rest.size(), most, room.empty() ? rest.size() : room.size()}));
      rest = rest.subspan(piece.size());
      if (room.empty()) {
        reader.feed(piece);
      } else {
        in_place += piece.size();
        std::ranges::copy(piece, room.begin());
        reader.feed(room.first(piece.size()));
      }
      take_all(reader, frames);
    }
    REQUIRE(frames.size() == 4);
    for (std::size_t i = 0; i < frames.size(); ++i) {
      base::Buffer bytes;
      policy::append_frame(bytes, frames[i].header, frames[i].body);
      CHECK(bytes == frame_of(static_cast<std::uint32_t>(i + 1), frames[i].body.size()));
    }
    CHECK(reader.room().empty());
    CHECK(in_place > 100'000);
    CHECK(std::ranges::all_of(asked, [](std::size_t size) { return size > 200'000; }));
  }
}

TEST_CASE("memory follows what came, not what was announced", "[policy][message]") {
  FrameReader reader;
  base::Buffer start = length_only(policy::kMaxMessage);
  start.resize(policy::kHeaderSize);
  reader.feed(start);
  CHECK_FALSE(reader.next());
  CHECK(reader.capacity() <= 2 * start.size());

  const base::Buffer piece(50000, 7);
  std::size_t fed = start.size();
  while (policy::kMaxMessage - fed > piece.size()) {
    reader.feed(piece);
    REQUIRE_FALSE(reader.next());
    fed += piece.size();
    REQUIRE(reader.held() == fed);
    REQUIRE(reader.capacity() <= 2 * fed);
    REQUIRE(reader.capacity() <= policy::kMaxMessage);
  }
  const base::Buffer end(policy::kMaxMessage - fed, 7);
  reader.feed(end);
  const auto frame = reader.next();
  REQUIRE(frame);
  CHECK(frame->body.size() == policy::kMaxMessage - policy::kHeaderSize);
  CHECK(std::all_of(frame->body.begin(), frame->body.end(), [](std::uint8_t b) { return b == 7; }));
  CHECK_FALSE(reader.next());
  CHECK(reader.held() == 0);
  CHECK(reader.capacity() == 0);
}

TEST_CASE("XDR values are read only when they are there in full", "[policy][xdr]") {
  const base::Buffer bytes = test::hex("00000005 68656c6c 6f aabbcc 00000000 80000000");
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    policy::XdrReader reader(base::Bytes(bytes).first(size));
    std::string_view text;
    REQUIRE(reader.string(text) == (size >= 12));
    if (size < 12) {
      REQUIRE(reader.left() == size);
      continue;
    }
    REQUIRE(text == "hello");
    bool present = true;
    REQUIRE(reader.optional(present) == (size >= 16));
    if (size >= 16) REQUIRE_FALSE(present);
    REQUIRE(reader.optional(present) == (size >= 20));
    if (size >= 20) REQUIRE(present);
  }
}

TEST_CASE("an XDR string's length can be anything", "[policy][xdr]") {
  const std::uint32_t length =
      GENERATE(1U, 4U, 5U, 0x7fffffffU, 0x80000000U, 0xfffffffcU, 0xfffffffdU, 0xffffffffU);
  base::Buffer bytes = length_only(length);
  if (length > 1) bytes.resize(8);
  policy::XdrReader reader(bytes);
  std::string_view text;
  CHECK(reader.string(text) == (length == 4));
}

TEST_CASE("XDR is written with zeros as padding", "[policy][xdr]") {
  base::Buffer bytes;
  policy::XdrWriter writer(bytes);
  writer.string("hello");
  writer.string("");
  writer.string("four");
  writer.number(-1);
  writer.optional(true);
  writer.fixed(test::hex("0102030405060708"));
  CHECK(bytes == test::hex("00000005 68656c6c 6f000000 00000000 00000004 666f7572 ffffffff "
                           "00000001 0102030405060708"));
}

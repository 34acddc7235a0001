// Each command of the Xen proxy becomes libvirt's calls and is answered in the layout of the
// client's ABI, and a malformed reply becomes a failure.
#include <algorithm>
#include <string>
#include <vector>

#include "policy/filter.h"
#include "policy/procedures.h"
#include "policy/xdr.h"
#include "policy/xen_proxy.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/xen_proxy_scene.h"

using policy::Frame;
using policy::Header;
using policy::Status;
using policy::Type;
using policy::XenAbi;
using policy::XenProxy;
using test::request_for;
using test::value_at;
using test::XenHost;
using test::XenReply;

namespace {

constexpr std::int32_t kOpen = policy::number(policy::Remote::CONNECT_OPEN);

// The other side of the engine: asks the host, and remembers what it was asked.
struct Other {
  XenHost host;
  std::int32_t refuses = 0;    // this procedure
  std::size_t piece = 100000;  // of packets and messages
  std::vector<std::int32_t> asked;
  std::string told;  // packets

  static base::Buffer reply_to(const Header& call, Status status, base::Bytes body) {
    Header header = call;
    header.type = static_cast<std::uint32_t>(Type::reply);
    header.status = static_cast<std::uint32_t>(status);
    base::Buffer out;
    policy::append_frame(out, header, body);
    return out;
  }

  base::Buffer reply(const Frame& call) {
    base::Buffer encoded;
    const policy::Verdict verdict = policy::judge(call.header, call.body, encoded);
    if (verdict.decision == policy::Decision::ping) {
      asked.push_back(-1);
      const auto pong = policy::keepalive_frame(policy::Keepalive::pong);
      return {pong.begin(), pong.end()};
    }
    asked.push_back(call.header.procedure);
    CHECK((verdict.decision == policy::Decision::forward ||
           (verdict.decision == policy::Decision::answer && call.header.procedure == kOpen)));
    CHECK(encoded == base::Buffer(call.body.begin(), call.body.end()));
    if (call.header.procedure == refuses) return reply_to(call.header, Status::error, {});
    if (call.header.procedure == kOpen) return reply_to(call.header, Status::ok, {});
    return reply_to(call.header, Status::ok, host.reply(call.header, call.body));
  }

  // Until the engine asks nothing more.
  void serve(XenProxy& engine) {
    told += base::text_of(engine.take_packets());
    for (base::Buffer calls = engine.take_calls(); !calls.empty(); calls = engine.take_calls()) {
      policy::FrameReader reader;
      reader.feed(calls);
      const auto call = reader.next();
      REQUIRE(call);
      const base::Buffer answer = reply(*call);
      CHECK_FALSE(reader.next());
      policy::FrameReader answers;
      answers.feed(answer);
      engine.answer(*answers.next());
      told += base::text_of(engine.take_packets());
    }
  }

  std::vector<XenReply> talk(XenProxy& engine, std::string_view bytes) {
    told.clear();
    for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
      engine.feed(base::bytes_of(bytes.substr(0, piece)));
      serve(engine);
    }
    return test::replies_in(told);
  }

  // The answer to one packet, after the connection has been opened.
  XenReply one(std::string_view bytes, XenAbi abi = XenAbi::x86_64) {
    XenProxy engine(abi);
    const auto replies = talk(engine, bytes);
    REQUIRE(replies.size() == 1);
    return replies[0];
  }
};

}  // namespace

TEST_CASE("an answer has the request's version, command and serial", "[policy][xen-proxy]") {
  for (std::uint16_t command = 0; command <= test::kLastXenCommand; ++command) {
    Other other;
    const XenReply reply = other.one(request_for(command, 4095));
    CHECK(reply.command == command);
    CHECK(reply.serial == 4095);
  }
}

TEST_CASE("each command is the calls that answer it", "[policy][xen-proxy]") {
  using Calls = std::vector<std::int32_t>;
  const std::vector<Calls> expected = {{},   {4},      {6},      {37},     {51},     {22}, {24},
                                       {23}, {22, 17}, {22, 16}, {22, 14}, {22, 19}, {7}};
  for (std::uint16_t command = 0; command <= test::kLastXenCommand; ++command) {
    Other other;
    XenProxy engine(XenAbi::x86_64);
    other.talk(engine, request_for(command));
    Calls calls = {kOpen};
    const Calls own = command == 0 ? Calls{-1} : expected[command];
    calls.insert(calls.end(), own.begin(), own.end());
    CHECK(other.asked == calls);
    other.asked.clear();
    other.talk(engine, request_for(command));
    CHECK(other.asked == own);
  }
}

TEST_CASE("numbers are those of the client's machine", "[policy][xen-proxy]") {
  for (const XenAbi abi : {XenAbi::x86_64, XenAbi::i386}) {
    Other other;
    const XenReply version = other.one(request_for(1), abi);
    CHECK(version.number == 4017005);
    CHECK(version.length == 16);
    const XenReply memory = other.one(request_for(8), abi);
    CHECK(memory.number == 524288);
    CHECK(memory.length == 16);
    const XenReply count = other.one(request_for(4), abi);
    CHECK(count.argument == 2);
    CHECK(count.length == 16);
    const XenReply list = other.one(request_for(3), abi);
    CHECK(list.argument == 2);
    CHECK(list.length == 24);
    CHECK(value_at<std::int32_t>(list.extra, 0) == 1);
    CHECK(value_at<std::int32_t>(list.extra, 4) == 2);
  }
}

TEST_CASE("a node is laid out as the client has it", "[policy][xen-proxy]") {
  Other other;
  const XenReply wide = other.one(request_for(2));
  CHECK(wide.argument == 0);
  REQUIRE(wide.extra.size() == 64);
  CHECK(wide.extra.substr(0, 32) == std::string("x86_64") + std::string(26, '\0'));
  CHECK(value_at<std::uint64_t>(wide.extra, 32) == 524288);
  const XenReply narrow = other.one(request_for(2), XenAbi::i386);
  REQUIRE(narrow.extra.size() == 60);
  CHECK(narrow.extra.substr(0, 32) == wide.extra.substr(0, 32));
  CHECK(value_at<std::uint32_t>(narrow.extra, 32) == 524288);
  CHECK(narrow.extra.substr(36) == wide.extra.substr(40));
  std::vector<std::uint32_t> numbers;
  for (std::size_t at = 40; at < 64; at += 4) {
    numbers.push_back(value_at<std::uint32_t>(wide.extra, at));
  }
  CHECK(numbers == std::vector<std::uint32_t>{8, 2400, 1, 2, 4, 1});
}

TEST_CASE("a domain's state is laid out as the client has it", "[policy][xen-proxy]") {
  Other other;
  const XenReply wide = other.one(request_for(9));
  CHECK(wide.argument == test::kWebId);
  REQUIRE(wide.extra.size() == 40);
  CHECK(value_at<std::uint8_t>(wide.extra, 0) == 1);
  CHECK(value_at<std::uint64_t>(wide.extra, 8) == 524288);
  CHECK(value_at<std::uint64_t>(wide.extra, 16) == 262144);
  CHECK(value_at<std::uint16_t>(wide.extra, 24) == 3);
  CHECK(value_at<std::uint64_t>(wide.extra, 32) == 0x1122334455667788U);
  const XenReply narrow = other.one(request_for(9), XenAbi::i386);
  REQUIRE(narrow.extra.size() == 24);
  CHECK(value_at<std::uint8_t>(narrow.extra, 0) == 1);
  CHECK(value_at<std::uint32_t>(narrow.extra, 4) == 524288);
  CHECK(value_at<std::uint32_t>(narrow.extra, 8) == 262144);
  CHECK(value_at<std::uint16_t>(narrow.extra, 12) == 3);
  CHECK(value_at<std::uint64_t>(narrow.extra, 16) == 0x1122334455667788U);
}

TEST_CASE("what a 32-bit client's long cannot hold is a failure", "[policy][xen-proxy]") {
  Other other;
  other.host.memory = UINT32_MAX;
  CHECK(other.one(request_for(8), XenAbi::i386).number == UINT32_MAX);
  CHECK(other.one(request_for(9), XenAbi::i386).length == 40);
  other.host.memory = std::uint64_t{UINT32_MAX} + 1;
  CHECK(other.one(request_for(8)).number == other.host.memory);
  CHECK(other.one(request_for(9)).length == 56);
  CHECK(other.one(request_for(2)).length == 80);
  CHECK(other.one(request_for(8), XenAbi::i386).number == 0);
  for (const std::uint16_t command : std::vector<std::uint16_t>{2, 9}) {
    const XenReply reply = other.one(request_for(command), XenAbi::i386);
    CHECK(reply.argument == -1);
    CHECK(reply.length == 16);
  }
}

TEST_CASE("domains are looked up", "[policy][xen-proxy]") {
  Other other;
  const XenReply by_id = other.one(request_for(5));
  CHECK(by_id.argument == test::kWebId);
  CHECK(by_id.extra == test::web_uuid() + "web" + '\0');
  const XenReply by_uuid = other.one(request_for(6));
  CHECK(by_uuid.argument == test::kWebId);
  CHECK(by_uuid.extra == std::string("web") + '\0');
  const XenReply by_name = other.one(request_for(7));
  CHECK(by_name.argument == test::kWebId);
  CHECK(by_name.extra == test::web_uuid());
}

TEST_CASE("what does not run is not found", "[policy][xen-proxy]") {
  Other other;
  const std::string old = test::bytes_of_packet({1, 7, 1, {}, 0, std::string("old") + '\0'});
  CHECK(other.one(old).argument == -1);
  CHECK(other.one(old).length == 16);
  other.host.id = -1;
  CHECK(other.one(request_for(6)).argument == -1);
  CHECK(other.one(request_for(6)).length == 16);
}

TEST_CASE("long names are cut", "[policy][xen-proxy]") {
  for (const std::size_t size : {999U, 1000U, 1001U, 3000U}) {
    Other other;
    other.host.name = std::string(size, 'n');
    const std::string cut = std::string(std::min<std::size_t>(size, 1000), 'n') + '\0';
    CHECK(other.one(request_for(5)).extra == test::web_uuid() + cut);
    CHECK(other.one(request_for(6)).extra == cut);
  }
}

TEST_CASE("texts that do not fit a packet are said to be too long", "[policy][xen-proxy]") {
  Other other;
  for (const std::uint16_t command : std::vector<std::uint16_t>{10, 12}) {
    other.host.xml = std::string(4080, 'x');
    CHECK(other.one(request_for(command)).argument == 0);
    CHECK(other.one(request_for(command)).extra == other.host.xml);
    other.host.xml += 'x';
    CHECK(other.one(request_for(command)).argument == -2);
    CHECK(other.one(request_for(command)).length == 16);
  }
  CHECK(other.one(request_for(11)).extra == "hvm");
}

TEST_CASE("a list has as many ids as a packet holds", "[policy][xen-proxy]") {
  Other other;
  other.host.ids = 1020;
  CHECK(other.one(request_for(3)).argument == 1020);
  CHECK(other.one(request_for(3)).length == 4096);
  for (const std::uint32_t count : {0U, 1021U}) {
    other.host.ids = count;
    CHECK(other.one(request_for(3)).argument == 0);
    CHECK(other.one(request_for(3)).length == 16);
  }
}

TEST_CASE("a failure is told in the command's own way", "[policy][xen-proxy]") {
  for (std::uint16_t command = 0; command <= test::kLastXenCommand; ++command) {
    Other usual;
    XenProxy engine(XenAbi::x86_64);
    usual.talk(engine, request_for(command));
    for (const std::int32_t procedure : usual.asked) {
      if (procedure < 0) continue;
      Other other;
      other.refuses = procedure;
      const XenReply reply = other.one(request_for(command, 77));
      CAPTURE(command, procedure);
      CHECK(reply.length == 16);
      CHECK(reply.serial == 77);
      if (command == 0) {
        CHECK(reply.number == 0);
      } else if (command == 1 || command == 8) {
        CHECK(reply.number == 0);
      } else {
        CHECK(reply.argument == (command == 3 ? 0 : -1));
      }
    }
  }
}

TEST_CASE("a connection that could not be opened is tried again", "[policy][xen-proxy]") {
  Other other;
  other.refuses = kOpen;
  XenProxy engine(XenAbi::x86_64);
  CHECK(other.talk(engine, request_for(0))[0].command == 0);
  CHECK(other.talk(engine, request_for(4))[0].argument == -1);
  other.refuses = 0;
  CHECK(other.talk(engine, request_for(4))[0].argument == 2);
  CHECK(other.asked == std::vector<std::int32_t>{kOpen, kOpen, kOpen, 51});
}

TEST_CASE("one packet is answered after the other, however they are cut", "[policy][xen-proxy]") {
  std::string bytes;
  for (std::uint16_t i = 0; i <= test::kLastXenCommand; ++i) bytes += request_for(i, i);
  std::string whole;
  for (std::size_t piece = bytes.size(); piece > 0; --piece) {
    Other other;
    other.piece = piece;
    XenProxy engine(XenAbi::i386);
    const auto replies = other.talk(engine, bytes);
    REQUIRE(replies.size() == test::kLastXenCommand + 1U);
    if (whole.empty()) whole = other.told;
    CHECK(other.told == whole);
    CHECK_FALSE(engine.midway());
  }
}

TEST_CASE("nothing is done with a packet before it is whole", "[policy][xen-proxy]") {
  const std::string bytes = request_for(7);
  for (std::size_t at = 1; at < bytes.size(); ++at) {
    XenProxy engine(XenAbi::x86_64);
    engine.feed(base::bytes_of(bytes.substr(0, at)));
    CHECK(engine.midway());
    CHECK(engine.take_calls().empty());
    CHECK(engine.take_packets().empty());
    engine.feed(base::bytes_of(bytes.substr(at)));
    CHECK_FALSE(engine.midway());
    CHECK(engine.asking());
  }
}

TEST_CASE("replies that are cut short, or go on, are failures", "[policy][xen-proxy]") {
  for (std::uint16_t command = 1; command <= test::kLastXenCommand; ++command) {
    for (const int change : {-4, -1, 1, 4}) {
      XenProxy engine(XenAbi::x86_64);
      Other other;
      other.talk(engine, request_for(0));
      engine.feed(base::bytes_of(request_for(command)));
      const base::Buffer bytes = engine.take_calls();
      const Header call = policy::decode_header(bytes);
      base::Buffer body = other.host.reply(call, base::Bytes(bytes).subspan(policy::kHeaderSize));
      body.resize(static_cast<std::size_t>(static_cast<long>(body.size()) + change));
      Header header = call;
      header.type = static_cast<std::uint32_t>(Type::reply);
      engine.answer({header, body});
      CAPTURE(command, change);
      CHECK(engine.take_calls().empty());
      const auto replies = test::replies_in(base::text_of(engine.take_packets()));
      REQUIRE(replies.size() == 1);
      CHECK(replies[0].length == 16);
      CHECK((replies[0].argument == -1 || replies[0].argument == 0));
    }
  }
}

TEST_CASE("names and texts with a NUL inside are failures", "[policy][xen-proxy]") {
  Other other;
  other.host.xml = std::string("<a/>\0<b/>", 9);
  CHECK(other.one(request_for(10)).argument == -1);
  other.host.name = std::string("we\0b", 4);
  CHECK(other.one(request_for(5)).argument == -1);
  CHECK(other.one(request_for(10)).argument == -1);
}

TEST_CASE("what answers nothing is dropped", "[policy][xen-proxy]") {
  XenProxy engine(XenAbi::x86_64);
  const base::Buffer none;
  Header header;
  header.type = static_cast<std::uint32_t>(Type::reply);
  engine.answer({header, none});
  engine.feed(base::bytes_of(request_for(1)));
  const Header call = policy::decode_header(engine.take_calls());
  Header reply = call;
  reply.type = header.type;
  std::vector<Header> wrong(4, reply);
  wrong[0].type = static_cast<std::uint32_t>(Type::message);
  ++wrong[1].serial;
  ++wrong[2].procedure;
  wrong[3].program = policy::kKeepaliveProgram;
  for (const Header& one : wrong) {
    engine.answer({one, none});
    CHECK(engine.asking());
  }
  CHECK(engine.take_calls().empty());
  CHECK(engine.take_packets().empty());
}

TEST_CASE("who gives up answers what waits", "[policy][xen-proxy]") {
  XenProxy engine(XenAbi::x86_64);
  engine.give_up();
  CHECK(engine.take_packets().empty());
  engine.feed(base::bytes_of(request_for(4) + request_for(1)));
  engine.give_up();
  const auto replies = test::replies_in(base::text_of(engine.take_packets()));
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].argument == -1);
}

TEST_CASE("what follows a broken packet is not looked at", "[policy][xen-proxy]") {
  XenProxy engine(XenAbi::x86_64);
  Other other;
  const auto replies =
      other.talk(engine, request_for(4) + std::string(16, '\xff') + request_for(1));
  CHECK(replies.size() == 1);
  CHECK(engine.broken());
  CHECK(engine.wrong() == "it sent a packet of version 65535");
  CHECK(other.asked == std::vector<std::int32_t>{kOpen, 51});
}

// A refusal is byte for byte the error that libvirtd sends, and a daemon's error is passed on
// without characters that a terminal obeys.
#include <string>

#include "policy/error.h"
#include "policy/reply.h"
#include "policy/xdr.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/policy_hex.h"

using policy::ErrorCode;
using policy::ErrorDomain;
using policy::Fault;
using policy::Header;

namespace {

// As libvirtd 9.0.0 answered DOMAIN_LOOKUP_BY_NAME "nosuch".
constexpr std::string_view kCaptured =
    "0000002a 0000000c 00000001 00000010 446f6d61696e206e6f7420666f756e64 00000002 00000000"
    "00000001 00000010 446f6d61696e206e6f7420666f756e64 00000000 00000000 ffffffff ffffffff "
    "00000000";

Header call_of(std::int32_t procedure) { return {.procedure = procedure, .serial = 9}; }

base::Buffer body_of(const Fault& fault) {
  base::Buffer frame;
  policy::append_error_reply(frame, call_of(12), fault);
  return {frame.begin() + policy::kHeaderSize, frame.end()};
}

struct Decoded {
  std::string_view message;
  std::string_view str1;
  std::string_view str2;
};

Decoded decode(const base::Buffer& body) {
  Decoded decoded;
  policy::XdrReader reader(body);
  std::uint32_t word = 0;
  bool present = false;
  REQUIRE((reader.word(word) && reader.word(word)));
  REQUIRE((reader.optional(present) && reader.string(decoded.message)));
  REQUIRE((reader.word(word) && reader.optional(present)));
  REQUIRE((reader.optional(present) && reader.string(decoded.str1)));
  REQUIRE((reader.optional(present) && reader.string(decoded.str2)));
  return decoded;
}

}  // namespace

TEST_CASE("a refusal is byte for byte what libvirtd sends", "[policy][error]") {
  base::Buffer frame;
  policy::append_error_reply(frame, call_of(12),
                             {ErrorCode::operation_denied, ErrorDomain::remote,
                              "read only access prevents virDomainDestroy"});
  base::Buffer expected = test::hex(
      "000000d0 20008086 00000001 0000000c 00000001 00000009 00000001"
      "0000001d 00000014 00000001 0000003f");
  base::append(expected,
               base::bytes_of("operation forbidden: read only access prevents virDomainDestroy"));
  base::append(expected, test::hex("00 00000002 00000000 00000001 00000017"));
  base::append(expected, base::bytes_of("operation forbidden: %s"));
  base::append(expected, test::hex("00 00000001 0000002a"));
  base::append(expected, base::bytes_of("read only access prevents virDomainDestroy"));
  base::append(expected, test::hex("0000 00000000 ffffffff ffffffff 00000000"));
  policy::store_word(expected.data(), static_cast<std::uint32_t>(expected.size()));
  CHECK(frame == expected);
}

TEST_CASE("an error carries what it answers", "[policy][error]") {
  Header call = call_of(-5);
  call.program = 0x1234;
  call.version = 9;
  call.serial = 0xffffffff;
  call.length = 99;
  call.type = GENERATE(0U, 4U);
  base::Buffer frame;
  policy::append_error_reply(frame, call, {ErrorCode::rpc, ErrorDomain::rpc, "no"});
  const Header reply = policy::decode_header(frame);
  CHECK(reply.length == frame.size());
  CHECK(reply.program == 0x1234);
  CHECK(reply.version == 9);
  CHECK(reply.procedure == -5);
  CHECK(reply.serial == 0xffffffff);
  CHECK(reply.is(policy::Type::reply));
  CHECK(reply.is(policy::Status::error));
}

TEST_CASE("a stream message is answered in kind", "[policy][error]") {
  Header call = call_of(208);
  call.type = GENERATE(3U, 6U);
  call.status = 2;
  base::Buffer frame;
  policy::append_error_reply(frame, call, {ErrorCode::operation_denied, ErrorDomain::rpc, "no"});
  const Header reply = policy::decode_header(frame);
  CHECK(reply.is(policy::Type::stream));
  CHECK(reply.is(policy::Status::error));
  CHECK(reply.procedure == 208);
  CHECK(reply.serial == 9);
}

TEST_CASE("each code has libvirt's words before the text", "[policy][error]") {
  struct Case {
    ErrorCode code;
    std::string_view format;
  };
  const auto [code, format] = GENERATE(
      Case{ErrorCode::internal_error, "internal error: %s"},
      Case{ErrorCode::no_support, "this function is not supported by the connection driver: %s"},
      Case{ErrorCode::no_connect, "no connection driver available for %s"},
      Case{ErrorCode::invalid_argument, "invalid argument: %s"},
      Case{ErrorCode::operation_denied, "operation forbidden: %s"},
      Case{ErrorCode::system_error, "%s"}, Case{ErrorCode::rpc, "%s"},
      Case{ErrorCode::auth_failed, "authentication failed: %s"},
      Case{ErrorCode::operation_timeout, "Timed out during operation: %s"});
  const base::Buffer body = body_of({code, ErrorDomain::rpc, "this"});
  const Decoded decoded = decode(body);
  CHECK(decoded.str1 == format);
  CHECK(decoded.str2 == "this");
  CHECK(decoded.message == std::string(format.substr(0, format.size() - 2)) + "this");
  const policy::RemoteError error = policy::decode_error(body);
  CHECK(error.code == static_cast<std::int32_t>(code));
  CHECK(error.text == decoded.message);
}

TEST_CASE("a long text is cut between characters", "[policy][error]") {
  const std::size_t before = GENERATE(4090U, 4091U, 4092U, 4093U, 4094U, 4095U, 4096U);
  const std::string character = "\xf0\x9f\x90\xa7";
  const std::string text = std::string(before, 'x') + character + character;
  const base::Buffer body = body_of({ErrorCode::rpc, ErrorDomain::rpc, text});
  const std::size_t whole = (policy::kMaxFaultText - before) / character.size();
  CHECK(decode(body).str2 == text.substr(0, before + whole * character.size()));
}

TEST_CASE("a text at the bound is not cut", "[policy][error]") {
  const std::string text(policy::kMaxFaultText, 'x');
  const base::Buffer body = body_of({ErrorCode::rpc, ErrorDomain::rpc, text});
  CHECK(decode(body).str2 == text);
}

TEST_CASE("an error of a daemon is decoded", "[policy][error]") {
  const base::Buffer body = test::hex(kCaptured);
  const policy::RemoteError error = policy::decode_error(body);
  CHECK(error.code == 42);
  CHECK(error.text == "Domain not found");
  for (std::size_t size = 0; size < body.size(); ++size) {
    const policy::RemoteError cut = policy::decode_error(base::Bytes(body).first(size));
    REQUIRE(cut.code == 0);
    REQUIRE(cut.text.empty());
  }
}

TEST_CASE("an error with all its optional parts is decoded", "[policy][error]") {
  base::Buffer body;
  policy::XdrWriter writer(body);
  const auto text = [&](std::string_view s) {
    writer.optional(true);
    writer.string(s);
  };
  writer.number(38);
  writer.number(7);
  text("broken");
  writer.number(2);
  text("dom");
  writer.fixed(base::Buffer(20, 1));
  text("a");
  text("b");
  text("c");
  writer.number(5);
  writer.number(-1);
  text("net");
  writer.fixed(base::Buffer(16, 1));
  CHECK(policy::decode_error(body).text == "broken");
  CHECK(policy::decode_error(body).code == 38);
}

TEST_CASE("a daemon's error is passed on without what a terminal obeys", "[policy][error]") {
  const base::Buffer plain = test::hex(kCaptured);
  CHECK(policy::clean_error(plain) == plain);
  const auto error = [](std::string_view said) {
    base::Buffer body;
    policy::XdrWriter writer(body);
    const auto text = [&] {
      writer.optional(true);
      writer.string(said);
    };
    writer.number(38);
    writer.number(7);
    text();
    writer.number(2);
    text();
    writer.fixed(base::Buffer(20, 27));
    for (int i = 0; i < 3; ++i) text();
    writer.number(5);
    writer.number(-1);
    text();
    writer.fixed(base::Buffer(16, 27));
    return body;
  };
  CHECK(policy::clean_error(error("a\x1b]0;b\x07 \xc2\x9b\xff\r\n\tc:\\d \xc3\xa9\xe2\x80\xae")) ==
        error("a?]0;b? ???\n\tc:\\d \xc3\xa9?"));
  base::Buffer body = error("x");
  for (std::size_t size = 0; size < body.size(); ++size) {
    REQUIRE_FALSE(policy::clean_error(base::Bytes(body).first(size)));
  }
  body.push_back(0);
  CHECK_FALSE(policy::clean_error(body));
  body.pop_back();
  policy::store_word(body.data() + 8, 2);
  CHECK_FALSE(policy::clean_error(body));
  // Nobody reads that much, and going through it takes long.
  const std::string most(policy::kMaxErrorText, 'x');
  CHECK(policy::clean_error(error(most)) == error(most));
  CHECK(policy::clean_error(error(most + "y")) == error(most));
  CHECK(policy::clean_error(error(most.substr(1) + "\xc3\xa9")) == error(most.substr(1)));
  CHECK(policy::decode_error(error(most + "y")).text == most);
  CHECK(policy::clean_error(error(std::string(policy::kMaxReplyString, 'x'))) == error(most));
  CHECK_FALSE(policy::clean_error(error(std::string(policy::kMaxReplyString + 1, 'x'))));
}

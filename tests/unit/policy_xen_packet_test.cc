// A packet of the Xen proxy is taken at every split, and one with a wrong length, version or
// command breaks the connection (CVE-2009-0036).
#include <string>

#include "policy/xen_packet.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/xen_proxy_scene.h"

using policy::XenCommand;
using policy::XenPacketReader;
using test::bytes_of_packet;
using test::request_for;
using test::XenPacket;

namespace {

// What is wrong with a packet; empty: it is a request, or more is needed.
std::string wrong_with(const std::string& bytes) {
  XenPacketReader reader;
  reader.feed(base::bytes_of(bytes));
  const bool request = reader.next().has_value();
  CHECK(!(request && reader.broken()));
  return reader.wrong();
}

XenPacket with_length(std::uint16_t command, std::uint16_t length, std::size_t extra = 0) {
  XenPacket packet;
  packet.command = command;
  packet.length = length;
  packet.extra = std::string(extra, '\0');
  return packet;
}

}  // namespace

TEST_CASE("each command of the Xen proxy is taken at every split", "[policy][xen-proxy]") {
  for (std::uint16_t command = 0; command <= test::kLastXenCommand; ++command) {
    const std::string bytes = request_for(command, 4095);
    for (std::size_t at = 0; at <= bytes.size(); ++at) {
      XenPacketReader reader;
      reader.feed(base::bytes_of(bytes.substr(0, at)));
      auto request = reader.next();
      CHECK(request.has_value() == (at == bytes.size()));
      CHECK(reader.held() == (request ? 0 : at));
      if (!request) {
        reader.feed(base::bytes_of(bytes.substr(at)));
        request = reader.next();
      }
      REQUIRE(request);
      CHECK(request->command == static_cast<XenCommand>(command));
      CHECK(base::text_of(request->header) == bytes.substr(0, 16));
      const std::string extra(base::text_of(request->extra));
      CHECK(extra == (command == 6 ? test::web_uuid() : command == 7 ? "web" : ""));
      CHECK(reader.held() == 0);
      CHECK_FALSE(reader.next());
      CHECK_FALSE(reader.broken());
    }
  }
}

TEST_CASE("packets one behind the other are taken one after the other", "[policy][xen-proxy]") {
  std::string bytes;
  for (std::uint16_t command = 0; command <= test::kLastXenCommand; ++command) {
    bytes += request_for(command);
  }
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    XenPacketReader reader;
    std::uint16_t next = 0;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      reader.feed(base::bytes_of(std::string_view(bytes).substr(at, piece)));
      while (const auto request = reader.next()) {
        CHECK(static_cast<std::uint16_t>(request->command) == next++);
      }
    }
    CHECK(next == test::kLastXenCommand + 1);
    CHECK(reader.held() == 0);
  }
}

TEST_CASE("CVE-2009-0036: a packet whose length lies is never taken", "[policy][xen-proxy]") {
  for (std::uint16_t command = 0; command <= test::kLastXenCommand; ++command) {
    for (std::uint32_t length = 0; length <= UINT16_MAX; length += length < 4200 ? 1 : 997) {
      const bool good = command == 6   ? length == 32
                        : command == 7 ? length > 16 && length <= 1016
                                       : length == 16;
      const XenPacket packet = with_length(command, static_cast<std::uint16_t>(length));
      CAPTURE(command, length);
      CHECK(wrong_with(bytes_of_packet(packet)).empty() == good);
    }
  }
  CHECK(wrong_with(bytes_of_packet(with_length(1, 8))) ==
        "it sent command 1 in a packet of 8 bytes");
}

TEST_CASE("CVE-2009-0036: less than a header is never taken", "[policy][xen-proxy]") {
  const std::string bytes = request_for(12);
  XenPacketReader reader;
  for (std::size_t at = 0; at < 15; ++at) {
    reader.feed(base::bytes_of(bytes.substr(at, 1)));
    CHECK_FALSE(reader.next());
    CHECK(reader.held() == at + 1);
  }
}

TEST_CASE("another version or command breaks the connection", "[policy][xen-proxy]") {
  for (const int version : {0, 2, 256, 65535}) {
    XenPacket packet;
    packet.version = static_cast<std::uint16_t>(version);
    CHECK(wrong_with(bytes_of_packet(packet)) ==
          "it sent a packet of version " + std::to_string(version));
  }
  for (const int command : {13, 14, 256, 65535}) {
    const XenPacket packet = with_length(static_cast<std::uint16_t>(command), 16);
    CHECK(wrong_with(bytes_of_packet(packet)) == "it sent command " + std::to_string(command));
  }
}

TEST_CASE("what broke stays broken", "[policy][xen-proxy]") {
  XenPacketReader reader;
  reader.feed(base::bytes_of(bytes_of_packet(with_length(13, 16)) + request_for(0)));
  CHECK_FALSE(reader.next());
  reader.feed(base::bytes_of(request_for(0)));
  CHECK_FALSE(reader.next());
  CHECK(reader.broken());
}

TEST_CASE("a name ends where its packet ends", "[policy][xen-proxy]") {
  const auto named = [](const std::string& extra) {
    XenPacket packet;
    packet.command = 7;
    packet.extra = extra;
    return wrong_with(bytes_of_packet(packet));
  };
  CHECK(named(std::string(999, 'n') + '\0').empty());
  CHECK(named(std::string(1, '\0')).empty());
  const std::string wrong = "it sent a name whose end is not that of its packet";
  CHECK(named("web") == wrong);
  CHECK(named(std::string(1000, 'n')) == wrong);
  CHECK(named(std::string("web\0web\0", 8)) == wrong);
  CHECK(named(std::string("web\0\0", 5)) == wrong);
  CHECK(named(std::string(1000, 'n') + '\0') == "it sent command 7 in a packet of 1017 bytes");
}

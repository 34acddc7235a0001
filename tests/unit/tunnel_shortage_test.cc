// What fails because this process has no descriptors left is told apart from what the other side
// does, or what a file is like: no kind of tunnel takes it for a refusal.
#include "tests/unit/support/catch.h"
#include "tests/unit/support/io.h"
#include "tests/unit/support/scarcity.h"
#include "tests/unit/support/temporary_folder.h"
#include "tests/unit/support/tls_world.h"
#include "tests/unit/support/whereabouts.h"
#include "tunnel/io/connect.h"
#include "tunnel/io/descriptors.h"
#include "tunnel/io/process.h"
#include "tunnel/io/resolver.h"
#include "tunnel/ssh/host_key_files.h"
#include "tunnel/ssh/keys.h"

namespace test {
namespace {

using Catch::Matchers::Contains;
using tunnel::io::Loop;
using tunnel::io::Milliseconds;
using Kind = tunnel::io::Reason::Kind;

constexpr Milliseconds kLong{8000};

void check_exhausted(Loop& loop, std::unique_ptr<tunnel::io::Stream> stream, unsigned more) {
  Recorder recorder(std::move(stream));
  {
    const Scarcity scarcity(more);
    recorder.open();
    run_until(loop, [&] { return recorder.closed(); });
  }
  CHECK(recorder.reason->kind == Kind::exhausted);
  CHECK_THAT(recorder.reason_text(), Contains("Too many open files") || Contains("descriptors"));
}

TEST_CASE("a socket that cannot be made says nothing about who is at the other end") {
  const TemporaryFolder folder;
  Loop loop;
  const int server = unix_server(folder / "sock", 5);
  SECTION("unix") {
    check_exhausted(loop, tunnel::io::connect_unix(loop, {folder / "sock"}, kLong), 0);
  }
  SECTION("one of several") {
    check_exhausted(loop, tunnel::io::connect_unix(loop, {folder / "sock", folder / "no"}, kLong),
                    0);
  }
  SECTION("the last ones are kept") {
    check_exhausted(loop, tunnel::io::connect_unix(loop, {folder / "sock"}, kLong), 1);
  }
  SECTION("tcp") {
    const tunnel::io::ConnectOptions options{kLong, kLong, true};
    check_exhausted(loop, tunnel::io::connect_tcp(loop, "127.0.0.1", 9, options), 0);
    check_exhausted(loop, tunnel::io::connect_tcp(loop, "127.0.0.1", 9, options), 1);
  }
  SECTION("a program") {
    for (const unsigned more : {0U, 1U, 2U, 3U}) {
      tunnel::io::Command command;
      command.arguments = {"/bin/cat"};
      check_exhausted(loop, tunnel::io::run_process(loop, command), more);
    }
  }
  close(server);
}

TEST_CASE("a name that cannot be looked up now may be a name all the same") {
  tunnel::io::Resolved found;
  {
    const Scarcity scarcity;
    found = tunnel::io::resolve_by_system("virtgate-unit.invalid");
  }
  CHECK(found.addresses.empty());
  CHECK(found.shortage);
  CHECK_FALSE(tunnel::io::resolve_by_system("virtgate-unit.invalid").shortage);
}

TEST_CASE("a file that cannot be opened now is not refused") {
  const TemporaryFolder folder;
  folder.write("key", "x");
  folder.write("cacert.pem", "x");
  const std::string pki = folder.path();
  const tunnel::TlsPaths paths{pki + "/cacert.pem", pki + "/cacrl.pem", pki + "/clientcert.pem",
                               pki + "/clientkey.pem"};
  REQUIRE(test::read_credentials(paths, 0).error().kind == Kind::refused);
  REQUIRE_FALSE(
      tunnel::ssh::load_private_key(folder / "key", "", {}, test::unasked).error().shortage);
  const Scarcity scarcity;
  const auto credentials = test::read_credentials(paths, 0);
  REQUIRE_FALSE(credentials.ok());
  CHECK(credentials.error().kind == Kind::exhausted);
  const auto key = tunnel::ssh::load_private_key(folder / "key", "", {}, test::unasked);
  REQUIRE_FALSE(key.ok());
  CHECK(key.error().shortage);
  CHECK_FALSE(key.error().missing);
  const auto known =
      tunnel::ssh::load_known_hosts({{folder / "key"}, "", false}, "hail", 22, test::unasked);
  REQUIRE_FALSE(known.ok());
  CHECK(known.error().shortage);
  const base::Buffer bytes(32, 1);
  const auto recorded = tunnel::ssh::record_host_key(folder / "new", "hail", 22, bytes);
  REQUIRE(recorded.has_value());
  CHECK(recorded->shortage);
}

TEST_CASE("so many descriptors are kept as a process can spare") {
  CHECK(tunnel::io::kept(64, 1024) == 64);
  CHECK(tunnel::io::kept(64, 256) == 32);
  CHECK(tunnel::io::kept(16, 64) == 8);
  const std::size_t before = tunnel::io::descriptors_in_use();
  const TemporaryFolder folder;
  const int server = unix_server(folder / "sock", 5);
  CHECK(tunnel::io::descriptors_in_use() == before + 1);
  {
    Loop loop;
    CHECK(loop.descriptors() == 0);
    const auto stream = tunnel::io::adopt_fd(loop, dup(server));
    CHECK(loop.descriptors() == 1);
  }
  close(server);
}

}  // namespace
}  // namespace test

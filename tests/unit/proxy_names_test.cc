// One object is one subject, whichever way clients call it.
#include <chrono>
#include <string>

#include "policy/procedures.h"
#include "policy/subject.h"
#include "policy/xdr.h"
#include "proxy/upstream/names.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/stuck.h"

using policy::Remote;
using proxy::Call;
using proxy::Names;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::RawClient;
using test::World;

namespace {

constexpr std::size_t kUuid = 16;

Call look_up(const std::string& name, Remote procedure = Remote::DOMAIN_LOOKUP_BY_NAME) {
  Call call;
  call.procedure = policy::number(procedure);
  call.subject = {policy::SubjectKind::machine, name, name};
  return call;
}

// The daemon says that such an object is this one.
void answer(Names& names, Call call, const std::string& name, std::uint8_t last,
            policy::Status status = policy::Status::ok) {
  names.resolve(call);
  base::Buffer body;
  policy::XdrWriter writer(body);
  writer.string(name);
  base::Buffer uuid(kUuid, 0);
  uuid.back() = last;
  writer.fixed(uuid);
  writer.word(7);
  policy::Frame reply;
  reply.header.status = static_cast<std::uint32_t>(status);
  reply.body = body;
  names.learn(call, reply);
}

std::uint8_t known(const Names& names, Call call) {
  names.resolve(call);
  return call.subject.key.size() == kUuid ? static_cast<std::uint8_t>(call.subject.key.back()) : 0;
}

}  // namespace

TEST_CASE("a look-up that was answered tells which object it is about", "[proxy][names]") {
  Names names;
  CHECK(known(names, look_up("web")) == 0);
  answer(names, look_up("web"), "web", 1);
  CHECK(known(names, look_up("web")) == 1);
  CHECK(known(names, look_up("mail")) == 0);
  // Another machine has the name now.
  answer(names, look_up("web"), "web", 2);
  CHECK(known(names, look_up("web")) == 2);
  // And now none has.
  answer(names, look_up("web"), "web", 2, policy::Status::error);
  CHECK(known(names, look_up("web")) == 0);
  CHECK(names.count() == 0);
}

TEST_CASE("other calls with a name in them teach nothing", "[proxy][names]") {
  Names names;
  answer(names, look_up("web", Remote::DOMAIN_GET_INFO), "web", 1);
  CHECK(names.count() == 0);
  answer(names, look_up("web"), "web", 1);
  CHECK(known(names, look_up("web", Remote::DOMAIN_GET_INFO)) == 0);
}

TEST_CASE("no more names are remembered than may be, and the oldest goes first", "[proxy][names]") {
  Names names;
  for (std::size_t i = 0; i < Names::kMost + 10; ++i) {
    answer(names, look_up("web" + std::to_string(i)), "web", 1);
  }
  CHECK(names.count() == Names::kMost);
  CHECK(known(names, look_up("web9")) == 0);
  CHECK(known(names, look_up("web10")) == 1);
}

TEST_CASE("whoever asks for a machine by its name hears that it hangs", "[proxy][names]") {
  World world;
  world.config.targets[0].call_timeout = seconds(8);
  world.gate();
  RawClient& client = world.opened();
  base::Buffer name;
  policy::XdrWriter(name).string("web");
  const auto first = client.call(Remote::DOMAIN_LOOKUP_BY_NAME, name);
  world.settle();
  REQUIRE(client.ok(first));
  const test::Reply* found = client.reply(first);
  const base::Buffer web(found->body.begin(), found->body.end());
  world.daemon().hold = true;
  client.call(Remote::DOMAIN_GET_INFO, web);
  world.pass(seconds(9));
  REQUIRE(world.gate().snapshot().targets.at(0).silent == 1);
  RawClient& newcomer = world.opened("hail", 1001);
  const auto second = newcomer.call(Remote::DOMAIN_LOOKUP_BY_NAME, name);
  world.pass(seconds(1));
  REQUIRE(newcomer.reply(second) != nullptr);
  CHECK(newcomer.error(second).text.find("has not answered for") != std::string::npos);
}

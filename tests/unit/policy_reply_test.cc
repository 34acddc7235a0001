// What comes back is held to the table: every reply and event as libvirt writes it passes, and a
// wrong byte in whatever says how the rest is read does not.
#include <string>

#include "policy/reply.h"
#include "policy/xdr.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/policy_bodies.h"
#include "tests/unit/support/reply_bodies.h"

using policy::find_procedure;
using policy::objection_to_reply;
using policy::Remote;
using policy::Rule;
using test::ReplyBody;

namespace {

std::string objection(const policy::Procedure& row, base::Bytes body) {
  return objection_to_reply(row, test::body_of(row).bytes, body);
}

ReplyBody reply_to(const policy::Procedure& row, std::uint64_t seed) {
  return test::reply_of(row, test::body_of(row).bytes, seed);
}

// Calls `each` with every procedure that is answered or is an event, and replies of some seeds.
template <typename Each>
void for_each_reply(Each each) {
  for (const policy::Procedure* row : test::all_procedures()) {
    if (row->rule == Rule::deny) continue;
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
      CAPTURE(row->name, seed);
      each(*row, reply_to(*row, seed));
    }
  }
}

base::Buffer with_word(base::Buffer body, std::size_t at, std::uint32_t word) {
  policy::store_word(&body[at], word);
  return body;
}

base::Buffer domain(const std::string& name, std::uint8_t uuid, std::uint32_t id) {
  base::Buffer body;
  policy::XdrWriter to(body);
  to.string(name);
  to.fixed(base::Buffer(16, uuid));
  to.word(id);
  return body;
}

std::string answer(Remote procedure, const base::Buffer& call, const base::Buffer& reply) {
  return objection_to_reply(find_procedure(procedure), call, reply);
}

base::Buffer names(std::uint32_t count) {
  base::Buffer body;
  policy::XdrWriter to(body);
  to.word(count);
  for (std::uint32_t i = 0; i < count; ++i) to.string("vm");
  return body;
}

base::Buffer words(std::initializer_list<std::uint32_t> all) {
  base::Buffer body;
  for (const std::uint32_t one : all) policy::XdrWriter(body).word(one);
  return body;
}

}  // namespace

TEST_CASE("well-formed replies and events pass", "[policy][reply]") {
  for_each_reply([](const policy::Procedure& row, const ReplyBody& body) {
    REQUIRE(objection(row, body.bytes).empty());
  });
}

TEST_CASE("replies that end early or late do not pass", "[policy][reply]") {
  for_each_reply([](const policy::Procedure& row, const ReplyBody& body) {
    for (std::size_t size = 0; size < body.bytes.size(); ++size) {
      REQUIRE_FALSE(objection(row, base::Bytes(body.bytes).first(size)).empty());
    }
    for (const std::size_t more : {1U, 4U}) {
      base::Buffer longer = body.bytes;
      longer.resize(longer.size() + more);
      REQUIRE(
          objection(row, longer).ends_with("with " + std::to_string(more) + " bytes left over"));
    }
  });
}

TEST_CASE("a wrong length, count, type or discriminator does not pass", "[policy][reply]") {
  for_each_reply([](const policy::Procedure& row, const ReplyBody& body) {
    const auto refuses = [&](std::size_t at, std::uint32_t word) {
      CAPTURE(at, word);
      REQUIRE_FALSE(objection(row, with_word(body.bytes, at, word)).empty());
    };
    for (const auto* places : {&body.lengths, &body.counts}) {
      for (const std::size_t at : *places) {
        const std::uint32_t good = policy::load_word(&body.bytes[at]);
        for (const std::uint32_t wrong : {good + 1, good - 1, good + 4, good + 256, ~good}) {
          refuses(at, wrong);
        }
      }
    }
    // Fewer bytes of an opaque may be as good.
    for (const std::size_t at : body.opaque) refuses(at, policy::load_word(&body.bytes[at]) + 4);
    for (const std::size_t at : body.discriminators) {
      refuses(at, 2);
      refuses(at, 0x01000000);
      refuses(at, 1 - policy::load_word(&body.bytes[at]));
    }
    for (const std::size_t at : body.types) {
      const std::uint32_t good = policy::load_word(&body.bytes[at]);
      for (const std::uint32_t wrong : {0U, 8U, 0x01000000U}) refuses(at, wrong);
      // Types of the same size cannot be told apart.
      const bool is_word = good <= 2 || good == 6;
      refuses(at, is_word ? 3 : 1);
    }
    for (const std::size_t at : body.small) refuses(at, 0x00010000);
    for (const std::size_t at : body.padding) {
      base::Buffer wrong = body.bytes;
      wrong[at] = 1;
      REQUIRE_FALSE(objection(row, wrong).empty());
    }
  });
}

TEST_CASE("bounds of replies are libvirt's", "[policy][reply]") {
  const auto& list = find_procedure(Remote::CONNECT_LIST_ALL_DOMAINS);
  base::Buffer body = words({16385});
  CHECK(objection(list, body) == "sent a reply to CONNECT_LIST_ALL_DOMAINS with too many domains");

  const auto& xml = find_procedure(Remote::DOMAIN_GET_XML_DESC);
  for (const std::size_t size : {policy::kMaxReplyString, policy::kMaxReplyString + 1}) {
    body.clear();
    policy::XdrWriter(body).string(std::string(size, 'x'));
    CHECK(objection(xml, body).empty() == (size == policy::kMaxReplyString));
  }
}

TEST_CASE("what is wrong is said by the field, and no foreign byte is in it", "[policy][reply]") {
  const auto& row = find_procedure(Remote::NODE_GET_INFO);
  ReplyBody body = reply_to(row, 1);
  body.bytes.resize(130);
  CHECK(objection(row, body.bytes) == "sent a reply to NODE_GET_INFO that ends inside memory");
  const auto& event = find_procedure(Remote::DOMAIN_EVENT_REBOOT);
  CHECK(objection_to_reply(event, {}, {}) ==
        "sent an event DOMAIN_EVENT_REBOOT that ends inside dom");
}

TEST_CASE("a look-up brings what was asked for", "[policy][reply]") {
  const base::Buffer web = domain("web", 1, 7);
  base::Buffer name;
  policy::XdrWriter(name).string("web");
  CHECK(answer(Remote::DOMAIN_LOOKUP_BY_NAME, name, web).empty());
  CHECK(answer(Remote::DOMAIN_LOOKUP_BY_NAME, name, domain("wob", 1, 7)) ==
        "sent a reply to DOMAIN_LOOKUP_BY_NAME with something else than was asked for in dom");
  CHECK(answer(Remote::DOMAIN_LOOKUP_BY_UUID, base::Buffer(16, 1), web).empty());
  CHECK_FALSE(answer(Remote::DOMAIN_LOOKUP_BY_UUID, base::Buffer(16, 2), web).empty());
  CHECK(answer(Remote::DOMAIN_LOOKUP_BY_ID, words({7}), web).empty());
  CHECK_FALSE(answer(Remote::DOMAIN_LOOKUP_BY_ID, words({8}), web).empty());
}

TEST_CASE("the UUID of a network's port is its own, not its network's", "[policy][reply]") {
  base::Buffer call;
  policy::XdrWriter to(call);
  to.string("net");
  to.fixed(base::Buffer(16, 1));
  to.fixed(base::Buffer(16, 2));
  CHECK(answer(Remote::NETWORK_PORT_LOOKUP_BY_UUID, call, call).empty());
  base::Buffer other = call;
  other.back() = 3;
  CHECK_FALSE(answer(Remote::NETWORK_PORT_LOOKUP_BY_UUID, call, other).empty());
}

TEST_CASE("a list holds no more than was asked for", "[policy][reply]") {
  CHECK(answer(Remote::CONNECT_LIST_DEFINED_DOMAINS, words({3}), names(3)).empty());
  CHECK(answer(Remote::CONNECT_LIST_DEFINED_DOMAINS, words({3}), names(4)) ==
        "sent a reply to CONNECT_LIST_DEFINED_DOMAINS with more than was asked for in names");
  // Without results only their number comes.
  CHECK(answer(Remote::CONNECT_LIST_ALL_DOMAINS, words({0, 0}), words({0, 5})).empty());
  base::Buffer one = words({1});
  base::append(one, domain("web", 1, 7));
  base::append(one, words({1}));
  CHECK(answer(Remote::CONNECT_LIST_ALL_DOMAINS, words({1, 0}), one).empty());
  CHECK_FALSE(answer(Remote::CONNECT_LIST_ALL_DOMAINS, words({0, 0}), one).empty());
}

TEST_CASE("statistics come only of machines that were named", "[policy][reply]") {
  const auto call = [](std::initializer_list<std::uint8_t> uuids) {
    base::Buffer body = words({static_cast<std::uint32_t>(uuids.size())});
    for (const std::uint8_t uuid : uuids) base::append(body, domain("web", uuid, 7));
    base::append(body, words({0, 0}));
    return body;
  };
  const auto reply = [](std::initializer_list<std::uint8_t> uuids) {
    base::Buffer body = words({static_cast<std::uint32_t>(uuids.size())});
    for (const std::uint8_t uuid : uuids) {
      base::append(body, domain("web", uuid, 7));
      base::append(body, words({0}));
    }
    return body;
  };
  constexpr Remote kStats = Remote::CONNECT_GET_ALL_DOMAIN_STATS;
  CHECK(answer(kStats, call({1, 2, 3}), reply({1, 2, 3})).empty());
  CHECK(answer(kStats, call({1, 2, 3}), reply({3, 1})).empty());
  CHECK(answer(kStats, call({1, 2, 3}), reply({})).empty());
  CHECK(answer(kStats, call({}), reply({1, 2, 3, 4})).empty());
  CHECK_FALSE(answer(kStats, call({1, 2, 3}), reply({1, 4})).empty());
  CHECK_FALSE(answer(kStats, call({1}), reply({1, 1})).empty());
}

TEST_CASE("signatures of replies are read, or do not compile", "[policy][reply]") {
  constexpr auto kReply =
      policy::compile_reply("dom:domain ifaces:{addr:string? to:{n:int}[..2]}[..64] cpus:char[32]");
  REQUIRE(kReply.count == 6);
  CHECK(kReply.items[0].type == policy::ReplyType::object);
  CHECK(kReply.items[1].members == 3);
  CHECK(kReply.items[1].bound == 64);
  CHECK(kReply.items[2].shape == policy::ReplyShape::optional);
  CHECK(kReply.items[3].members == 1);
  CHECK(kReply.items[5].shape == policy::ReplyShape::fixed);
  CHECK(policy::compile_reply("-").count == 0);
  for (const char* wrong :
       {"x", "x:", "x:word", "x:int ", " x:int", "- x:int", "x:int[", "x:int[0]", "x:int[..]",
        "x:{}", "x:{y:int}", "x:{y:int}[3]", "x:opaque", "x:opaque[4]", "x:uuid", "x:int??"}) {
    CAPTURE(wrong);
    CHECK_FALSE(policy::is_reply(wrong));
  }
}

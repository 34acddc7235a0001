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

TEST_CASE("statistics come only of machines that were named, and of each once", "[policy][reply]") {
  const auto call = [](std::initializer_list<std::uint8_t> uuids) {
    base::Buffer body = words({static_cast<std::uint32_t>(uuids.size())});
    for (const std::uint8_t uuid : uuids) base::append(body, domain("web", uuid, 7));
    base::append(body, words({0, 0}));
    return body;
  };
  const auto reply = [](std::initializer_list<std::uint8_t> uuids, const char* name = "web") {
    base::Buffer body = words({static_cast<std::uint32_t>(uuids.size())});
    for (const std::uint8_t uuid : uuids) {
      base::append(body, domain(name, uuid, 7));
      base::append(body, words({0}));
    }
    return body;
  };
  constexpr Remote kStats = Remote::CONNECT_GET_ALL_DOMAIN_STATS;
  CHECK(answer(kStats, call({1, 2, 3}), reply({1, 2, 3})).empty());
  CHECK(answer(kStats, call({1, 2, 3}), reply({3, 1})).empty());
  CHECK(answer(kStats, call({1, 2, 3}), reply({3, 2, 1})).empty());
  CHECK(answer(kStats, call({1, 2, 3}), reply({})).empty());
  CHECK(answer(kStats, call({}), reply({1, 2, 3, 4})).empty());
  CHECK_FALSE(answer(kStats, call({1, 2, 3}), reply({1, 4})).empty());
  CHECK_FALSE(answer(kStats, call({1}), reply({1, 1})).empty());
  CHECK_FALSE(answer(kStats, call({1, 2, 3}), reply({1, 1})).empty());
  CHECK_FALSE(answer(kStats, call({1, 2, 3}), reply({2, 1, 2})).empty());
  // It may have been given another name since.
  CHECK(answer(kStats, call({1, 2}), reply({1, 2}, "wob")).empty());
}

TEST_CASE("a number that says how long a list is says so", "[policy][reply]") {
  constexpr Remote kList = Remote::CONNECT_LIST_ALL_DOMAINS;
  const auto list = [](std::uint32_t count, std::uint32_t said) {
    base::Buffer body = words({count});
    for (std::uint32_t i = 0; i < count; ++i) base::append(body, domain("web", 1, 7));
    base::append(body, words({said}));
    return body;
  };
  CHECK(answer(kList, words({1, 0}), list(2, 2)).empty());
  CHECK(answer(kList, words({1, 0}), list(2, 3)) ==
        "sent a reply to CONNECT_LIST_ALL_DOMAINS with a number that does not fit its list in ret");
  CHECK_FALSE(answer(kList, words({1, 0}), list(2, 1)).empty());
  // To clients this is a failure.
  CHECK(answer(kList, words({1, 0}), list(0, 0xffffffff)).empty());
  CHECK(answer(kList, words({0, 0}), list(0, 0x80000000)).empty());
  CHECK_FALSE(answer(kList, words({1, 0}), list(1, 0xffffffff)).empty());
  CHECK(answer(kList, words({0, 0}), list(0, 0x7fffffff)).empty());
}

TEST_CASE("a map of processors has a bit for each of them", "[policy][reply]") {
  constexpr Remote kMap = Remote::NODE_GET_CPU_MAP;
  const auto map = [](std::uint32_t bytes, std::uint32_t processors) {
    base::Buffer body;
    policy::XdrWriter(body).string(std::string(bytes, 'm'));
    base::append(body, words({1, processors}));
    return body;
  };
  for (const std::uint32_t processors : {9U, 16U}) {
    CHECK(answer(kMap, words({1, 1, 0}), map(2, processors)).empty());
  }
  for (const std::uint32_t processors : {0U, 8U, 17U, 0xfffffff0U, 0xffffffffU}) {
    CHECK_FALSE(answer(kMap, words({1, 1, 0}), map(2, processors)).empty());
  }
  CHECK(answer(kMap, words({0, 1, 0}), map(0, 16)).empty());
  CHECK_FALSE(answer(kMap, words({0, 1, 0}), map(2, 16)).empty());
}

TEST_CASE("parameters are as many as were asked for at most", "[policy][reply]") {
  const auto call = [](std::initializer_list<std::uint32_t> rest) {
    base::Buffer body = domain("web", 1, 7);
    base::append(body, words(rest));
    return body;
  };
  const auto params = [](std::uint32_t count, std::uint32_t number) {
    base::Buffer body = words({count});
    for (std::uint32_t i = 0; i < count; ++i) base::append(body, words({0, 1, 0}));
    base::append(body, words({number}));
    return body;
  };
  constexpr Remote kMemory = Remote::DOMAIN_GET_MEMORY_PARAMETERS;
  CHECK(answer(kMemory, call({2, 0}), params(2, 0)).empty());
  CHECK_FALSE(answer(kMemory, call({2, 0}), params(3, 0)).empty());
  CHECK(answer(kMemory, call({0, 0}), params(0, 3)).empty());
  CHECK_FALSE(answer(kMemory, call({0, 0}), params(1, 3)).empty());
  // libvirt's client divides by the number of each processor.
  constexpr Remote kStats = Remote::DOMAIN_GET_CPU_STATS;
  CHECK(answer(kStats, call({3, 0, 2, 0}), params(6, 3)).empty());
  CHECK(answer(kStats, call({3, 0, 2, 0}), params(4, 2)).empty());
  CHECK(answer(kStats, call({3, 0, 2, 0}), params(0, 3)).empty());
  CHECK(answer(kStats, call({0, 0, 2, 0}), params(0, 3)).empty());
  for (const std::uint32_t number : {0U, 1U, 2U, 3U}) {
    CAPTURE(number);
    CHECK_FALSE(answer(kStats, call({3, 0, 2, 0}), params(7, number)).empty());
    CHECK(answer(kStats, call({3, 0, 2, 0}), params(5, number)).empty() == (number == 1));
  }
  CHECK_FALSE(answer(kStats, call({3, 0, 2, 0}), params(4, 4)).empty());
  CHECK_FALSE(answer(kStats, call({3, 0, 2, 0}), params(0, 0)).empty());
}

TEST_CASE("pages and maps are no more than there was room for", "[policy][reply]") {
  const auto pages = [](std::uint32_t count) {
    base::Buffer body = words({count});
    base::append(body, base::Buffer(8 * std::size_t{count}));
    return body;
  };
  const base::Buffer two_of_three = words({2, 4, 2048, 0, 3, 0});
  CHECK(answer(Remote::NODE_GET_FREE_PAGES, two_of_three, pages(6)).empty());
  CHECK_FALSE(answer(Remote::NODE_GET_FREE_PAGES, two_of_three, pages(7)).empty());
  const auto maps = [](std::uint32_t bytes) {
    base::Buffer body;
    policy::XdrWriter(body).string(std::string(bytes, 'm'));
    base::append(body, words({2}));
    return body;
  };
  base::Buffer call = domain("web", 1, 7);
  base::append(call, words({2, 4, 0}));
  CHECK(answer(Remote::DOMAIN_GET_VCPU_PIN_INFO, call, maps(8)).empty());
  CHECK_FALSE(answer(Remote::DOMAIN_GET_VCPU_PIN_INFO, call, maps(9)).empty());
}

TEST_CASE("parameters have names and booleans that clients can keep", "[policy][reply]") {
  const auto stats = [](std::size_t name, std::uint32_t type, std::uint32_t value) {
    base::Buffer body = words({1});
    base::append(body, domain("web", 1, 7));
    base::append(body, words({1}));
    policy::XdrWriter(body).string(std::string(name, 'n'));
    base::append(body, words({type, value}));
    return body;
  };
  constexpr Remote kStats = Remote::CONNECT_GET_ALL_DOMAIN_STATS;
  const base::Buffer call = words({0, 0, 0});
  CHECK(answer(kStats, call, stats(79, 1, 0)).empty());
  CHECK(answer(kStats, call, stats(80, 1, 0)) ==
        "sent a reply to CONNECT_GET_ALL_DOMAIN_STATS with a string that is too long in params");
  for (const std::uint32_t good : {0U, 1U, 255U, 0xffffffffU}) {
    CHECK(answer(kStats, call, stats(4, 6, good)).empty());
  }
  for (const std::uint32_t bad : {256U, 0x01000000U, 0xffffff00U}) {
    CHECK_FALSE(answer(kStats, call, stats(4, 6, bad)).empty());
  }
}

TEST_CASE("a text that comes as numbers ends in NUL", "[policy][reply]") {
  const auto security = [](std::initializer_list<std::uint32_t> model) {
    base::Buffer body = words({static_cast<std::uint32_t>(model.size())});
    base::append(body, words(model));
    base::append(body, words({1, 0}));
    return body;
  };
  constexpr Remote kModel = Remote::NODE_GET_SECURITY_MODEL;
  CHECK(answer(kModel, {}, security({'d', 'a', 'c', 0})).empty());
  CHECK(answer(kModel, {}, security({})).empty());
  CHECK(answer(kModel, {}, security({'d', 'a', 'c'})) ==
        "sent a reply to NODE_GET_SECURITY_MODEL with a text that does not end in NUL in model");
  base::Buffer node = base::Buffer(4 * std::size_t{32} + 32);
  CHECK(answer(Remote::NODE_GET_INFO, {}, node).empty());
  node[4 * 31 + 3] = 'x';
  CHECK_FALSE(answer(Remote::NODE_GET_INFO, {}, node).empty());
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
  CHECK(policy::compile_reply("a:int[..3] b:uint=a").items[1].total ==
        policy::ReplyTotal::elements);
  CHECK(policy::compile_reply("a:opaque[..3] b:int=a").items[1].total == policy::ReplyTotal::bits);
  CHECK(policy::compile_reply("a:param[..3] b:int=a").items[1].total == policy::ReplyTotal::each);
  for (const char* wrong : {"x",
                            "x:",
                            "x:word",
                            "x:int ",
                            " x:int",
                            "- x:int",
                            "x:int[",
                            "x:int[0]",
                            "x:int[..]",
                            "x:{}",
                            "x:{y:int}",
                            "x:{y:int}[3]",
                            "x:opaque",
                            "x:opaque[4]",
                            "x:uuid",
                            "x:int??",
                            "x:int=x",
                            "x:int[..3] y:int=z",
                            "x:int[..3] y:string=x",
                            "x:int[3] y:int=x",
                            "x:int[..3] y:int[2]=x",
                            "x:int[..3] y:int[..3] z:int=y",
                            "a:{x:int[..3] y:int=x}[..2]",
                            "y:int=x x:int[..3]",
                            "a:{b:{c:{d:int}[..2]}[..2]}[..2]"}) {
    CAPTURE(wrong);
    CHECK_FALSE(policy::is_reply(wrong));
  }
}

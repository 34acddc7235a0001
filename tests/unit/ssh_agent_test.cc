// An ssh agent's answers are understood at every split, and one that is cut, malformed or late is
// an error.
#include "tests/unit/support/catch.h"
#include "tests/unit/support/memory_stream.h"
#include "tunnel/ssh/agent.h"
#include "tunnel/ssh/wire.h"

namespace {

using tunnel::io::Milliseconds;
using tunnel::ssh::Agent;
using tunnel::ssh::AgentKey;

base::Buffer framed(const base::Buffer& message) {
  base::Buffer out;
  tunnel::ssh::put_string(out, message);
  return out;
}

base::Buffer key_list() {
  base::Buffer out{12};
  tunnel::ssh::put_number(out, 2);
  tunnel::ssh::put_string(out, "first blob");
  tunnel::ssh::put_string(out, "first comment");
  tunnel::ssh::put_string(out, "second blob");
  tunnel::ssh::put_string(out, "");
  return out;
}

base::Buffer signature() {
  base::Buffer inner;
  tunnel::ssh::put_string(inner, "ssh-ed25519");
  tunnel::ssh::put_string(inner, "the signature");
  base::Buffer out{14};
  tunnel::ssh::put_string(out, inner);
  return out;
}

// An agent that answers each request with the next of its answers.
class FakeAgent : public tunnel::io::StreamOwner {
 public:
  FakeAgent(std::unique_ptr<test::MemoryStream> stream, std::vector<base::Buffer> answers)
      : stream_(std::move(stream)), answers_(std::move(answers)) {
    stream_->open(*this);
  }
  void on_open() override {}
  void on_data(base::Bytes data) override {
    base::append(heard_, data);
    for (auto message = next(); message; message = next()) {
      requests.push_back(*message);
      if (answers_.empty()) return;
      stream_->write(answers_.front());
      answers_.erase(answers_.begin());
    }
  }
  void on_end() override {}
  void on_drain() override {}
  void on_closed(const tunnel::io::Reason&) override { stream_.reset(); }
  void close() {
    if (stream_) stream_->close({});
  }
  [[nodiscard]] bool gone() const { return stream_ == nullptr; }

  std::vector<base::Buffer> requests;

 private:
  std::optional<base::Buffer> next() {
    tunnel::ssh::WireReader reader(heard_);
    const base::Bytes message = reader.string();
    if (!reader.ok()) return std::nullopt;
    base::Buffer out(message.begin(), message.end());
    heard_.erase(heard_.begin(), heard_.begin() + 4 + static_cast<long>(out.size()));
    return out;
  }
  std::unique_ptr<test::MemoryStream> stream_;
  std::vector<base::Buffer> answers_;
  base::Buffer heard_;
};

struct Pair {
  explicit Pair(std::vector<base::Buffer> answers, std::size_t piece = 0) {
    auto [near, far] = test::MemoryStream::pair(clock);
    near->deliver_at_most(piece);
    agent = std::make_unique<Agent>(clock, std::move(near), Milliseconds(1000));
    fake = std::make_unique<FakeAgent>(std::move(far), std::move(answers));
  }
  ~Pair() {
    agent.reset();
    fake->close();
    test::settle(clock);
  }
  std::string list() {
    std::string result = "no answer";
    agent->list([&](base::Result<std::vector<AgentKey>, std::string> keys) {
      result = keys ? "keys" : keys.error();
      if (keys) listed = *keys;
    });
    test::settle(clock);
    return result;
  }
  std::string sign() {
    std::string result = "no answer";
    agent->sign(base::bytes_of("blob"), base::bytes_of("data"), 4,
                [&](base::Result<base::Buffer, std::string> value) {
                  result = value ? std::string(base::text_of(*value)) : value.error();
                });
    test::settle(clock);
    return result;
  }
  tunnel::io::Clock clock;
  std::unique_ptr<Agent> agent;
  std::unique_ptr<FakeAgent> fake;
  std::vector<AgentKey> listed;
};

}  // namespace

TEST_CASE("ssh agent: keys and signatures, at every split of the answers") {
  const base::Buffer both = framed(signature());
  for (std::size_t piece = 0; piece <= both.size(); ++piece) {
    Pair pair({framed(key_list()), framed(signature())}, piece);
    REQUIRE(pair.list() == "keys");
    REQUIRE(pair.listed.size() == 2);
    CHECK(base::text_of(pair.listed[0].blob) == "first blob");
    CHECK(pair.listed[0].comment == "first comment");
    CHECK(pair.listed[1].comment.empty());
    REQUIRE(pair.sign() == "the signature");
    REQUIRE(pair.fake->requests.size() == 2);
    CHECK(pair.fake->requests[0] == base::Buffer{11});
    base::Buffer expected{13};
    tunnel::ssh::put_string(expected, "blob");
    tunnel::ssh::put_string(expected, "data");
    tunnel::ssh::put_number(expected, 4);
    CHECK(pair.fake->requests[1] == expected);
  }
}

TEST_CASE("ssh agent: a refusal leaves the agent usable") {
  Pair pair({framed({5}), framed({5}), framed(key_list())});
  CHECK(pair.list() == "the agent refused");
  CHECK(pair.sign() == "the agent refused");
  CHECK(pair.list() == "keys");
}

TEST_CASE("ssh agent: every cut message is an error, not more") {
  const base::Buffer keys = key_list();
  const base::Buffer signed_data = signature();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    CHECK_FALSE(tunnel::ssh::parse_agent_keys(base::Bytes(keys).first(i)).ok());
  }
  for (std::size_t i = 0; i < signed_data.size(); ++i) {
    CHECK_FALSE(tunnel::ssh::parse_agent_signature(base::Bytes(signed_data).first(i)).ok());
  }
  base::Buffer longer = keys;
  longer.push_back(0);
  CHECK_FALSE(tunnel::ssh::parse_agent_keys(longer).ok());
  longer = signed_data;
  longer.push_back(0);
  CHECK_FALSE(tunnel::ssh::parse_agent_signature(longer).ok());
  CHECK_FALSE(tunnel::ssh::parse_agent_keys(base::Buffer{12, 0xff, 0xff, 0xff, 0xff}).ok());
}

TEST_CASE("ssh agent: broken agents") {
  SECTION("a length of zero") {
    Pair pair({{0, 0, 0, 0}});
    CHECK(pair.list() == "the agent's answer is malformed");
    CHECK(pair.fake->gone());
    CHECK(pair.sign() == "the agent's answer is malformed");
  }
  SECTION("a length beyond the limit") {
    Pair pair({{0, 4, 0, 1}});
    CHECK(pair.list() == "the agent's answer is malformed");
  }
  SECTION("an answer to nothing") {
    base::Buffer two = framed(key_list());
    base::append(two, framed(key_list()));
    Pair pair({two});
    CHECK(pair.list() == "keys");
  }
  SECTION("an answer of another type") {
    Pair pair({framed({99})});
    CHECK(pair.list() == "the agent answered with a message of type 99");
  }
  SECTION("silence") {
    Pair pair({});
    CHECK(pair.list() == "no answer");
    std::string result;
    pair.agent = nullptr;
    test::settle(pair.clock);
    CHECK(pair.fake->gone());
  }
  SECTION("an end") {
    Pair pair({});
    std::string result;
    pair.agent->list([&](auto keys) { result = keys.error(); });
    pair.fake->close();
    test::settle(pair.clock);
    CHECK_FALSE(result.empty());
  }
}

TEST_CASE("ssh agent: an answer that does not come in time is an error") {
  Pair pair({});
  std::string result;
  pair.agent->list([&](auto keys) { result = keys.error(); });
  test::settle(pair.clock);
  pair.clock.advance(pair.clock.now() + Milliseconds(999));
  CHECK(result.empty());
  pair.clock.advance(pair.clock.now() + Milliseconds(1));
  CHECK(result == "the agent did not answer in time");
  test::settle(pair.clock);
  CHECK(pair.fake->gone());
}

#include "tunnel/ssh/agent.h"

#include <utility>

#include "tunnel/ssh/wire.h"

namespace tunnel::ssh {
namespace {

constexpr std::uint8_t kFailure = 5;
constexpr std::uint8_t kRequestIdentities = 11;
constexpr std::uint8_t kIdentitiesAnswer = 12;
constexpr std::uint8_t kSignRequest = 13;
constexpr std::uint8_t kSignResponse = 14;
constexpr std::uint32_t kMostKeys = 2048;

base::Buffer with_length(const base::Buffer& message) {
  base::Buffer out;
  put_string(out, message);
  return out;
}

template <typename... Text>
base::Failure<std::string> failure(const Text&... text) {
  return {(std::string() + ... + text)};
}

// What an answer of another type than the expected one means.
std::string unexpected(std::uint8_t type) {
  if (type == kFailure) return "the agent refused";
  return "the agent answered with a message of type " + std::to_string(type);
}

}  // namespace

base::Buffer agent_list_request() { return with_length({kRequestIdentities}); }

base::Buffer agent_sign_request(base::Bytes key, base::Bytes data, std::uint32_t flags) {
  base::Buffer message{kSignRequest};
  put_string(message, key);
  put_string(message, data);
  put_number(message, flags);
  return with_length(message);
}

base::Result<std::vector<AgentKey>, std::string> parse_agent_keys(base::Bytes message) {
  WireReader reader(message);
  const std::uint8_t type = reader.byte();
  if (type != kIdentitiesAnswer) return failure(unexpected(type));
  const std::uint32_t count = reader.number();
  if (!reader.ok() || count > kMostKeys) return failure("the agent's list of keys is malformed");
  std::vector<AgentKey> keys;
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    const base::Bytes blob = reader.string();
    const std::string_view comment = reader.text();
    keys.push_back({base::Buffer(blob.begin(), blob.end()), std::string(comment)});
  }
  if (!reader.ok() || !reader.at_end()) return failure("the agent's list of keys is malformed");
  return keys;
}

base::Result<base::Buffer, std::string> parse_agent_signature(base::Bytes message) {
  WireReader reader(message);
  const std::uint8_t type = reader.byte();
  if (type != kSignResponse) return failure(unexpected(type));
  WireReader signature(reader.string());
  signature.string();
  const base::Bytes value = signature.string();
  if (!reader.ok() || !reader.at_end() || !signature.ok() || !signature.at_end() || value.empty()) {
    return failure("the agent's signature is malformed");
  }
  return base::Buffer(value.begin(), value.end());
}

std::optional<base::Buffer> AgentReader::next() {
  if (failed_) return std::nullopt;
  WireReader reader(buffer_);
  const std::uint32_t length = reader.number();
  if (!reader.ok()) return std::nullopt;
  if (length == 0 || length > kLargestMessage) {
    failed_ = true;
    return std::nullopt;
  }
  const base::Bytes message = reader.raw(length);
  if (!reader.ok()) return std::nullopt;
  base::Buffer out(message.begin(), message.end());
  buffer_.erase(buffer_.begin(), buffer_.begin() + 4 + static_cast<std::ptrdiff_t>(length));
  return out;
}

Agent::Agent(io::Clock& clock, std::unique_ptr<io::Stream> stream, io::Milliseconds timeout)
    : timeout_(timeout), timer_(clock, [this] {
        if (failure_.empty()) failure_ = "the agent did not answer in time";
        fail(failure_);
      }) {
  stream_.open(std::move(stream), *this);
}

void Agent::ask(const base::Buffer& request, Message done) {
  done_ = std::move(done);
  if (!stream_) return timer_.start(io::Milliseconds(0));
  stream_->write(request);
  timer_.start(timeout_);
}

void Agent::list(Keys done) {
  ask(agent_list_request(), [done = std::move(done)](base::Result<base::Buffer, std::string> m) {
    if (!m) return done(base::Failure{m.error()});
    done(parse_agent_keys(*m));
  });
}

void Agent::sign(base::Bytes key, base::Bytes data, std::uint32_t flags, Signature done) {
  ask(agent_sign_request(key, data, flags),
      [done = std::move(done)](base::Result<base::Buffer, std::string> m) {
        if (!m) return done(base::Failure{m.error()});
        done(parse_agent_signature(*m));
      });
}

void Agent::on_data(base::Bytes data) {
  reader_.feed(data);
  auto message = reader_.next();
  if (reader_.failed()) return fail("the agent's answer is malformed");
  if (!message) return;
  if (!done_) return fail("the agent answers what was not asked");
  timer_.stop();
  const Message done = std::exchange(done_, nullptr);
  done(std::move(*message));
}

void Agent::on_closed(const io::Reason& reason) {
  shortage_ = reason.kind == io::Reason::Kind::exhausted;
  fail(reason.text.empty() ? "the agent cannot be reached" : reason.text);
}

void Agent::fail(const std::string& text) {
  if (failure_.empty()) failure_ = text;
  timer_.stop();
  stream_.reset();
  if (!done_) return;
  const Message done = std::exchange(done_, nullptr);
  const std::string failure = failure_;
  done(base::Failure{failure});
}

}  // namespace tunnel::ssh

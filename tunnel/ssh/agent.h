// A client of the ssh agent (draft-miller-ssh-agent): which keys it holds, and signatures by them.
// libssh2's own client connects and reads blocking, so this one stands on a stream of ours.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "tunnel/io/clock.h"
#include "tunnel/io/stream.h"
#include "tunnel/ssh/lower.h"

namespace tunnel::ssh {

struct AgentKey {
  base::Buffer blob;    // the public key
  std::string comment;  // foreign text
};

// The wire format, without I/O.
base::Buffer agent_list_request();
base::Buffer agent_sign_request(base::Bytes key, base::Bytes data, std::uint32_t flags);
// Of one message without its length. The error says what is wrong with it.
base::Result<std::vector<AgentKey>, std::string> parse_agent_keys(base::Bytes message);
// Gives the signature without the name of its algorithm in front.
base::Result<base::Buffer, std::string> parse_agent_signature(base::Bytes message);

// Cuts a stream into messages.
class AgentReader {
 public:
  // Larger ones are a broken agent; OpenSSH has the same limit.
  static constexpr std::size_t kLargestMessage = std::size_t{256} * 1024;

  void feed(base::Bytes data) { base::append(buffer_, data); }
  // The next message without its length, when it is there in full.
  std::optional<base::Buffer> next();
  // A message is too large or empty; nothing more comes.
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  base::Buffer buffer_;
  bool failed_ = false;
};

class Agent : private io::StreamOwner {
 public:
  // `stream` leads to the agent and is not yet open. Each request may take `timeout`.
  Agent(io::Clock& clock, std::unique_ptr<io::Stream> stream, io::Milliseconds timeout);

  using Keys = std::function<void(base::Result<std::vector<AgentKey>, std::string>)>;
  using Signature = std::function<void(base::Result<base::Buffer, std::string>)>;

  // One request at a time. `done` is called from the loop, once, unless the agent is destroyed
  // before. The agent may be destroyed in it.
  void list(Keys done);
  void sign(base::Bytes key, base::Bytes data, std::uint32_t flags, Signature done);

  // It failed because this host had no descriptors to ask it with.
  [[nodiscard]] bool shortage() const { return shortage_; }

 private:
  using Message = std::function<void(base::Result<base::Buffer, std::string>)>;

  void on_open() override {}
  void on_data(base::Bytes data) override;
  void on_end() override { fail("the agent ended the connection"); }
  void on_drain() override {}
  void on_closed(const io::Reason& reason) override;

  void ask(const base::Buffer& request, Message done);
  void fail(const std::string& text);

  io::Milliseconds timeout_;
  io::Timer timer_;
  AgentReader reader_;
  Message done_;
  std::string failure_;
  bool shortage_ = false;
  LowerStream stream_;
};

}  // namespace tunnel::ssh

// Lets the server know who we are: with the keys of the agent and of files, in the order of
// sshauth=, or else the file that keyfile= names before those of the agent. Nothing here asks
// anybody.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tunnel/io/clock.h"
#include "tunnel/io/errands.h"
#include "tunnel/ssh/agent.h"
#include "tunnel/ssh/engine.h"
#include "tunnel/ssh/environment.h"
#include "tunnel/ssh/parts.h"
#include "tunnel/target.h"

namespace tunnel::ssh {

class Authenticator : private Engine::Signer {
 public:
  // Servers end a connection after some refused keys, 6 with OpenSSH, so that an agent must leave
  // some to the files.
  static constexpr std::size_t kMostAgentKeys = 4;

  // All outlive the authenticator. `wake` is called when step() is worth calling although no input
  // came.
  Authenticator(Engine& engine, io::Clock& clock, const Target& target, const Parts& parts,
                std::string user, std::function<void()> wake);

  Engine::Step step();

  // "tried: key K (refused by the server), agent (none)", and what the server would accept. Raw.
  [[nodiscard]] std::string report() const;
  // A key file that is being read; null: none is.
  [[nodiscard]] const io::Errand* reading() const { return reading_.get(); }
  // Something was not tried because this host had no descriptors for it.
  [[nodiscard]] bool shortage() const { return shortage_; }

 private:
  enum class State : std::uint8_t {
    list,
    choose,
    agent_list,
    agent_key,
    reading,
    file_key,
    done,
    failed,
  };

  void choose();
  void begin_agent();
  void take_agent_keys(base::Result<std::vector<AgentKey>, std::string> keys);
  void order_agent_keys(const base::Buffer& named);
  void next_agent_key();
  void next_file_key();
  void file_read(const std::string& file, base::Result<PrivateKey, KeyProblem> key);
  // `done` comes when `work` has been done, or could not be.
  void read(io::ErrandWork work, std::function<void()> done);
  void list();
  void try_agent_key();
  void try_file_key();
  void refused(const std::string& what, const std::string& why);
  // How the server took the key that was tried last.
  [[nodiscard]] std::string refusal() const;
  [[nodiscard]] bool takes_keys() const;
  Engine::Step sign(base::Bytes data, base::Buffer& signature) override;

  Engine& engine_;
  io::Clock& clock_;
  const Target& target_;
  const Parts& parts_;
  const SshEnvironment& environment_;
  std::string user_;
  std::function<void()> wake_;

  State state_ = State::list;
  bool waiting_ = false;
  std::string methods_;
  std::vector<std::string> ways_;
  std::size_t next_way_ = 0;
  std::vector<std::string> tried_;
  bool shortage_ = false;

  std::unique_ptr<Agent> agent_;
  std::vector<AgentKey> agent_keys_;
  std::size_t next_agent_key_ = 0;
  bool signing_ = false;
  std::optional<base::Result<base::Buffer, std::string>> signature_;

  io::ErrandHandle reading_;
  std::vector<std::string> files_;
  std::size_t next_file_ = 0;
  std::optional<PrivateKey> key_;
  base::Buffer seen_;  // the public half of the key in a file that the server refused
};

// The flags of a request to sign for the algorithm that `data` names, which is what is signed for
// publickey authentication (RFC 4252 section 7); they matter for RSA alone.
std::uint32_t agent_flags(base::Bytes data);

}  // namespace tunnel::ssh

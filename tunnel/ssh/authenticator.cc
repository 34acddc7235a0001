#include "tunnel/ssh/authenticator.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "tunnel/ssh/digest.h"
#include "tunnel/ssh/known_hosts.h"
#include "tunnel/ssh/wire.h"

namespace tunnel::ssh {
namespace {

// ssh-agent(1) may ask somebody before it signs, so this is only less than the stage's deadline.
constexpr io::Milliseconds kAgentTimeout{8000};

std::string name_of(const AgentKey& key) {
  std::string name = base::printable(key_type(key.blob), 60) + " " + fingerprint(key.blob);
  if (!key.comment.empty()) name += " (" + base::printable(key.comment, 60) + ")";
  return name;
}

int rank(const AgentKey& key) {
  const std::string_view type = key_type(key.blob);
  return type == "ssh-ed25519" ? 0 : type.starts_with("ecdsa-") ? 1 : 2;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : "; ") + part;
  return out;
}

}  // namespace

std::uint32_t agent_flags(base::Bytes data) {
  WireReader reader(data);
  reader.string();
  reader.byte();
  reader.string();
  reader.string();
  reader.string();
  reader.byte();
  const std::string_view algorithm = reader.text();
  if (algorithm == "rsa-sha2-256") return 2;
  return algorithm == "rsa-sha2-512" ? 4 : 0;
}

Authenticator::Authenticator(Engine& engine, io::Clock& clock, const Target& target,
                             const Environment& environment, std::string user,
                             std::function<std::unique_ptr<io::Stream>()> connect_agent,
                             std::function<void()> wake)
    : engine_(engine),
      clock_(clock),
      target_(target),
      environment_(environment),
      user_(std::move(user)),
      connect_agent_(std::move(connect_agent)),
      wake_(std::move(wake)),
      ways_(target.sshauth) {
  if (ways_.empty()) ways_ = {"agent", "privkey"};
}

Engine::Step Authenticator::step() {
  waiting_ = false;
  while (!waiting_) {
    switch (state_) {
      case State::list:
        list();
        break;
      case State::choose:
        choose();
        break;
      case State::agent_list:
        waiting_ = true;
        break;
      case State::agent_key:
        try_agent_key();
        break;
      case State::file_key:
        try_file_key();
        break;
      case State::done:
        return Engine::Step::done;
      case State::failed:
        return Engine::Step::failed;
    }
  }
  return Engine::Step::pending;
}

void Authenticator::list() {
  const Engine::Step step = engine_.list_methods(user_, methods_);
  waiting_ = step == Engine::Step::pending;
  if (waiting_) return;
  if (step == Engine::Step::failed) {
    state_ = State::failed;
  } else {
    state_ = methods_.empty() ? State::done : State::choose;
  }
}

void Authenticator::choose() {
  const bool public_key = ("," + methods_ + ",").find(",publickey,") != std::string::npos;
  if (!public_key || next_way_ == ways_.size()) {
    if (!public_key) tried_.emplace_back("the server wants no keys");
    state_ = State::failed;
    return;
  }
  const std::string& way = ways_[next_way_++];
  if (way == "agent") return begin_agent();
  if (way == "privkey") {
    files_ = key_files(target_, environment_);
    return next_file_key();
  }
  if (way == "password" || way == "keyboard-interactive") {
    return refused(way + " is not possible: a service cannot ask for it");
  }
  refused("sshauth=" + base::printable(way, 60) + " is not known");
}

void Authenticator::refused(const std::string& what) { tried_.push_back(what); }

void Authenticator::begin_agent() {
  if (environment_.agent_socket.empty()) return refused("agent: SSH_AUTH_SOCK is not set");
  agent_ = std::make_unique<Agent>(clock_, connect_agent_(), kAgentTimeout);
  state_ = State::agent_list;
  agent_->list([this](auto keys) { take_agent_keys(std::move(keys)); });
}

void Authenticator::take_agent_keys(base::Result<std::vector<AgentKey>, std::string> keys) {
  state_ = State::choose;
  if (!keys) {
    refused("agent " + base::printable(environment_.agent_socket) + ": " +
            base::printable(keys.error()));
    return wake_();
  }
  agent_keys_ = std::move(*keys);
  if (agent_keys_.empty()) refused("agent: it has no keys");
  std::ranges::stable_sort(agent_keys_, {}, rank);
  next_agent_key();
  wake_();
}

void Authenticator::next_agent_key() {
  state_ = State::choose;
  while (next_agent_key_ < agent_keys_.size()) {
    const AgentKey& key = agent_keys_[next_agent_key_];
    if (next_agent_key_ == kMostAgentKeys) {
      return refused("agent: " + std::to_string(agent_keys_.size() - kMostAgentKeys) +
                     " more keys not tried, since servers end the connection after a few");
    }
    const std::string unusable = unusable_key_type(key_type(key.blob));
    if (unusable.empty()) {
      state_ = State::agent_key;
      return;
    }
    refused("agent: " + name_of(key) + ": " + unusable);
    ++next_agent_key_;
  }
}

void Authenticator::try_agent_key() {
  const AgentKey& key = agent_keys_[next_agent_key_];
  const Engine::Step step = engine_.try_key(user_, key.blob, *this);
  waiting_ = step == Engine::Step::pending;
  if (waiting_) return;
  if (step == Engine::Step::done) {
    state_ = State::done;
    return;
  }
  const bool agent_refused = signature_ && !signature_->ok();
  refused("agent: " + name_of(key) + ": " +
          (agent_refused ? base::printable(signature_->error()) : "refused by the server"));
  signing_ = false;
  signature_.reset();
  ++next_agent_key_;
  next_agent_key();
  if (engine_.failed()) state_ = State::failed;
}

Engine::Step Authenticator::sign(base::Bytes data, base::Buffer& signature) {
  if (!signing_) {
    signing_ = true;
    agent_->sign(agent_keys_[next_agent_key_].blob, data, agent_flags(data),
                 [this](base::Result<base::Buffer, std::string> result) {
                   signature_ = std::move(result);
                   wake_();
                 });
  }
  if (!signature_) return Engine::Step::pending;
  if (!signature_->ok()) return Engine::Step::failed;
  signature = signature_->value();
  return Engine::Step::done;
}

void Authenticator::next_file_key() {
  state_ = State::choose;
  key_.reset();
  while (next_file_ < files_.size()) {
    auto key = load_private_key(files_[next_file_++], target_.passphrase_file, environment_);
    if (key) {
      key_ = std::move(*key);
      state_ = State::file_key;
      return;
    }
    refused(key.error().text);
  }
  if (files_.empty()) refused("privkey: no key file is named, and there is no home to look in");
}

void Authenticator::try_file_key() {
  const Engine::Step step = engine_.try_key(user_, *key_);
  waiting_ = step == Engine::Step::pending;
  if (waiting_) return;
  if (step == Engine::Step::done) {
    key_.reset();
    state_ = State::done;
    return;
  }
  const std::string name = base::printable(key_->file, 4096);
  const bool unreadable = !engine_.key_was_read();
  if (unreadable) {
    refused(name + (key_->info.encrypted ? ": the passphrase does not open it, or it is damaged"
                                         : ": libssh2 cannot read it: " + engine_.error()));
  } else {
    refused(name + " (" + (key_->info.type.empty() ? "key" : key_->info.type) +
            "): refused by the server");
  }
  next_file_key();
  if (engine_.failed()) state_ = State::failed;
}

std::string Authenticator::report() const {
  std::string out = "user " + base::printable(user_, 80) + ": ";
  out += tried_.empty() ? "nothing could be tried" : joined(tried_);
  if (!methods_.empty()) out += "; the server accepts " + methods_;
  return out;
}

}  // namespace tunnel::ssh

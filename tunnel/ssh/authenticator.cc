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
  std::string name = base::shortened(key_type(key.blob), 60) + " " + fingerprint(key.blob);
  if (!key.comment.empty()) name += " " + base::shortened(key.comment, 60);
  return name;
}

int rank(const AgentKey& key, const base::Buffer& named) {
  if (!named.empty() && key.blob == named) return -1;
  const std::string_view type = key_type(key.blob);
  return type == "ssh-ed25519" ? 0 : type.starts_with("ecdsa-") ? 1 : 2;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ", ") + part;
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
                             const Parts& parts, std::string user, std::function<void()> wake)
    : engine_(engine),
      clock_(clock),
      target_(target),
      parts_(parts),
      environment_(parts.environment),
      user_(std::move(user)),
      wake_(std::move(wake)),
      ways_(target.sshauth) {
  // Servers end the connection after a few keys, so that the one that is named comes first.
  if (ways_.empty() && target.keyfile.empty()) ways_ = {"agent", "privkey"};
  if (ways_.empty()) ways_ = {"privkey", "agent"};
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
      case State::reading:
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
  if (!takes_keys() || next_way_ == ways_.size()) {
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
    return refused(way, "ignored: a service cannot ask for it");
  }
  refused("sshauth=" + base::shortened(way, 60), "not known");
}

void Authenticator::refused(const std::string& what, const std::string& why) {
  tried_.push_back(what + " (" + why + ")");
}

void Authenticator::begin_agent() {
  if (environment_.agent_socket.empty()) return refused("agent", "none: SSH_AUTH_SOCK is not set");
  agent_ = std::make_unique<Agent>(clock_, parts_.connect_agent(environment_.agent_socket),
                                   kAgentTimeout);
  state_ = State::agent_list;
  agent_->list([this](auto keys) { take_agent_keys(std::move(keys)); });
}

void Authenticator::take_agent_keys(base::Result<std::vector<AgentKey>, std::string> keys) {
  state_ = State::choose;
  if (!keys) {
    shortage_ = shortage_ || agent_->shortage();
    refused("agent at " + environment_.agent_socket, base::shortened(keys.error()));
    return wake_();
  }
  agent_keys_ = std::move(*keys);
  if (agent_keys_.empty()) refused("agent", "it has no keys");
  if (target_.keyfile.empty()) return order_agent_keys({});
  const auto named = std::make_shared<base::Buffer>();
  read([named, file = target_.keyfile](
           io::Whereabouts& whereabouts) { *named = public_half(file, whereabouts); },
       [this, named] { order_agent_keys(*named); });
}

void Authenticator::order_agent_keys(const base::Buffer& named) {
  std::erase_if(agent_keys_, [this](const AgentKey& key) { return key.blob == seen_; });
  std::ranges::stable_sort(agent_keys_, {},
                           [&named](const AgentKey& key) { return rank(key, named); });
  next_agent_key();
  wake_();
}

void Authenticator::read(io::ErrandWork work, std::function<void()> done) {
  state_ = State::reading;
  auto reading = parts_.errand(std::move(work), [this, done = std::move(done)](int) {
    reading_.reset();
    state_ = State::choose;
    done();
  });
  if (state_ == State::reading) reading_ = std::move(reading);
}

void Authenticator::next_agent_key() {
  state_ = State::choose;
  while (next_agent_key_ < agent_keys_.size()) {
    const AgentKey& key = agent_keys_[next_agent_key_];
    if (next_agent_key_ == kMostAgentKeys) {
      return refused("agent", std::to_string(agent_keys_.size() - kMostAgentKeys) +
                                  " more keys not tried, since servers end the connection after "
                                  "a few");
    }
    const std::string unusable = unusable_key_type(key_type(key.blob));
    if (unusable.empty()) {
      state_ = State::agent_key;
      return;
    }
    refused("agent key " + name_of(key), "ignored: " + unusable);
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
  refused("agent key " + name_of(key),
          agent_refused ? base::shortened(signature_->error()) : refusal());
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
  if (files_.empty()) refused("key", "none: keyfile= names none, and there is no home to look in");
  if (next_file_ == files_.size()) return;
  using Loaded = base::Result<PrivateKey, KeyProblem>;
  const std::string& file = files_[next_file_++];
  const auto key =
      std::make_shared<Loaded>(base::Failure{KeyProblem{false, "no thread to read it in", true}});
  read(
      [key, file, passphrase_file = target_.passphrase_file,
       environment = environment_](io::Whereabouts& whereabouts) {
        *key = load_private_key(file, passphrase_file, environment, whereabouts);
      },
      [this, key, file] { file_read(file, std::move(*key)); });
}

void Authenticator::file_read(const std::string& file, base::Result<PrivateKey, KeyProblem> key) {
  if (key) {
    key_ = std::move(*key);
    state_ = State::file_key;
  } else {
    shortage_ = shortage_ || key.error().shortage;
    refused("key " + file, key.error().text);
    next_file_key();
  }
  wake_();
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
  std::string name = "key " + key_->file;
  if (!engine_.key_was_read()) {
    refused(name, unreadable_key(*key_, engine_.error()));
  } else {
    if (!key_->info.type.empty()) name += ", " + key_->info.type;
    seen_ = key_->info.public_key;
    refused(name, engine_.cut_off() ? refusal() : refusal() + refused_key(*key_, environment_));
  }
  next_file_key();
  if (engine_.failed()) state_ = State::failed;
}

bool Authenticator::takes_keys() const {
  return ("," + methods_ + ",").find(",publickey,") != std::string::npos;
}

std::string Authenticator::refusal() const {
  return engine_.cut_off() ? "not answered" : "refused by the server";
}

std::string Authenticator::report() const {
  std::string out = "tried: ";
  out += tried_.empty() ? "nothing" : joined(tried_);
  if (methods_.empty()) return out;
  return out + "; the server accepts " + methods_ + (takes_keys() ? "" : ", and no keys");
}

}  // namespace tunnel::ssh

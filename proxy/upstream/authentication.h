// How an upstream says who it is, from the daemon's list of authentications to its word that this
// will do: an engine without I/O. It hands back the calls to make and is told their answers. Our
// own side of SASL is worked out by Sasl::run(), which may take its time.
//
// What counts as an answer follows remote_protocol.x: a list of at most 20 numbers; a list of
// mechanisms; and then steps, each with a word that says whether the daemon is through, one that
// says whether there is no data at all, and the data, of which each byte takes a word.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "policy/error.h"
#include "proxy/upstream/sasl.h"
#include "tunnel/io/errands.h"

namespace conf {
struct TargetConfig;
}

namespace proxy {

struct AuthenticationSettings {
  std::string request;   // auth= of the URI; empty: whatever the daemon asks for
  std::string authfile;  // authfile= of the URI
  SaslSettings sasl;
};

// As the target's transport has it.
AuthenticationSettings authentication_settings(const conf::TargetConfig& target);

class Authentication {
 public:
  // More answers of SASL are not waited for. The longest exchange of any mechanism is a few steps.
  static constexpr int kMostSteps = 16;

  struct Next {
    enum class What : std::uint8_t {
      call,       // make this call, and say what is answered
      wait,       // what is next is said later; until then nothing from the daemon is to be taken
      done,       // the daemon knows us
      refused,    // one side does not want the other
      exhausted,  // this host had too little of something
      malformed,  // the daemon broke the rules
    };
    What what = What::done;
    std::int32_t procedure = 0;
    base::Buffer body;
    std::string text;  // of refused, exhausted and malformed: not escaped
  };

  // `sasl` outlives this. `later` is told what is next, once for each `wait`; there is none of
  // these where Sasl::run() does its work at once.
  Authentication(Sasl& sasl, AuthenticationSettings settings,
                 std::function<void(const Next& next)> later = {})
      : sasl_(sasl), settings_(std::move(settings)), later_(std::move(later)) {}
  Authentication(const Authentication&) = delete;
  Authentication& operator=(const Authentication&) = delete;
  // What is under way ends by itself, and is not heard of.
  ~Authentication() = default;

  // The first call.
  Next begin();
  // The answer to the call that was asked for last.
  Next on_reply(base::Bytes body);
  // The same as an error, when that call is one of SASL.
  Next on_error(const policy::RemoteError& said);
  [[nodiscard]] bool in_sasl() const;
  // What our own side works out; nullptr: nothing, it is the daemon's turn.
  [[nodiscard]] const tunnel::io::Errand* working() const { return errand_.get(); }
  // Gives it up.
  void stop() { errand_.reset(); }

  // Once it is done: what all further bytes go through in both directions, beginning right behind
  // the last answer; nullptr: they stay as they are.
  std::unique_ptr<SaslClient> take_layer() { return std::move(layer_); }

 private:
  struct Turn;

  Next call(std::int32_t procedure, base::Buffer body = {});
  Next on_list(base::Bytes body);
  Next on_mechanisms(base::Bytes body);
  Next start(const std::string& offered);
  Next on_step(base::Bytes body);
  Next step(std::optional<base::Buffer> input, bool complete);
  Next stepped(const SaslClient::Output& output, bool complete);
  Next aside(const std::string& key, tunnel::io::ErrandWork work, std::function<Next()> then);
  [[nodiscard]] std::string login_key() const;
  Next say(const SaslClient::Output& output, bool first);
  Next finish();
  Next refuse(const SaslFailure& failure);

  Sasl& sasl_;
  AuthenticationSettings settings_;
  std::function<void(const Next& next)> later_;
  tunnel::io::ErrandHandle errand_;
  bool at_once_ = false;                // within aside()
  std::optional<Next> next_;            // what came at once
  std::unique_ptr<SaslClient> client_;  // not while it is worked with
  std::unique_ptr<SaslClient> layer_;
  std::int32_t asked_ = 0;
  int steps_ = 0;
  bool client_done_ = false;
};

}  // namespace proxy

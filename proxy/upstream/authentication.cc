#include "proxy/upstream/authentication.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/fd.h"
#include "base/text.h"
#include "conf/values.h"
#include "policy/procedures.h"
#include "policy/xdr.h"

namespace proxy {

using policy::Remote;
using What = Authentication::Next::What;

namespace {

constexpr std::uint32_t kAuthNone = 0;
constexpr std::uint32_t kAuthSasl = 1;
constexpr std::uint32_t kAuthPolkit = 2;
constexpr std::uint32_t kMostTypes = 20;  // REMOTE_AUTH_TYPE_LIST_MAX
constexpr std::size_t kMostData = 65536;  // REMOTE_AUTH_SASL_DATA_MAX
constexpr std::size_t kLongestMechanisms = 4096;
constexpr std::string_view kSasl = "sasl";
constexpr std::string_view kSaslMechanism = "sasl.";

std::string type_name(std::uint32_t type) {
  if (type == kAuthNone) return "none";
  if (type == kAuthSasl) return "sasl";
  return type == kAuthPolkit ? "polkit" : "type " + std::to_string(type);
}

std::string type_names(const std::vector<std::uint32_t>& types) {
  std::string out;
  for (const std::uint32_t type : types) out += (out.empty() ? "" : ", ") + type_name(type);
  return out;
}

Authentication::Next malformed(std::string text) {
  return {What::malformed, 0, {}, std::move(text)};
}

Authentication::Next refused(std::string text) { return {What::refused, 0, {}, std::move(text)}; }

bool read_types(base::Bytes body, std::vector<std::uint32_t>& types) {
  policy::XdrReader reader(body);
  std::uint32_t count = 0;
  if (!reader.word(count) || count == 0 || count > kMostTypes) return false;
  types.resize(count);
  return std::all_of(types.begin(), types.end(), [&](auto& type) { return reader.word(type); }) &&
         reader.left() == 0;
}

// XDR's char is a word. Bytes from 0x80 on come with or without their sign, as the daemon's
// compiler has it.
bool read_chars(policy::XdrReader& reader, base::Buffer& data) {
  std::uint32_t count = 0;
  if (!reader.word(count) || count > kMostData || reader.left() != std::size_t{4} * count) {
    return false;
  }
  data.reserve(count);
  for (std::uint32_t word = 0; data.size() < count && reader.word(word);) {
    if (word > 0xff && word < 0xffffff80U) return false;
    data.push_back(static_cast<std::uint8_t>(word));
  }
  return data.size() == count;
}

void write_chars(policy::XdrWriter& writer, base::Bytes data) {
  writer.word(static_cast<std::uint32_t>(data.size()));
  for (const std::uint8_t byte : data) writer.word(byte);
}

struct StepReply {
  std::uint32_t complete = 0;
  std::uint32_t nil = 0;
  base::Buffer data;
};

bool read_step(base::Bytes body, StepReply& out) {
  policy::XdrReader reader(body);
  if (!reader.word(out.complete) || !reader.word(out.nil)) return false;
  return read_chars(reader, out.data) && (out.nil == 0 || out.data.empty());
}

}  // namespace

AuthenticationSettings authentication_settings(const conf::TargetConfig& target) {
  const tunnel::Target& tunnel = target.tunnel;
  AuthenticationSettings settings;
  settings.request = target.auth.request;
  settings.authfile = target.auth.authfile;
  settings.sasl.host = tunnel.host;
  if (settings.request.starts_with(kSaslMechanism)) {
    settings.sasl.mechanism = settings.request.substr(kSaslMechanism.size());
  }
  settings.sasl.plaintext = true;
  switch (tunnel.transport) {
    case tunnel::Transport::unix:
      break;
    case tunnel::Transport::tcp:
      settings.sasl.layer = true;
      settings.sasl.plaintext = false;
      break;
    case tunnel::Transport::ext:
      settings.sasl.layer = !tunnel.insecure;
      settings.sasl.plaintext = tunnel.insecure;
      break;
    case tunnel::Transport::tls:
      settings.sasl.plaintext = !tunnel.no_verify;
      settings.sasl.why_no_plaintext = "with no_verify=1 any daemon could ask for it";
      break;
    case tunnel::Transport::ssh:
      settings.sasl.plaintext =
          !tunnel.no_verify && tunnel.known_hosts_verify != tunnel::KnownHostsVerify::ignore;
      settings.sasl.why_no_plaintext = "any host key is accepted, so any host could ask for it";
      break;
  }
  return settings;
}

Authentication::Next Authentication::call(std::int32_t procedure, base::Buffer body) {
  asked_ = procedure;
  return {What::call, procedure, std::move(body), {}};
}

Authentication::Next Authentication::begin() { return call(number(Remote::AUTH_LIST)); }

Authentication::Next Authentication::on_reply(base::Bytes body) {
  CHECK(errand_ == nullptr);
  switch (static_cast<Remote>(asked_)) {
    case Remote::AUTH_LIST:
      return on_list(body);
    case Remote::AUTH_SASL_INIT:
      return on_mechanisms(body);
    case Remote::AUTH_SASL_START:
    case Remote::AUTH_SASL_STEP:
      return on_step(body);
    default:
      return {};
  }
}

Authentication::Next Authentication::on_list(base::Bytes body) {
  std::vector<std::uint32_t> types;
  if (!read_types(body, types)) {
    return malformed("the daemon sent a malformed list of authentications");
  }
  std::uint32_t type = types.front();
  if (!settings_.request.empty()) {
    type = settings_.request.starts_with(kSasl) ? kAuthSasl : kAuthPolkit;
    if (std::find(types.begin(), types.end(), type) == types.end()) {
      return refused("requested authentication type " + base::shortened(settings_.request) +
                     " rejected: the daemon asks for " + type_names(types));
    }
  }
  if (type == kAuthNone) return {};
  if (type == kAuthPolkit) return call(number(Remote::AUTH_POLKIT));
  if (type == kAuthSasl) return call(number(Remote::AUTH_SASL_INIT));
  return refused("the daemon asks for an authentication that is not supported (" + type_name(type) +
                 ")");
}

Authentication::Next Authentication::on_mechanisms(base::Bytes body) {
  policy::XdrReader reader(body);
  std::string_view offered;
  if (!reader.string(offered) || reader.left() != 0 || offered.size() > kLongestMechanisms) {
    return malformed("the daemon sent a malformed list of SASL mechanisms");
  }
  const auto made = std::make_shared<std::optional<SaslClientResult>>();
  // Modules and files are there for all targets or for none.
  return aside(
      settings_.authfile,
      [made, make = sasl_.maker(), settings = settings_](tunnel::io::Whereabouts& whereabouts) {
        made->emplace(make(settings.sasl, settings.authfile, whereabouts));
      },
      [this, made, names = std::string(offered)] {
        if (!**made) return refuse((*made)->error());
        client_ = std::move(**made).value();
        return start(names);
      });
}

// What is worked with in a thread, where it stays if nobody waits any more.
struct Authentication::Turn {
  std::unique_ptr<SaslClient> client;
  std::optional<base::Result<SaslClient::Output, SaslFailure>> result;
};

// One KDC or name server that is silent holds up those who wait for the same.
std::string Authentication::login_key() const {
  return settings_.sasl.host + '\n' + settings_.sasl.mechanism + '\n' + settings_.authfile;
}

Authentication::Next Authentication::start(const std::string& offered) {
  const auto turn = std::make_shared<Turn>(Turn{std::move(client_), {}});
  return aside(
      login_key(),
      [turn, offered](tunnel::io::Whereabouts& whereabouts) {
        turn->result.emplace(turn->client->start(offered, whereabouts));
      },
      [this, turn] {
        client_ = std::move(turn->client);
        if (!*turn->result) return refuse(turn->result->error());
        return say(turn->result->value(), true);
      });
}

Authentication::Next Authentication::step(std::optional<base::Buffer> input, bool complete) {
  const auto turn = std::make_shared<Turn>(Turn{std::move(client_), {}});
  return aside(
      login_key(),
      [turn, said = std::move(input)](tunnel::io::Whereabouts& whereabouts) {
        whereabouts.at("the SASL mechanism " + turn->client->mechanism());
        turn->result.emplace(
            turn->client->step(said ? std::optional<base::Bytes>(*said) : std::nullopt));
      },
      [this, turn, complete] {
        client_ = std::move(turn->client);
        if (!*turn->result) return refuse(turn->result->error());
        return stepped(turn->result->value(), complete);
      });
}

Authentication::Next Authentication::aside(const std::string& key, tunnel::io::ErrandWork work,
                                           std::function<Next()> then) {
  const bool before = std::exchange(at_once_, true);
  auto errand = sasl_.run()(key, std::move(work), [this, then = std::move(then)](int error) {
    errand_.reset();
    Next next =
        error == 0
            ? then()
            : Next{What::exhausted, 0, {}, "no thread for SASL: " + base::system_words(error)};
    if (at_once_) {
      next_ = std::move(next);
    } else if (next.what != What::wait) {
      later_(next);
    }
  });
  at_once_ = before;
  if (next_) return *std::exchange(next_, std::nullopt);
  errand_ = std::move(errand);
  return {What::wait, 0, {}, {}};
}

Authentication::Next Authentication::say(const SaslClient::Output& output, bool first) {
  client_done_ = output.done;
  const base::Bytes data = output.data.value_or(base::Bytes());
  if (data.size() > kMostData) return refused(client_->mechanism() + ": the answer is too long");
  base::Buffer body;
  policy::XdrWriter writer(body);
  if (first) writer.string(client_->mechanism());
  writer.word(output.data ? 0 : 1);
  write_chars(writer, data);
  return call(number(first ? Remote::AUTH_SASL_START : Remote::AUTH_SASL_STEP), std::move(body));
}

Authentication::Next Authentication::on_step(base::Bytes body) {
  StepReply reply;
  if (!read_step(body, reply)) return malformed("the daemon sent a malformed step of SASL");
  if (++steps_ > kMostSteps) {
    return malformed("the daemon wants more than " + std::to_string(kMostSteps) + " steps of SASL");
  }
  const bool complete = reply.complete != 0;
  if (client_done_) {
    if (!reply.data.empty() || !complete) {
      return malformed("the daemon goes on with SASL although " + client_->mechanism() +
                       " is through");
    }
    return finish();
  }
  if (complete && reply.nil != 0) {
    return refused("the daemon says that " + client_->mechanism() +
                   " has succeeded, but it has not proved who it is");
  }
  std::optional<base::Buffer> input;
  if (reply.nil == 0) input = std::move(reply.data);
  return step(std::move(input), complete);
}

Authentication::Next Authentication::stepped(const SaslClient::Output& output, bool complete) {
  if (!complete) return say(output, false);
  if (!output.done) {
    return refused("the daemon says that " + client_->mechanism() +
                   " has succeeded, but it has not proved who it is");
  }
  client_done_ = true;
  return finish();
}

Authentication::Next Authentication::finish() {
  const unsigned strength = client_->finish();
  if (settings_.sasl.layer && strength < kLeastStrength) {
    return refused(client_->mechanism() + " encrypts what follows with " +
                   std::to_string(strength) + " bits; it must be " +
                   std::to_string(kLeastStrength) + " at least");
  }
  if (strength > 0) layer_ = std::move(client_);
  client_.reset();
  return {};
}

Authentication::Next Authentication::refuse(const SaslFailure& failure) {
  using Kind = SaslFailure::Kind;
  std::string text = failure.text;
  if (failure.kind == Kind::shortage) return {What::exhausted, 0, {}, std::move(text)};
  if (failure.kind == Kind::no_mechanism && !settings_.sasl.mechanism.empty()) {
    text = "requested authentication type " + base::shortened(settings_.request) +
           " rejected: " + text;
  }
  if (failure.kind == Kind::local) text = "the SASL mechanism cannot be used here: " + text;
  if (failure.kind == Kind::daemon) text = "the daemon is not trusted: " + text;
  return refused(std::move(text));
}

bool Authentication::in_sasl() const {
  return asked_ >= number(Remote::AUTH_SASL_INIT) && asked_ <= number(Remote::AUTH_SASL_STEP);
}

Authentication::Next Authentication::on_error(const policy::RemoteError& said) {
  CHECK(in_sasl() && errand_ == nullptr);
  const std::string words = base::shortened(said.text);
  if (client_ == nullptr) {
    return refused("the daemon asks for SASL and cannot begin it: " + words +
                   "; its own log says more");
  }
  const std::string& place = client_->place();
  return refused("the daemon refuses " +
                 (place.empty() ? "us" : "the user or password of " + place) + " with " +
                 client_->mechanism() + ": " + words);
}

}  // namespace proxy

#include "proxy/upstream/sasl.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

#include <sasl/sasl.h>

#include "base/check.h"
#include "base/fd.h"
#include "base/text.h"

namespace proxy {
namespace {

using Kind = SaslFailure::Kind;

constexpr const char* kService = "libvirt";
constexpr unsigned kMostBits = 100000;
// Of a connection that is encrypted already.
constexpr sasl_ssf_t kOutsideStrength = 256;
constexpr std::size_t kMostOffered = 64;
// A daemon that takes so few bytes at a time would have us do all the work.
constexpr unsigned kLeastEncoded = 256;

// The type that the library has for all kinds of callbacks.
using Procedure = int (*)();

template <typename Function>
Procedure procedure(Function* function) {
  return reinterpret_cast<Procedure>(reinterpret_cast<void (*)()>(function));
}

// What the library has to say can name passwords, and goes to syslog unless somebody takes it.
int drop_log(void*, int, const char*) { return SASL_OK; }

void* make_mutex() { return new std::mutex; }
int lock_mutex(void* mutex) {
  static_cast<std::mutex*>(mutex)->lock();
  return SASL_OK;
}
int unlock_mutex(void* mutex) {
  static_cast<std::mutex*>(mutex)->unlock();
  return SASL_OK;
}
void free_mutex(void* mutex) { delete static_cast<std::mutex*>(mutex); }

std::vector<std::string> split(std::string_view names) {
  std::vector<std::string> out;
  constexpr std::string_view kSeparators = ", \t";
  while (out.size() < kMostOffered) {
    const std::size_t start = names.find_first_not_of(kSeparators);
    if (start == std::string_view::npos) break;
    names.remove_prefix(start);
    const std::size_t end = std::min(names.find_first_of(kSeparators), names.size());
    out.emplace_back(names.substr(0, end));
    names.remove_prefix(end);
  }
  return out;
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out.empty() ? "none" : base::shortened(out);
}

bool is_plaintext(std::string_view mechanism) {
  return mechanism == "PLAIN" || mechanism == "LOGIN";
}

// The others may ask for a password only after their start.
bool needs_no_password(std::string_view mechanism) {
  return mechanism.starts_with("GS") || mechanism == "EXTERNAL";
}

// The order in which mechanisms are tried; the library's own decides among the rest.
int rank(std::string_view mechanism) {
  if (mechanism == "SCRAM-SHA-256") return 0;
  if (mechanism == "GSSAPI") return 1;
  return is_plaintext(mechanism) ? 3 : 2;
}

// -PLUS binds to a channel below, of which nothing is known here.
bool is_out_of_question(std::string_view mechanism) {
  return mechanism == "ANONYMOUS" || mechanism.ends_with("-PLUS");
}

}  // namespace

// What the library asks for while a mechanism runs, and where it finds it.
struct SaslClient::Callbacks {
  explicit Callbacks(const conf::Credentials* found) : credentials(found) {
    if (credentials == nullptr || !credentials->password) return;
    // sasl_secret_t ends with the first byte of the password.
    const base::Bytes password = credentials->password->bytes();
    secret = base::Secret(sizeof(sasl_secret_t) + password.size());
    auto* out = reinterpret_cast<sasl_secret_t*>(secret.data());
    out->len = password.size();
    if (!password.empty()) std::memcpy(&out->data[0], password.data(), password.size());
  }

  static int simple(void* context, int id, const char** result, unsigned* length) {
    auto& self = *static_cast<Callbacks*>(context);
    const conf::Credentials* found = self.credentials;
    static constexpr const char* kNobodyElse = "";
    *result = nullptr;
    if (id == SASL_CB_USER) {
      *result = found != nullptr && found->username ? found->username->c_str() : kNobodyElse;
    } else if (found != nullptr && found->authname) {
      *result = found->authname->c_str();
      self.used = true;
    }
    if (*result == nullptr) return self.lacks("authname=");
    if (length != nullptr) *length = static_cast<unsigned>(std::strlen(*result));
    return SASL_OK;
  }

  static int password(sasl_conn_t*, void* context, int, sasl_secret_t** result) {
    auto& self = *static_cast<Callbacks*>(context);
    *result = nullptr;
    if (self.secret.empty()) return self.lacks("password=");
    *result = reinterpret_cast<sasl_secret_t*>(self.secret.data());
    return SASL_OK;
  }

  static int realm(void* context, int, const char** offered, const char** result) {
    const conf::Credentials* found = static_cast<Callbacks*>(context)->credentials;
    *result = nullptr;
    if (found != nullptr && found->realm) {
      *result = found->realm->c_str();
    } else if (offered != nullptr) {
      *result = *offered;
    }
    return *result == nullptr ? SASL_FAIL : SASL_OK;
  }

  int lacks(const char* what) {
    missing = what;
    return SASL_FAIL;
  }

  const conf::Credentials* credentials;
  base::Secret secret;
  const char* missing = nullptr;
  bool used = false;
  std::array<sasl_callback_t, 6> list{{
      {SASL_CB_USER, procedure(simple), this},
      {SASL_CB_AUTHNAME, procedure(simple), this},
      {SASL_CB_PASS, procedure(password), this},
      {SASL_CB_GETREALM, procedure(realm), this},
      {SASL_CB_LOG, procedure(drop_log), nullptr},
      {SASL_CB_LIST_END, nullptr, nullptr},
  }};
};

CredentialsResult read_auth_conf(const std::string& authfile, const std::string& host,
                                 tunnel::io::Whereabouts& whereabouts) {
  return conf::read_credentials(conf::process_environment(), authfile, host,
                                [&](const std::string& path) { whereabouts.at(path); });
}

// Held by whoever uses the library, in whatever thread.
class SaslLibrary : public std::enable_shared_from_this<SaslLibrary> {
 public:
  explicit SaslLibrary(Sasl::ReadCredentials read) : read_(std::move(read)) {}
  SaslLibrary(const SaslLibrary&) = delete;
  SaslLibrary& operator=(const SaslLibrary&) = delete;
  ~SaslLibrary() {
    if (loaded_) sasl_client_done();
  }

  SaslClientResult client(SaslSettings settings, const std::string& authfile,
                          tunnel::io::Whereabouts& whereabouts) {
    whereabouts.at("the modules of SASL");
    if (auto failure = load()) return base::Failure{std::move(*failure)};
    if (settings.host.empty()) settings.host = "localhost";
    CredentialsResult credentials = read_(authfile, settings.host, whereabouts);
    if (!credentials && credentials.error().shortage) {
      return base::Failure{SaslFailure{SaslFailure::Kind::shortage, credentials.error().text}};
    }
    return std::unique_ptr<SaslClient>(
        new SaslClient(shared_from_this(), std::move(settings), std::move(credentials)));
  }

 private:
  std::optional<SaslFailure> load() {
    const std::lock_guard lock(loading_);
    if (loaded_) return std::nullopt;
    // The library keeps the address.
    static const std::array<sasl_callback_t, 2> kQuiet{{
        {SASL_CB_LOG, procedure(drop_log), nullptr},
        {SASL_CB_LIST_END, nullptr, nullptr},
    }};
    sasl_set_mutex(make_mutex, lock_mutex, unlock_mutex, free_mutex);
    errno = 0;
    const bool begun = sasl_client_init(kQuiet.data()) == SASL_OK;
    const int error = errno;
    loaded_ = begun && !base::is_shortage(error);
    if (loaded_) return std::nullopt;
    // It leaves out what it cannot open, and would never look for it again.
    if (begun) sasl_client_done();
    if (!base::is_shortage(error)) {
      return SaslFailure{SaslFailure::Kind::local, "its library does not begin"};
    }
    return SaslFailure{SaslFailure::Kind::shortage,
                       "the modules of SASL: " + base::system_words(error)};
  }

  const Sasl::ReadCredentials read_;
  std::mutex loading_;
  bool loaded_ = false;
};

SaslClient::SaslClient(std::shared_ptr<SaslLibrary> library, SaslSettings settings,
                       CredentialsResult credentials)
    : library_(std::move(library)),
      settings_(std::move(settings)),
      credentials_(std::move(credentials)) {}

SaslClient::~SaslClient() {
  if (connection_ != nullptr) sasl_dispose(&connection_);
}

// Each attempt of a mechanism has a connection of its own, since a failed one leaves its traces.
bool SaslClient::connect() {
  if (connection_ != nullptr) sasl_dispose(&connection_);
  callbacks_ = std::make_unique<Callbacks>(credentials_ ? &*credentials_ : nullptr);
  if (sasl_client_new(kService, settings_.host.c_str(), nullptr, nullptr, callbacks_->list.data(),
                      SASL_SUCCESS_DATA, &connection_) != SASL_OK) {
    return false;
  }
  sasl_security_properties_t properties{};
  properties.min_ssf = settings_.layer ? kLeastStrength : 0;
  properties.max_ssf = settings_.layer ? kMostBits : 0;
  properties.maxbufsize = settings_.layer ? kMostDecoded : 0;
  properties.security_flags = SASL_SEC_NOANONYMOUS;
  if (!settings_.plaintext) properties.security_flags |= SASL_SEC_NOPLAINTEXT;
  const sasl_ssf_t outside = settings_.layer ? 0 : kOutsideStrength;
  return sasl_setprop(connection_, SASL_SSF_EXTERNAL, &outside) == SASL_OK &&
         sasl_setprop(connection_, SASL_SEC_PROPS, &properties) == SASL_OK;
}

std::vector<std::string> SaslClient::usable() const {
  const char* names = nullptr;
  if (sasl_listmech(connection_, nullptr, "", " ", "", &names, nullptr, nullptr) != SASL_OK ||
      names == nullptr) {
    return {};
  }
  std::vector<std::string> out = split(names);
  std::erase_if(out, is_out_of_question);
  return out;
}

SaslFailure SaslClient::no_mechanism(std::string_view offered) const {
  const std::vector<std::string> theirs = split(offered);
  const std::vector<std::string> ours = usable();
  std::string text = "the daemon offers the SASL mechanisms " + joined(theirs);
  if (!settings_.mechanism.empty() &&
      std::find(theirs.begin(), theirs.end(), settings_.mechanism) == theirs.end()) {
    return {Kind::no_mechanism, text};
  }
  const bool plain = std::any_of(theirs.begin(), theirs.end(), is_plaintext);
  text += ", and those that can be used here are " + joined(ours);
  if (settings_.layer) {
    text +=
        "; nothing protects this connection, so it must be one that encrypts what follows, such "
        "as GSSAPI or DIGEST-MD5";
  } else if (plain && !settings_.plaintext) {
    text += std::string("; PLAIN would show the password, and ") + settings_.why_no_plaintext;
  } else {
    text += "; install the package with the module of one that the daemon offers";
  }
  return {Kind::no_mechanism, text};
}

base::Result<SaslClient::Output, SaslFailure> SaslClient::start(
    std::string_view offered, tunnel::io::Whereabouts& whereabouts) {
  CHECK(mechanism_.empty());
  whereabouts.at("the look-up of this host's own name");
  errno = 0;
  if (!connect()) return base::Failure{failure(SASL_FAIL)};
  const std::vector<std::string> theirs = split(offered);
  std::vector<std::string> candidates = usable();
  std::erase_if(candidates, [&](const std::string& name) {
    const bool wanted = settings_.mechanism.empty() || name == settings_.mechanism;
    return !wanted || std::find(theirs.begin(), theirs.end(), name) == theirs.end();
  });
  if (candidates.empty()) return base::Failure{no_mechanism(offered)};
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const std::string& a, const std::string& b) { return rank(a) < rank(b); });
  std::optional<SaslFailure> first;
  for (const std::string& name : candidates) {
    if (first && first->kind == Kind::no_credentials && !needs_no_password(name)) continue;
    whereabouts.at("the SASL mechanism " + name);
    auto started = start_with(name);
    if (started || started.error().kind == Kind::shortage) return started;
    if (!first || first->kind != Kind::no_credentials) first = started.error();
  }
  return base::Failure{std::move(*first)};
}

base::Result<SaslClient::Output, SaslFailure> SaslClient::start_with(const std::string& mechanism) {
  mechanism_ = mechanism;
  errno = 0;
  if (!connect()) return base::Failure{failure(SASL_FAIL)};
  const char* data = nullptr;
  const char* chosen = nullptr;
  unsigned size = 0;
  const int code =
      sasl_client_start(connection_, mechanism.c_str(), nullptr, &data, &size, &chosen);
  auto result = outcome(code, data, size);
  if (!result && result.error().kind == Kind::daemon) {
    SaslFailure failure = result.error();
    failure.kind = Kind::local;
    return base::Failure{std::move(failure)};
  }
  return result;
}

base::Result<SaslClient::Output, SaslFailure> SaslClient::step(std::optional<base::Bytes> input) {
  CHECK(connection_ != nullptr && !done_);
  errno = 0;
  const char* data = nullptr;
  unsigned size = 0;
  // Null and empty differ, and an empty span may have no address.
  const char* from = input ? "" : nullptr;
  if (input && !input->empty()) from = base::text_of(*input).data();
  const auto length = static_cast<unsigned>(input ? input->size() : 0);
  const int code = sasl_client_step(connection_, from, length, nullptr, &data, &size);
  return outcome(code, data, size);
}

base::Result<SaslClient::Output, SaslFailure> SaslClient::outcome(int code, const char* data,
                                                                  unsigned size) {
  if (code != SASL_OK && code != SASL_CONTINUE) return base::Failure{failure(code)};
  done_ = code == SASL_OK;
  Output output;
  output.done = done_;
  if (data != nullptr) output.data = base::bytes_of({data, size});
  if (credentials_ && callbacks_->used) place_ = credentials_->place;
  return output;
}

SaslFailure SaslClient::failure(int code) const {
  const int error = code == SASL_NOMEM ? ENOMEM : errno;
  if (base::is_shortage(error)) {
    return {Kind::shortage, "SASL with " + mechanism_ + ": " + base::system_words(error)};
  }
  const bool asked = callbacks_ != nullptr && callbacks_->missing != nullptr;
  if (asked || code == SASL_INTERACT) {
    std::string text = "no credentials for the SASL mechanism " + mechanism_ + ": ";
    if (!credentials_) return {Kind::no_credentials, text + credentials_.error().text};
    const std::string what = asked ? callbacks_->missing : "what it asks for";
    return {Kind::no_credentials, text + credentials_->place + " has no " + what};
  }
  const char* words = connection_ != nullptr ? sasl_errdetail(connection_) : nullptr;
  if (words == nullptr) words = sasl_errstring(code, nullptr, nullptr);
  return {Kind::daemon, mechanism_ + ": " + base::shortened(words)};
}

unsigned SaslClient::finish() {
  CHECK(done_);
  callbacks_->secret.wipe();
  if (credentials_) credentials_->password.reset();
  const void* strength = nullptr;
  const void* most = nullptr;
  if (sasl_getprop(connection_, SASL_SSF, &strength) != SASL_OK || strength == nullptr) return 0;
  if (sasl_getprop(connection_, SASL_MAXOUTBUF, &most) != SASL_OK || most == nullptr) return 0;
  const unsigned piece = *static_cast<const unsigned*>(most);
  most_encoded_ = piece < kLeastEncoded ? 0 : piece;
  return *static_cast<const sasl_ssf_t*>(strength);
}

bool SaslClient::encode(base::Bytes plain, base::Buffer& to) {
  if (most_encoded_ == 0) return false;
  while (!plain.empty()) {
    const base::Bytes piece = plain.first(std::min<std::size_t>(plain.size(), most_encoded_));
    plain = plain.subspan(piece.size());
    const char* out = nullptr;
    unsigned size = 0;
    const std::string_view text = base::text_of(piece);
    if (sasl_encode(connection_, text.data(), static_cast<unsigned>(text.size()), &out, &size) !=
        SASL_OK) {
      return false;
    }
    base::append(to, base::bytes_of({out, size}));
  }
  return true;
}

base::Result<base::Bytes, std::string> SaslClient::decode(base::Bytes protected_bytes) {
  CHECK(protected_bytes.size() <= kMostDecoded);
  const char* out = nullptr;
  unsigned size = 0;
  const std::string_view text = base::text_of(protected_bytes);
  const int code =
      sasl_decode(connection_, text.data(), static_cast<unsigned>(text.size()), &out, &size);
  if (code == SASL_OK) return base::bytes_of({out, out == nullptr ? 0 : size});
  return base::Failure{failure(code).text};
}

Sasl::Sasl(ReadCredentials read, Run run)
    : library_(std::make_shared<SaslLibrary>(std::move(read))), run_(std::move(run)) {
  if (run_) return;
  run_ = [](const std::string&, const tunnel::io::ErrandWork& work,
            std::function<void(int error)> done) {
    return tunnel::io::run_errand_at_once(work, std::move(done));
  };
}

Sasl::Run in_threads(tunnel::io::Errands& errands) {
  return [&errands](const std::string& key, tunnel::io::ErrandWork work,
                    std::function<void(int error)> done) {
    return errands.run(key, std::move(work), std::move(done));
  };
}

Sasl::Make Sasl::maker() const {
  return [library = library_](SaslSettings settings, const std::string& authfile,
                              tunnel::io::Whereabouts& whereabouts) {
    return library->client(std::move(settings), authfile, whereabouts);
  };
}

}  // namespace proxy

// The client's side of SASL as an engine without I/O, over cyrus-sasl: it is told what the daemon
// says and says what to answer, and then protects the bytes of the connection if that was
// negotiated.
//
// What is asked of the mechanisms depends on what protects the connection already. Where nothing
// does, that is over tcp, only a mechanism that encrypts what follows with 56 bits at least is
// taken, as libvirt's daemons ask for. Where TLS, ssh or the kernel does, any mechanism is, and
// what follows is left alone; one that shows the daemon the password only if the daemon has proved
// who it is. Anonymous mechanisms are never taken: a daemon that wants SASL wants to know who
// comes.
//
// The library reads files, loads modules, and may ask name servers and KDCs: making a client,
// start() and step() can take for ever. They may be called in any thread, of one client in one at a
// time. What comes after finish() waits for nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/shortage.h"
#include "conf/auth_conf.h"
#include "tunnel/io/errands.h"

struct sasl_conn;

namespace proxy {

// Bits of encryption below which a connection counts as open; tcp_min_ssf of libvirtd.conf.
inline constexpr unsigned kLeastStrength = 56;

struct SaslSettings {
  std::string host;                   // whose daemon it is; empty: this host
  std::string mechanism;              // only this one; empty: the best
  bool layer = false;                 // nothing protects the connection yet
  bool plaintext = false;             // the daemon may see the password
  const char* why_no_plaintext = "";  // in words, when it may not
};

// The daemon's side of a failure is the caller's to tell; this is ours.
struct SaslFailure {
  enum class Kind : std::uint8_t {
    no_mechanism,    // the daemon offers none that may be used here
    no_credentials,  // a mechanism asked for what auth.conf does not have
    local,           // the library could not begin
    shortage,        // this host had no descriptors or no memory for it
    daemon,          // what the daemon sent is wrong, or does not prove that it knows the password
  };
  Kind kind = Kind::local;
  std::string text;  // not escaped
};

// Why there are no credentials, or the credentials.
using CredentialsResult = base::Result<conf::Credentials, base::Problem>;

// From the files where libvirt looks, as conf/auth_conf.h has them for this process.
CredentialsResult read_auth_conf(const std::string& authfile, const std::string& host,
                                 tunnel::io::Whereabouts& whereabouts);

class SaslLibrary;

class SaslClient {
 public:
  // `data` may be null, which SASL tells from empty. It lives until the next call.
  struct Output {
    std::optional<base::Bytes> data;
    bool done = false;  // the mechanism is through on this side
  };

  SaslClient(const SaslClient&) = delete;
  SaslClient& operator=(const SaslClient&) = delete;
  ~SaslClient();

  // Chooses among the mechanisms that the daemon offers (names with commas or blanks between them),
  // and begins. Once. `whereabouts` hears of each mechanism that is tried.
  base::Result<Output, SaslFailure> start(std::string_view offered,
                                          tunnel::io::Whereabouts& whereabouts);
  // Only while the mechanism is not through.
  base::Result<Output, SaslFailure> step(std::optional<base::Bytes> input);

  [[nodiscard]] const std::string& mechanism() const { return mechanism_; }
  // Section and file of the credentials that were used; empty: none were.
  [[nodiscard]] const std::string& place() const { return place_; }

  // Once the mechanism is through on both sides: bits of encryption of what follows. The password
  // is forgotten.
  unsigned finish();

  // With finish() above 0. `encode` appends to `to`. `decode` takes any piece of what came; its
  // result lives until the next decode. They fail for good.
  bool encode(base::Bytes plain, base::Buffer& to);
  base::Result<base::Bytes, std::string> decode(base::Bytes protected_bytes);

  // More than this must not be given to one decode().
  static constexpr std::size_t kMostDecoded = 65536;

 private:
  friend class SaslLibrary;
  struct Callbacks;

  SaslClient(std::shared_ptr<SaslLibrary> library, SaslSettings settings,
             CredentialsResult credentials);
  bool connect();
  base::Result<Output, SaslFailure> start_with(const std::string& mechanism);
  base::Result<Output, SaslFailure> outcome(int code, const char* data, unsigned size);
  [[nodiscard]] SaslFailure failure(int code) const;
  [[nodiscard]] SaslFailure no_mechanism(std::string_view offered) const;
  [[nodiscard]] std::vector<std::string> usable() const;

  std::shared_ptr<SaslLibrary> library_;
  SaslSettings settings_;
  CredentialsResult credentials_;
  std::unique_ptr<Callbacks> callbacks_;
  sasl_conn* connection_ = nullptr;
  std::string mechanism_;
  std::string place_;
  unsigned most_encoded_ = 0;
  bool done_ = false;
};

using SaslClientResult = base::Result<std::unique_ptr<SaslClient>, SaslFailure>;

// What makes clients. cyrus-sasl has one state for the whole process: it is there from the first
// client on, because it loads a shared object for each mechanism, and goes with the last Sasl and
// the last of its clients.
class Sasl {
 public:
  // Called for each client, so that a file that has changed is read again, and in any thread.
  // `host` is that of the settings.
  using ReadCredentials = std::function<CredentialsResult(
      const std::string& authfile, const std::string& host, tunnel::io::Whereabouts& whereabouts)>;
  // Makes a client; from any thread, and also when the Sasl is gone.
  using Make = std::function<SaslClientResult(SaslSettings settings, const std::string& authfile,
                                              tunnel::io::Whereabouts& whereabouts)>;
  // Where the work of logins is done, as tunnel::io::Errands has it.
  using Run = std::function<tunnel::io::ErrandHandle(
      const std::string& key, tunnel::io::ErrandWork work, std::function<void(int error)> done)>;

  // Without `run`, the work is done at once: for tests.
  explicit Sasl(ReadCredentials read, Run run = {});
  Sasl(const Sasl&) = delete;
  Sasl& operator=(const Sasl&) = delete;
  ~Sasl() = default;

  [[nodiscard]] Make maker() const;
  [[nodiscard]] const Run& run() const { return run_; }

 private:
  std::shared_ptr<SaslLibrary> library_;
  Run run_;
};

// `errands` outlives what it returns.
Sasl::Run in_threads(tunnel::io::Errands& errands);

}  // namespace proxy

#include "tunnel/ssh/failure_text.h"

#include "base/text.h"
#include "tunnel/ssh/digest.h"

namespace tunnel::ssh {
namespace {

// What libssh2 1.10 takes of a server's version, with the end of the line.
constexpr std::size_t kLongestVersion = 256;

// What libssh2 1.11 has that 1.10 has not: signatures of RSA keys by SHA-2, and room for versions.
bool newer() { return libssh2_version(0x010b00) != nullptr; }

std::string library() { return std::string("libssh2 ") + libssh2_version(0); }

std::string type_and_fingerprint(base::Bytes key) {
  return base::shortened(key_type(key), 80) + " " + fingerprint(key);
}

std::string name_and_port(const Target& target) {
  const std::string host = base::shortened(target.host, 255);
  return target.port == 22 ? host : "[" + host + "]:" + std::to_string(target.port);
}

std::string key_file_of(std::string_view type) {
  const std::string_view name = type.starts_with("ecdsa-") ? "ecdsa"
                                : type == "ssh-rsa"        ? "rsa"
                                                           : "ed25519";
  return "/etc/ssh/ssh_host_" + std::string(name) + "_key.pub";
}

// The line of a shell that records the key once it has been compared.
std::string record_command(const Target& target, const HostKeyFiles& files) {
  const std::string file = files.record.empty() ? files.files.front() : files.record;
  return (files.to_make.empty() ? "" : "mkdir -p " + files.to_make + " && ") + "ssh-keyscan -p " +
         std::to_string(target.port) + " " + target.host + " >> " + file;
}

std::string how_to_compare(base::Bytes key) {
  return "compare it with what ssh-keygen -lf " + key_file_of(key_type(key)) +
         " prints on that host; if it is the same: ";
}

std::string unknown_text(const Target& target, const HostKeyFiles& files, const KnownHosts& known,
                         base::Bytes key) {
  std::string text = "the host key of " + name_and_port(target) +
                     " is not known: " + type_and_fingerprint(key) + "; ";
  if (!known.authority().empty()) {
    text += known.authority() + " names a certificate authority for this host, and " + library() +
            " cannot check host certificates; ";
  }
  return text + how_to_compare(key) + record_command(target, files);
}

std::string incomparable_text(const Target& target, const HostKeyFiles& files,
                              const HostKeyAnswer& answer, base::Bytes key) {
  return "the recorded key of " + name_and_port(target) + " is of a type (" +
         base::shortened(answer.stored_type, 80) + ", " + answer.place +
         ") that cannot be compared; the server shows " + type_and_fingerprint(key) + "; " +
         how_to_compare(key) + record_command(target, files);
}

std::string changed_text(const Target& target, const HostKeyAnswer& answer, base::Bytes key) {
  std::string text = "the host key of " + name_and_port(target) +
                     " has changed, or somebody sits in between: the server shows " +
                     type_and_fingerprint(key) + ", and " + answer.place + " has " +
                     base::shortened(answer.stored_type, 80) + " " + answer.stored_fingerprint;
  if (answer.stored_type == "ssh-rsa" && key_type(key) != "ssh-rsa" && !newer()) {
    return text + ". " + library() + " cannot check RSA host keys of today's servers: if the " +
           "shown key is right, add it";
  }
  return text + ". If the change is right, replace that line";
}

std::string long_version(const Greeting& greeting) {
  return "the server's version line has " + std::to_string(greeting.version_size()) + " bytes (" +
         base::shortened(greeting.version(), 100) + "), and " + library() + " takes " +
         std::to_string(kLongestVersion) +
         ": shorten VersionAddendum in the server's sshd_config, or use command=ssh";
}

std::string no_algorithm(const std::vector<Mismatch>& missing, const std::string& server) {
  std::string text = "no algorithm in common with the server" + server + ":";
  std::string remedy;
  for (const Mismatch& one : missing) {
    text += (&one == &missing.front() ? " " : "; ") + std::string(one.kind) + ": the server has " +
            (one.server.empty() ? "none" : base::shortened(one.server, 400)) + ", libssh2 here " +
            (one.ours.empty() ? "none" : base::shortened(one.ours, 400));
    if (!remedy.empty()) remedy += ", ";
    const std::string ours = one.ours.substr(0, one.ours.find(','));
    if (one.kind == "host key") {
      remedy += "give the server an Ed25519 host key (ssh-keygen -A)";
    } else if (!ours.empty()) {
      remedy += "add " + ours + " to " + std::string(one.key) + " in the server's sshd_config";
    }
  }
  return text + ". To connect, " + remedy + (remedy.empty() ? "" : ", or ") + "use command=ssh";
}

}  // namespace

std::string handshake_failure(const Engine& engine) {
  const Greeting& greeting = engine.greeting();
  if (greeting.version().empty()) {
    if (greeting.notice().empty()) return engine.error() + " before it said its version";
    return "the server is no ssh server, or wants no more connections; it said: " +
           base::shortened(greeting.notice(), 200);
  }
  if (greeting.version_size() > kLongestVersion && !newer()) return long_version(greeting);
  const std::string server = " (" + base::shortened(greeting.version(), 100) + ")";
  if (greeting.algorithms()) {
    const auto missing = nothing_in_common(*greeting.algorithms(), engine.offered());
    if (!missing.empty()) return no_algorithm(missing, server);
  }
  return engine.error() + server;
}

std::string host_key_failure(const Target& target, const HostKeyFiles& files,
                             const KnownHosts& known, const HostKeyAnswer& answer,
                             base::Bytes key) {
  switch (answer.kind) {
    case HostKeyAnswer::Kind::unknown:
      return unknown_text(target, files, known, key);
    case HostKeyAnswer::Kind::incomparable:
      return incomparable_text(target, files, answer, key);
    case HostKeyAnswer::Kind::changed:
      return changed_text(target, answer, key);
    case HostKeyAnswer::Kind::revoked:
      return "the host key of " + name_and_port(target) + " is revoked by " + answer.place + ": " +
             type_and_fingerprint(key) + "; do not trust this host";
    case HostKeyAnswer::Kind::known:
      break;
  }
  return {};
}

}  // namespace tunnel::ssh

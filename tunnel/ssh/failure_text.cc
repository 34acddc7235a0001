#include "tunnel/ssh/failure_text.h"

#include "base/text.h"
#include "tunnel/ssh/digest.h"

namespace tunnel::ssh {
namespace {

bool checks_rsa() { return libssh2_version(0x010b00) != nullptr; }

std::string library() { return std::string("libssh2 ") + libssh2_version(0); }

std::string type_and_fingerprint(base::Bytes key) {
  return base::printable(key_type(key), 80) + " " + fingerprint(key);
}

std::string name_and_port(const Target& target) {
  const std::string host = base::printable(target.host, 255);
  return target.port == 22 ? host : "[" + host + "]:" + std::to_string(target.port);
}

std::string key_file_of(std::string_view type) {
  const std::string_view name = type.starts_with("ecdsa-") ? "ecdsa"
                                : type == "ssh-rsa"        ? "rsa"
                                                           : "ed25519";
  return "/etc/ssh/ssh_host_" + std::string(name) + "_key.pub";
}

std::string unknown_text(const Target& target, const HostKeyFiles& files, const KnownHosts& known,
                         base::Bytes key) {
  const std::string file = files.record.empty() ? files.files.front() : files.record;
  std::string text =
      "the host key of " + name_and_port(target) + " is not known: " + type_and_fingerprint(key) +
      ". Compare it with what ssh-keygen -lf " + key_file_of(key_type(key)) +
      " prints on that host; if it is the same, let " + "ssh-keyscan -p " +
      std::to_string(target.port) + " " + base::printable(target.host, 255) + " add it to " +
      base::printable(file, 4096) + ", or set known_hosts_verify=auto";
  if (!known.authority().empty()) {
    text += ". " + known.authority() + " names a certificate authority for this host; " +
            library() + " cannot check host certificates";
  }
  return text;
}

std::string changed_text(const Target& target, const HostKeyAnswer& answer, base::Bytes key) {
  std::string text = "the host key of " + name_and_port(target) +
                     " has changed, or somebody sits in between: the server shows " +
                     type_and_fingerprint(key) + ", and " + answer.place + " has " +
                     base::printable(answer.stored_type, 80) + " " + answer.stored_fingerprint;
  if (answer.stored_type == "ssh-rsa" && key_type(key) != "ssh-rsa" && !checks_rsa()) {
    return text + ". " + library() + " cannot check RSA host keys of today's servers: if the " +
           "shown key is right, add it";
  }
  return text + ". If the change is right, replace that line";
}

}  // namespace

std::string handshake_failure(const Engine& engine) {
  const Greeting& greeting = engine.greeting();
  if (greeting.version().empty()) {
    if (greeting.notice().empty()) return engine.error() + " before it said its version";
    return "the server is no ssh server, or wants no more connections; it said: " +
           base::printable(greeting.notice(), 200);
  }
  const std::string server = " (" + base::printable(greeting.version(), 100) + ")";
  if (greeting.algorithms()) {
    const std::string missing = nothing_in_common(*greeting.algorithms(), engine.offered());
    if (!missing.empty()) {
      std::string text =
          "no algorithm in common with the server" + server + ": " + base::printable(missing, 1500);
      if (missing.find("host key") != std::string::npos && !checks_rsa()) {
        text += ". " + library() + " knows RSA host keys only with SHA-1: give the server an " +
                "Ed25519 host key (ssh-keygen -A)";
      }
      return text;
    }
  }
  return engine.error() + server;
}

std::string host_key_failure(const Target& target, const HostKeyFiles& files,
                             const KnownHosts& known, const HostKeyAnswer& answer,
                             base::Bytes key) {
  switch (answer.kind) {
    case HostKeyAnswer::Kind::unknown:
      return unknown_text(target, files, known, key);
    case HostKeyAnswer::Kind::changed:
      return changed_text(target, answer, key);
    case HostKeyAnswer::Kind::revoked:
      return "the host key of " + name_and_port(target) + " is revoked by " + answer.place + ": " +
             type_and_fingerprint(key) + ". Whoever has it is not to be trusted";
    case HostKeyAnswer::Kind::known:
      break;
  }
  return {};
}

}  // namespace tunnel::ssh

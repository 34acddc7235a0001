#include "tunnel/ssh/keys.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include <libssh2.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/file.h"
#include "base/shortage.h"
#include "base/text.h"
#include "tunnel/armour.h"
#include "tunnel/ssh/wire.h"

namespace tunnel::ssh {
namespace {

constexpr std::size_t kLargestKeyFile = std::size_t{64} * 1024;
constexpr std::size_t kLongestPassphrase = 1024;
constexpr std::string_view kOpenSshMagic("openssh-key-v1\0", 15);

base::Result<KeyInfo, std::string> inspect_openssh(base::Bytes data) {
  WireReader reader(data);
  if (base::text_of(reader.raw(kOpenSshMagic.size())) != kOpenSshMagic) {
    return base::Failure{std::string("is damaged: it does not begin as an OpenSSH key does")};
  }
  const std::string_view cipher = reader.text();
  reader.string();
  reader.string();
  const std::uint32_t count = reader.number();
  const base::Bytes public_key = reader.string();
  WireReader key(public_key);
  const std::string_view type = key.text();
  if (!reader.ok() || !key.ok() || count != 1) {
    return base::Failure{std::string("is damaged, or holds more than one key")};
  }
  return KeyInfo{std::string(type), cipher != "none",
                 base::Buffer(public_key.begin(), public_key.end()), std::string(cipher)};
}

// The algorithm of a PKCS #8 key, by its object identifier.
std::string pkcs8_type(base::Bytes data) {
  struct Identifier {
    std::string_view bytes;
    std::string_view type;
  };
  static constexpr std::array<Identifier, 6> kKnown{{
      {"\x2b\x65\x70", "ssh-ed25519"},
      {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", "ssh-rsa"},
      {"\x2a\x86\x48\xce\x38\x04\x01", "ssh-dss"},
      {"\x2a\x86\x48\xce\x3d\x03\x01\x07", "ecdsa-sha2-nistp256"},
      {"\x2b\x81\x04\x00\x22", "ecdsa-sha2-nistp384"},
      {"\x2b\x81\x04\x00\x23", "ecdsa-sha2-nistp521"},
  }};
  const std::string_view head = base::text_of(data.first(std::min<std::size_t>(data.size(), 40)));
  for (const Identifier& known : kKnown) {
    if (head.find(known.bytes) != std::string_view::npos) return std::string(known.type);
  }
  return {};
}

base::Result<KeyInfo, std::string> inspect_block(const Armour& armour) {
  const bool marked_encrypted = armour.body.find("ENCRYPTED") != std::string_view::npos;
  if (armour.label == "RSA PRIVATE KEY") return KeyInfo{"ssh-rsa", marked_encrypted};
  if (armour.label == "DSA PRIVATE KEY") return KeyInfo{"ssh-dss", marked_encrypted};
  if (armour.label == "EC PRIVATE KEY") return KeyInfo{"ecdsa", marked_encrypted};
  if (armour.label == "ENCRYPTED PRIVATE KEY") return KeyInfo{"", true};
  const bool openssh = armour.label == "OPENSSH PRIVATE KEY";
  if (!openssh && armour.label != "PRIVATE KEY") {
    return base::Failure{"is no private key but a " + base::shortened(armour.label, 60)};
  }
  const auto data = base::decode_secret(armour.body);
  if (!data) return base::Failure{std::string("is damaged: it is no base64")};
  if (openssh) return inspect_openssh(data->bytes());
  return KeyInfo{pkcs8_type(data->bytes()), false};
}

base::Result<base::Secret, base::Problem> load_passphrase(const std::string& name,
                                                          const SshEnvironment& environment,
                                                          io::Whereabouts& whereabouts) {
  if (!name.starts_with('/') && environment.credentials.empty()) {
    return base::Failure{base::Problem{"the passphrase file " + base::shortened(name) +
                                       " is relative, and there is no $CREDENTIALS_DIRECTORY"}};
  }
  const std::string file = name.starts_with('/') ? name : environment.credentials + "/" + name;
  whereabouts.at(file);
  auto text = base::read_file(file, kLongestPassphrase);
  if (!text) return base::Failure{text.error().problem()};
  if (auto why = base::exposed(*text, geteuid())) {
    return base::Failure{base::Problem{file + ": " + *why}};
  }
  const std::string_view all = base::text_of(text->text.bytes());
  text->text.shrink(std::min(all.find_first_of(std::string_view("\r\n\0", 3)), all.size()));
  return std::move(text->text);
}

}  // namespace

base::Result<KeyInfo, std::string> inspect_private_key(base::Bytes text) {
  const auto armour = find_key_armour(base::text_of(text));
  if (!armour) return base::Failure{std::string("is no private key in OpenSSH's format or PEM")};
  auto info = inspect_block(*armour);
  if (info) info->begins = armour->begins;
  return info;
}

std::string unusable_key_type(std::string_view type) {
  if (type == "ssh-dss") return "DSA keys are no longer accepted by servers; use an Ed25519 key";
  if (type.starts_with("sk-")) {
    return "keys on a hardware token need somebody to touch it; use another key, or command= to "
           "run ssh itself";
  }
  if (type.find("-cert-v01@") != std::string_view::npos) return "certificates are not supported";
  if (type == "ssh-rsa" && libssh2_version(0x010b00) == nullptr) {
    return std::string("libssh2 ") + libssh2_version(0) +
           " signs with RSA keys only by SHA-1, which servers refuse; use an Ed25519 key "
           "(ssh-keygen -t ed25519)";
  }
  return {};
}

base::Result<PrivateKey, KeyProblem> load_private_key(const std::string& file,
                                                      const std::string& passphrase_file,
                                                      const SshEnvironment& environment,
                                                      io::Whereabouts& whereabouts) {
  const auto refuse = [](std::string why) {
    return base::Failure{KeyProblem{false, std::move(why), false}};
  };
  whereabouts.at(file);
  auto text = base::read_file(file, kLargestKeyFile);
  if (!text) {
    const base::FileError& error = text.error();
    return base::Failure{KeyProblem{error.missing(), error.why, error.shortage()}};
  }
  if (auto why = base::exposed(*text, geteuid())) return refuse("ignored: " + *why);
  auto info = inspect_private_key(text->text.bytes());
  if (!info) return refuse(info.error());
  const std::string unusable = unusable_key_type(info->type);
  if (!unusable.empty()) {
    return refuse("ignored: it is of type " + base::shortened(info->type, 80) + "; " + unusable);
  }
  base::Secret passphrase;
  if (info->encrypted) {
    if (passphrase_file.empty()) {
      return refuse("ignored: it is encrypted; passphrase_file names a file with its passphrase");
    }
    auto loaded = load_passphrase(passphrase_file, environment, whereabouts);
    if (!loaded) {
      return base::Failure{KeyProblem{false, "ignored: it is encrypted; " + loaded.error().text,
                                      loaded.error().shortage}};
    }
    passphrase = std::move(*loaded);
  }
  base::Secret& whole = text->text;
  std::memmove(whole.data(), whole.data() + info->begins, whole.size() - info->begins);
  whole.shrink(whole.size() - info->begins);
  return PrivateKey{file, *info, std::move(text->text), std::move(passphrase)};
}

std::string unreadable_key(const PrivateKey& key, const std::string& error) {
  const std::string& cipher = key.info.cipher;
  if (cipher.find("gcm") != std::string::npos || cipher.find("poly1305") != std::string::npos) {
    return "it is encrypted with " + cipher + ", which libssh2 " + libssh2_version(0) +
           " cannot read; encrypt it anew: ssh-keygen -p -Z aes256-ctr -f " + key.file;
  }
  if (key.info.encrypted) return "the passphrase does not open it, or it is damaged";
  return "libssh2 cannot read it: " + error;
}

std::string refused_key(const PrivateKey& key, const SshEnvironment& environment) {
  std::string out;
  if (key.info.type.empty() && libssh2_version(0x010b00) == nullptr) {
    out += "; if it is an RSA key, " + unusable_key_type("ssh-rsa");
  }
  const std::string& folder = environment.credentials;
  if (!folder.empty() && key.file.starts_with(folder + "/")) {
    out += "; the service got this credential when it started: a new one needs a restart";
  }
  return out;
}

base::Buffer public_half(const std::string& file, io::Whereabouts& whereabouts) {
  whereabouts.at(file);
  if (auto text = base::read_file(file, kLargestKeyFile)) {
    auto info = inspect_private_key(text->text.bytes());
    if (info && !info->public_key.empty()) return info->public_key;
  }
  whereabouts.at(file + ".pub");
  auto text = base::read_file(file + ".pub", kLargestKeyFile);
  if (!text) return {};
  std::string_view line = base::text_of(text->text.bytes());
  line = line.substr(0, line.find_first_of("\r\n"));
  line.remove_prefix(std::min(line.find(' ') + 1, line.size()));
  return base::decode_base64(line.substr(0, line.find(' '))).value_or(base::Buffer());
}

std::vector<std::string> key_files(const Target& target, const SshEnvironment& environment) {
  if (!target.keyfile.empty()) return {target.keyfile};
  if (environment.home.empty()) return {};
  std::vector<std::string> files;
  for (const std::string_view name : {"id_ed25519", "id_ecdsa", "id_rsa"}) {
    files.push_back(environment.home + "/.ssh/" + std::string(name));
  }
  return files;
}

}  // namespace tunnel::ssh

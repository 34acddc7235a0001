// Private key files: what kind of key they hold, and whether it can be used.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret.h"
#include "tunnel/ssh/environment.h"
#include "tunnel/target.h"

namespace tunnel::ssh {

struct KeyInfo {
  std::string type;  // "ssh-ed25519", "ssh-rsa", ...; empty when the file does not tell
  bool encrypted = false;
  base::Buffer public_key;  // empty when only the private part has it
};

// What the text of a key file says without a passphrase: OpenSSH's own format (PROTOCOL.key of
// OpenSSH) and PEM. The error says why it is no private key.
base::Result<KeyInfo, std::string> inspect_private_key(base::Bytes text);

struct PrivateKey {
  std::string file;
  KeyInfo info;
  base::Secret text;
  base::Secret passphrase;
};

struct KeyProblem {
  bool missing = false;  // there is no such file
  std::string text;      // names the file and says what to do
};

// A key that can be tried. Refused are files that others can read, keys of types that the library
// at hand cannot use, and encrypted keys without a passphrase. `passphrase_file` may be empty, or
// relative to the folder of the credentials; its first line counts.
base::Result<PrivateKey, KeyProblem> load_private_key(const std::string& file,
                                                      const std::string& passphrase_file,
                                                      const Environment& environment);

// The key files to try, in order: keyfile= alone, else the usual ones of the user's home.
std::vector<std::string> key_files(const Target& target, const Environment& environment);

// Why libssh2 as it runs here cannot sign with keys of that type; empty when it can.
std::string unusable_key_type(std::string_view type);

}  // namespace tunnel::ssh

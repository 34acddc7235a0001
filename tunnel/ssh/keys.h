// Private key files: what kind of key they hold, and whether it can be used.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret.h"
#include "tunnel/io/errands.h"
#include "tunnel/ssh/environment.h"
#include "tunnel/target.h"

namespace tunnel::ssh {

struct KeyInfo {
  std::string type;  // "ssh-ed25519", "ssh-rsa", ...; empty when the file does not tell
  bool encrypted = false;
  base::Buffer public_key = {};  // empty when only the private part has it
  std::string cipher = {};       // of a key in OpenSSH's format
  std::size_t begins = 0;        // where its block begins in the file
};

// What the text of a key file says without a passphrase: OpenSSH's own format (PROTOCOL.key of
// OpenSSH) and PEM. Blocks before that of the key, such as EC PARAMETERS, are passed over. The
// error says why it is no private key.
base::Result<KeyInfo, std::string> inspect_private_key(base::Bytes text);

struct PrivateKey {
  std::string file;
  KeyInfo info;
  base::Secret text;  // begins with the key's block
  base::Secret passphrase;
};

struct KeyProblem {
  bool missing = false;   // there is no such file
  std::string text;       // why the key is not used, and what to do; does not name the key's file
  bool shortage = false;  // nothing is known of the file: it could not be opened now
};

// A key that can be tried. Refused are files that others can read, keys of types that the library
// at hand cannot use, and encrypted keys without a passphrase. `passphrase_file` may be empty, or
// relative to the folder of the credentials; its first line counts. Says which file is being read.
base::Result<PrivateKey, KeyProblem> load_private_key(const std::string& file,
                                                      const std::string& passphrase_file,
                                                      const SshEnvironment& environment,
                                                      io::Whereabouts& whereabouts);

// The key files to try, in order: keyfile= alone, else the usual ones of the user's home.
std::vector<std::string> key_files(const Target& target, const SshEnvironment& environment);

// Why libssh2 as it runs here cannot sign with keys of that type; empty when it can.
std::string unusable_key_type(std::string_view type);

// Why libssh2 could not read a key: its cipher, or a wrong passphrase.
std::string unreadable_key(const PrivateKey& key, const std::string& error);

// Of a key that the server has refused, what may be the cause besides its authorized_keys; begins
// with a semicolon, or is empty.
std::string refused_key(const PrivateKey& key, const SshEnvironment& environment);

// The public half of a private key's file, from the file itself or the .pub beside it; empty when
// neither tells. Says which is being read.
base::Buffer public_half(const std::string& file, io::Whereabouts& whereabouts);

}  // namespace tunnel::ssh

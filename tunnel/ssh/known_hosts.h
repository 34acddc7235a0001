// What known_hosts files say about one host. The format is that of sshd(8), SSH_KNOWN_HOSTS FILE
// FORMAT: comma-separated patterns with * and ?, !negation, [host]:port, names hashed as
// |1|salt|hash, and the marks @revoked and @cert-authority. Pure: the caller reads the files.
//
// Four decisions of ours. A name without a port means port 22 and nothing else, so that the key of
// one server on a host says nothing about another one there; [host]:22 means the same. A key of a
// type that is not among the known ones of a known host is a changed key, since whoever sits in
// between may choose the type. Keys of types that libssh2 knows no algorithm for, such as those of
// hardware tokens, cannot be compared with anything: alone they say that the host is known, and
// nothing of the key that it shows, which is refused all the same. Certificates are not checked,
// because libssh2 knows none: a line
// @cert-authority is only reported.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace tunnel::ssh {

// The longest line that is read; longer ones are skipped with a note.
inline constexpr std::size_t kLongestKnownHostsLine = std::size_t{64} * 1024;

struct HostKeyAnswer {
  enum class Kind : std::uint8_t {
    known,
    unknown,
    changed,
    incomparable,  // only keys of types are recorded that the server cannot show us
    revoked,
  };
  Kind kind = Kind::unknown;
  // "file:line" of what decided; empty for unknown.
  std::string place;
  // changed, incomparable: type and fingerprint of the key at `place`; of the same type as the
  // offered one if there is one.
  std::string stored_type;
  std::string stored_fingerprint;
};

class KnownHosts {
 public:
  // `host` without brackets.
  KnownHosts(std::string_view host, std::uint16_t port);

  // Takes the lines about the host from one file. `file` is for places and notes.
  void read(std::string_view file, std::string_view text);

  [[nodiscard]] HostKeyAnswer check(base::Bytes key) const;
  // Types of the host's keys in the order of the lines, each once: "ssh-ed25519", "ssh-rsa", ...
  [[nodiscard]] std::vector<std::string> types() const;
  // "file:line" of the first @cert-authority line for the host; empty when there is none.
  [[nodiscard]] const std::string& authority() const { return authority_; }
  // Lines that were skipped, and why: "file:line: text", and what else was noted. Cut after a few.
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }
  void add_note(std::string text);

  // The line that a file gets for this host and key, with its line feed.
  [[nodiscard]] std::string line_for(base::Bytes key) const;

 private:
  struct Entry {
    bool revoked = false;
    std::string type;
    base::Buffer key;
    std::string place;
  };

  void read_line(const std::string& place, std::string_view line);
  void skip(const std::string& place, std::string_view why);
  [[nodiscard]] bool names_host(std::string_view patterns) const;

  std::string bare_;       // in lower case; empty unless the port is 22
  std::string with_port_;  // [host]:port
  std::vector<Entry> entries_;
  std::string authority_;
  std::vector<std::string> notes_;
};

// The type that a public key names in its first field; empty when it has none.
std::string_view key_type(base::Bytes key);

// The host key algorithms to ask a server for, best first: of those that the library has, those for
// the types that are known of the host, then the others. A server that has none of the known types
// then shows another one, and the refusal can name it.
std::vector<std::string> host_key_algorithms(const std::vector<std::string>& supported,
                                             const std::vector<std::string>& known_types);

}  // namespace tunnel::ssh

// auth.conf, the file in which libvirt's clients look for passwords:
//
//   [credentials-NAME]              [auth-SERVICE-HOST]  or  [auth-SERVICE-default]
//   authname=USER                   credentials=NAME
//   password=PASSWORD
//   username=WHOM                   whom to act as; the same as authname when it is not there
//   realm=REALM
//
// The grammar is GLib's key files, as libvirt has it: comments are lines of their own, blanks
// behind a value belong to it, and \s \n \t \r \\ in a value stand for what they stand for there.
//
// Nothing of what stands in such a file is ever shown, with the exception of the names of sections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "base/shortage.h"
#include "conf/environment.h"

namespace conf {

inline constexpr std::size_t kLargestAuthConf = 1U << 20;

// What auth.conf has for one service of one host. A value that is there can be empty.
struct Credentials {
  std::string place;  // section and file, for messages: [credentials-NAME] in FILE
  std::optional<std::string> authname;
  std::optional<std::string> username;
  std::optional<std::string> realm;
  std::optional<base::Secret> password;
};

struct AuthConfError {
  std::uint32_t line = 0;  // from 1; 0 means the whole
  std::string text;
};

// The sections of a file. It points into the text, which outlives it.
class AuthConf {
 public:
  // Sections and keys of the same name are one, and the last value counts.
  static base::Result<AuthConf, AuthConfError> parse(std::string_view text);

  // The section with the host's credentials, or else with those for all hosts; nothing: there is
  // neither. `place` of the result has the section only. It is an error when a section says that
  // there are credentials and they are not there.
  [[nodiscard]] base::Result<std::optional<Credentials>, AuthConfError> find(
      std::string_view service, std::string_view host) const;

 private:
  friend class AuthConfParser;

  struct Entry {
    std::string_view section;
    std::string_view key;  // empty: this is the section's own line
    std::string_view value;
    std::uint32_t line = 0;
  };

  [[nodiscard]] const Entry* entry(std::string_view section, std::string_view key) const;

  std::vector<Entry> entries_;
};

// The files that are looked at, in this order, and of which only the first that may be read is:
// LIBVIRT_AUTH_FILE, authfile= of the URI, auth.conf among the credentials that systemd hands to a
// service, the user's, the system's. One of the first two is the only one.
std::vector<std::string> auth_conf_paths(const Environment& environment,
                                         const std::string& authfile);

// The credentials for the service "libvirt" of `host`. The error is a sentence that says why there
// are none: which files or sections were looked for, or what is wrong with the file; not escaped.
// `look` is told of each file before it is looked at.
base::Result<Credentials, base::Problem> read_credentials(
    const Environment& environment, const std::string& authfile, const std::string& host,
    const std::function<void(const std::string& path)>& look = {});

}  // namespace conf

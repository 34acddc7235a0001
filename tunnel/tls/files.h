// Where the certificates and keys of TLS lie, and how they are read. The places and the order are
// those of libvirt's client, so that a host on which virsh reaches a daemon needs nothing new.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include <sys/types.h>

#include "base/result.h"
#include "base/secret.h"
#include "base/shortage.h"
#include "tunnel/io/errands.h"

namespace tunnel {

struct TlsPaths {
  std::string ca;
  std::string crl;
  std::string certificate;
  std::string key;
};

// What the choice of the files depends on beside pkipath.
struct TlsPlaces {
  std::string system = "/etc/pki";
  std::string home;  // empty: there is none
  uid_t uid = 0;     // with 0 the home is not looked at
};

// Of this process: the effective uid, and its base::home_folder().
TlsPlaces tls_places();

// With a `pkipath`, its cacert.pem, cacrl.pem, clientcert.pem and clientkey.pem, whether they exist
// or not. Else for each of CA and CRL the one under ~/.pki/libvirt if it exists, or the system's;
// and of certificate and key the user's if both exist, or else both of the system.
TlsPaths tls_paths(const std::string& pkipath, const TlsPlaces& places,
                   const std::function<bool(const std::string&)>& exists);

// Whether a file of that name can be found at all.
bool tls_file_exists(const std::string& path);

// The same with the files that are there now; says which one is looked for.
TlsPaths tls_paths_now(const std::string& pkipath, const TlsPlaces& places,
                       io::Whereabouts& whereabouts);

inline constexpr std::size_t kTlsCertificateLimit = std::size_t{1024} * 1024;
inline constexpr std::size_t kTlsCrlLimit = std::size_t{8} * 1024 * 1024;
inline constexpr std::size_t kTlsKeyLimit = std::size_t{64} * 1024;

// What is in a regular file of at most `limit` bytes; nothing when there is no such file. The error
// names the file.
base::Result<std::optional<base::Secret>, base::Problem> tls_read_file(const std::string& path,
                                                                       std::size_t limit);

// The same for a private key, which is refused when it is exposed to others than `uid`.
base::Result<std::optional<base::Secret>, base::Problem> tls_read_key(const std::string& path,
                                                                      uid_t uid);

// What the files of one connection hold, not yet understood.
struct TlsFiles {
  TlsPaths paths;
  base::Result<std::optional<base::Secret>, base::Problem> ca;
  base::Result<std::optional<base::Secret>, base::Problem> crl;
  base::Result<std::optional<base::Secret>, base::Problem> certificate;
  base::Result<std::optional<base::Secret>, base::Problem> key;
};

// Reads them all, and says which one is being read. The key must be one of `uid`.
TlsFiles tls_read_files(const TlsPaths& paths, uid_t uid, io::Whereabouts& whereabouts);

}  // namespace tunnel

#include "tunnel/tls/files.h"

#include <utility>

#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "base/shortage.h"

namespace tunnel {
namespace {

using Content = base::Result<std::optional<base::Secret>, base::Problem>;

base::Problem error_of(const base::FileError& error) {
  return {error.code == 0 ? error.text : "cannot read " + error.text, error.shortage()};
}

}  // namespace

TlsPlaces tls_places() {
  TlsPlaces places;
  places.uid = ::geteuid();
  places.home = base::home_folder();
  return places;
}

TlsPaths tls_paths(const std::string& pkipath, const TlsPlaces& places,
                   const std::function<bool(const std::string&)>& exists) {
  const auto all_in = [](const std::string& folder) {
    return TlsPaths{folder + "/cacert.pem", folder + "/cacrl.pem", folder + "/clientcert.pem",
                    folder + "/clientkey.pem"};
  };
  if (!pkipath.empty()) return all_in(pkipath);
  TlsPaths paths{places.system + "/CA/cacert.pem", places.system + "/CA/cacrl.pem",
                 places.system + "/libvirt/clientcert.pem",
                 places.system + "/libvirt/private/clientkey.pem"};
  if (places.uid == 0 || places.home.empty()) return paths;
  TlsPaths user = all_in(places.home + "/.pki/libvirt");
  if (exists(user.ca)) paths.ca = std::move(user.ca);
  if (exists(user.crl)) paths.crl = std::move(user.crl);
  if (exists(user.certificate) && exists(user.key)) {
    paths.certificate = std::move(user.certificate);
    paths.key = std::move(user.key);
  }
  return paths;
}

bool tls_file_exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

TlsPaths tls_paths_now(const std::string& pkipath, const TlsPlaces& places,
                       io::Whereabouts& whereabouts) {
  return tls_paths(pkipath, places, [&whereabouts](const std::string& path) {
    whereabouts.at(path);
    return tls_file_exists(path);
  });
}

Content tls_read_file(const std::string& path, std::size_t limit) {
  auto file = base::read_file(path, limit);
  if (file) return std::optional<base::Secret>(std::move(file->text));
  if (file.error().missing()) return std::optional<base::Secret>();
  return base::Failure{error_of(file.error())};
}

Content tls_read_key(const std::string& path, uid_t uid) {
  auto file = base::read_file(path, kTlsKeyLimit);
  if (!file && file.error().missing()) return std::optional<base::Secret>();
  if (!file) return base::Failure{error_of(file.error())};
  if (const auto why = base::exposed(*file, uid)) {
    return base::Failure{base::Problem{"the private key " + path + " is refused: " + *why}};
  }
  return std::optional<base::Secret>(std::move(file->text));
}

TlsFiles tls_read_files(const TlsPaths& paths, uid_t uid, io::Whereabouts& whereabouts) {
  const auto read = [&whereabouts](const std::string& path, std::size_t limit) {
    whereabouts.at(path);
    return tls_read_file(path, limit);
  };
  Content ca = read(paths.ca, kTlsCertificateLimit);
  Content crl = read(paths.crl, kTlsCrlLimit);
  Content certificate = read(paths.certificate, kTlsCertificateLimit);
  whereabouts.at(paths.key);
  Content key = tls_read_key(paths.key, uid);
  return {paths, std::move(ca), std::move(crl), std::move(certificate), std::move(key)};
}

}  // namespace tunnel

// A certificate of a server, in DER: all that is said of it, and what it is held to be wrong with.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "tunnel/tls/text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto certificate = tunnel::tls_make<tunnel::TlsCertificate>(gnutls_x509_crt_init);
  if (certificate == nullptr) std::abort();
  const gnutls_datum_t der = tunnel::tls_datum({data, size});
  if (gnutls_x509_crt_import(certificate.get(), &der, GNUTLS_X509_FMT_DER) < 0) return 0;
  const std::string text = tunnel::tls_certificate_text(certificate.get());
  if (!text.starts_with("subject ")) std::abort();
  return 0;
}

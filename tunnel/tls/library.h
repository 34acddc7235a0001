// GnuTLS's objects, each with one owner. Only the sources of TLS include it.
#pragma once

#include <memory>
#include <type_traits>
#include <vector>

#include <gnutls/gnutls.h>
#include <gnutls/x509-ext.h>
#include <gnutls/x509.h>

#include "base/bytes.h"

namespace tunnel {

template <typename Handle, void (*kFree)(Handle)>
struct TlsFree {
  void operator()(Handle handle) const { kFree(handle); }
};

template <typename Handle, void (*kFree)(Handle)>
using TlsOwned = std::unique_ptr<std::remove_pointer_t<Handle>, TlsFree<Handle, kFree>>;

using TlsCertificate = TlsOwned<gnutls_x509_crt_t, gnutls_x509_crt_deinit>;
using TlsCrl = TlsOwned<gnutls_x509_crl_t, gnutls_x509_crl_deinit>;
using TlsKey = TlsOwned<gnutls_x509_privkey_t, gnutls_x509_privkey_deinit>;
using TlsSession = TlsOwned<gnutls_session_t, gnutls_deinit>;
using TlsPacket = TlsOwned<gnutls_packet_t, gnutls_packet_deinit>;
using TlsSettings = TlsOwned<gnutls_certificate_credentials_t, gnutls_certificate_free_credentials>;
using TlsConstraints =
    TlsOwned<gnutls_x509_name_constraints_t, gnutls_x509_name_constraints_deinit>;

// The certificate of somebody, and behind it those that lead to a CA.
using TlsChain = std::vector<TlsCertificate>;

// Makes an object by GnuTLS's function for it; null when there is no memory.
template <typename Owned>
Owned tls_make(int (*init)(typename Owned::pointer*)) {
  typename Owned::pointer made = nullptr;
  return Owned(init(&made) == GNUTLS_E_SUCCESS ? made : nullptr);
}

// GnuTLS reads it only, where this is used.
inline gnutls_datum_t tls_datum(base::Bytes bytes) {
  return {const_cast<unsigned char*>(bytes.data()), static_cast<unsigned>(bytes.size())};
}

}  // namespace tunnel

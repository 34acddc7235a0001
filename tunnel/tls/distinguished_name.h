// Distinguished names in the form in which GnuTLS and with it libvirtd has them, as
// `virt-pki-query-dn` prints them and tls_allowed_dn_list takes them: "C=DE,O=Snow\, Ltd,CN=gate",
// in the order of the certificate, with the escapes of RFC 4514.
#pragma once

#include <string>

#include "base/bytes.h"

namespace tunnel {

// `name` is a Name in DER. What GnuTLS has no text for is a number sign and the DER in hexadecimal;
// what is no Name is empty.
std::string distinguished_name(base::Bytes name);

// The subject of a certificate in DER, which need not be one that mbedTLS understands; empty: it
// has none.
base::Bytes subject_in_der(base::Bytes certificate);

}  // namespace tunnel

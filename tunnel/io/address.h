// Socket addresses as values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <sys/socket.h>
#include <sys/un.h>

#include "base/result.h"

namespace tunnel::io {

// Of IP, with its port.
struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;

  [[nodiscard]] int family() const { return storage.ss_family; }
  [[nodiscard]] const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
  // "192.0.2.1:16509", "[2001:db8::1]:16509", "[fe80::1%eth0]:16509".
  [[nodiscard]] std::string text() const;
  // As base::is_local() means it.
  [[nodiscard]] bool is_local() const;
};

// Whether the system would send there from that very address: one of this host's own, whatever it
// is. Asks the kernel, and sends nothing.
bool leads_to_this_host(const Address& address);

// `host` as an address: four decimal numbers, or IPv6 with a zone if it has one. Nothing if it is a
// name.
std::optional<Address> address_literal(const std::string& host, std::uint16_t port);

// Of `family` with `port` in place of its own; nothing for families other than those of IP.
std::optional<Address> address_of(const sockaddr* raw, std::uint16_t port);

struct UnixAddress {
  sockaddr_un raw{};
  socklen_t length = 0;
};

// A path, or with a leading @ a name in the abstract namespace. The error says what is wrong with
// it: empty, a NUL inside, or more than the 107 bytes that a socket address holds.
base::Result<UnixAddress, std::string> unix_address(const std::string& text);

}  // namespace tunnel::io

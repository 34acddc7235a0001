// Which hosts and addresses are this host itself: the one list by which cleartext is let through,
// and by which clients' URIs are kept from leading back here.
#pragma once

#include <string>

#include <sys/socket.h>

namespace base {

// Whether bytes to `host` stay on this machine for certain: 127.0.0.0/8, ::1, or the name
// localhost.
bool is_loopback(const std::string& host);
// The same, of an address alone.
bool is_loopback_address(const std::string& host);

// Whether an address of IP means this host or its link: loopback, link-local and unspecified ones,
// those of IPv4 also as IPv6 maps them. It is at least as large as its family says.
bool is_local(const sockaddr* address);

}  // namespace base

#include "tunnel/io/address.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <memory>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/this_host.h"

namespace tunnel::io {
namespace {

constexpr std::size_t kLongestUnixName = sizeof(sockaddr_un::sun_path) - 1;

bool is_v4(const std::string& host) {
  in_addr ignored{};
  return inet_pton(AF_INET, host.c_str(), &ignored) == 1;
}

}  // namespace

std::string Address::text() const {
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  if (getnameinfo(raw(), length, host.data(), host.size(), port.data(), port.size(),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "an unknown address";
  }
  const std::string name = host.data();
  return (family() == AF_INET6 ? "[" + name + "]" : name) + ":" + port.data();
}

bool Address::is_local() const { return base::is_local(raw()); }

bool leads_to_this_host(const Address& address) {
  const base::Fd probe(::socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!probe.ok() || ::connect(probe.get(), address.raw(), address.length) != 0) return false;
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getsockname(probe.get(), reinterpret_cast<sockaddr*>(&storage), &length) != 0) return false;
  const auto own = address_of(reinterpret_cast<const sockaddr*>(&storage), 0);
  const auto there = address_of(address.raw(), 0);
  return own && there && own->text() == there->text();
}

std::optional<Address> address_literal(const std::string& host, std::uint16_t port) {
  const bool v6 = host.find(':') != std::string::npos;
  if (host.find('\0') != std::string::npos || (!v6 && !is_v4(host))) return std::nullopt;
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return std::nullopt;
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, freeaddrinfo);
  return address_of(found->ai_addr, port);
}

std::optional<Address> address_of(const sockaddr* raw, std::uint16_t port) {
  Address address;
  if (raw->sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, raw, sizeof in);
    in.sin_port = htons(port);
    std::memcpy(&address.storage, &in, sizeof in);
    address.length = sizeof in;
  } else if (raw->sa_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, raw, sizeof in);
    in.sin6_port = htons(port);
    std::memcpy(&address.storage, &in, sizeof in);
    address.length = sizeof in;
  } else {
    return std::nullopt;
  }
  return address;
}

base::Result<UnixAddress, std::string> unix_address(const std::string& text) {
  const bool abstract = text.starts_with('@');
  if (text.size() <= (abstract ? 1 : 0)) return base::Failure{std::string("the name is empty")};
  if (text.find('\0') != std::string::npos) {
    return base::Failure{std::string("the name has a NUL byte in it")};
  }
  // An abstract name's @ stands for the NUL that takes its place, and nothing ends it.
  if (text.size() > kLongestUnixName + (abstract ? 1 : 0)) {
    return base::Failure{"the name has " + std::to_string(text.size()) +
                         " bytes, and a socket's may have " + std::to_string(kLongestUnixName)};
  }
  UnixAddress address;
  address.raw.sun_family = AF_UNIX;
  std::copy(text.begin(), text.end(), address.raw.sun_path);
  if (abstract) address.raw.sun_path[0] = '\0';
  address.length =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size() + (abstract ? 0 : 1));
  return address;
}

}  // namespace tunnel::io

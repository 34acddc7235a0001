#include "base/this_host.h"

#include <cstdint>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/text.h"

namespace base {
namespace {

bool is_loopback(const in_addr& address) { return ntohl(address.s_addr) >> 24 == IN_LOOPBACKNET; }

bool is_local(const in_addr& address) {
  constexpr std::uint32_t kLinkLocal = 0xa9fe;  // RFC 3927
  const std::uint32_t number = ntohl(address.s_addr);
  return is_loopback(address) || number >> 24 == 0 || number >> 16 == kLinkLocal;
}

bool is_local(const in6_addr& address) {
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    in_addr mapped{};
    std::memcpy(&mapped, &address.s6_addr[12], sizeof mapped);
    return is_local(mapped);
  }
  return IN6_IS_ADDR_LOOPBACK(&address) || IN6_IS_ADDR_UNSPECIFIED(&address) ||
         IN6_IS_ADDR_LINKLOCAL(&address);
}

}  // namespace

bool is_loopback_address(const std::string& host) {
  in_addr v4{};
  in6_addr v6{};
  if (host.find('\0') != std::string::npos) return false;
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return is_loopback(v4);
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool is_loopback(const std::string& host) {
  return is_loopback_address(host) || lower(host) == "localhost";
}

bool is_local(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, address, sizeof in);
    return is_local(in.sin_addr);
  }
  if (address->sa_family != AF_INET6) return false;
  sockaddr_in6 in{};
  std::memcpy(&in, address, sizeof in);
  return is_local(in.sin6_addr);
}

}  // namespace base

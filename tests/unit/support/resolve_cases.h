// Connection URIs with their conditions, and what libvirt 9.0's own client was seen to do with
// each: where it connected, what it sent, what it started, or that it refused.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace test {

inline constexpr uid_t kNobody = 65534;
inline constexpr std::string_view kSystem = "unix /var/run/libvirt/libvirt-sock";
inline constexpr std::string_view kSystemReadOnly = "unix /var/run/libvirt/libvirt-sock-ro";

struct ResolveCase {
  std::optional<std::string_view> text = {};
  uid_t uid = 0;
  unsigned flags = 0;  // of virConnectOpenAuth()
  std::vector<std::string_view> sockets = {"/var/run/libvirt/libvirt-sock",
                                           "/var/run/libvirt/libvirt-sock-ro"};
  std::map<std::string_view, std::string_view> variables = {};
  std::string_view conf = {};       // libvirt.conf
  std::string_view conf_path = {};  // where it lies; empty: the usual place
  // A part of our sentence, where the client refuses; empty: it does not.
  std::string_view error = {};
  // "unix PATH", "tcp HOST PORT", "tls HOST PORT", "command", or "client" for no connection at all.
  std::string_view way = {};
  bool missing = false;  // the socket is not there, so that connecting fails
  // Connecting fails for what no look at the URI can tell: a port where nobody listens, a name
  // that nobody knows, files of certificates, a GnuTLS priority, what the daemon offers, a host
  // that a driver in the client asks.
  bool later = false;
  std::optional<std::string_view> name = {};  // nothing: none is sent
  unsigned sent = 0;                          // flags of the open
  std::vector<std::string> command = {};
  std::optional<std::string_view> uri = {};  // nothing: the text as it is
};

std::vector<ResolveCase> local_cases();
std::vector<ResolveCase> network_cases();
std::vector<ResolveCase> ssh_cases();
std::vector<ResolveCase> source_cases();

}  // namespace test

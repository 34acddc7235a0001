// From a URI to what a tunnel needs: transports, their defaults and their parameters, as libvirt's
// remote driver reads them. The differences are a proxy's: it takes the read-only sockets, and it
// refuses now what libvirt would only find out after connecting.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "conf/environment.h"
#include "conf/uri.h"
#include "conf/values.h"
#include "tunnel/target.h"

namespace conf {

inline constexpr std::uint32_t kTlsPort = 16514;
inline constexpr std::uint32_t kTcpPort = 16509;

// The transport that a URI means, given or not; nothing when it names one that does not exist.
std::optional<tunnel::Transport> transport_of(const Uri& uri);

// The port that a URI means over this transport; 0 where there is none.
std::uint32_t port_of(const Uri& uri, tunnel::Transport transport);

// Whether libvirt would look for the daemon of a user's own session.
bool means_user_daemon(const Uri& uri, const Environment& environment);

// What is wrong with the name of a target; nothing: it is one.
std::optional<std::string> wrong_target_name(std::string_view name);

// Which of a daemon's sockets is taken where a system's daemon has two. A gate never writes; this
// is for a user's own bytes alone.
enum class SocketAccess : std::uint8_t { read_only, read_write };

// All of a target that its URI says, or the text of a xend's; the rest has its defaults. The error
// is a sentence about the URI. Whether the connection is protected is not judged here.
base::Result<TargetConfig, std::string> target_of(std::string_view name, std::string_view uri,
                                                  const Environment& environment,
                                                  SocketAccess access = SocketAccess::read_only);

// Why nobody should send anything to this target unless `insecure` is set; nothing: it is set, or
// the connection is protected, or it does not leave the host.
std::optional<std::string> why_unprotected(const TargetConfig& target);

// One target from its name and URI, as the table [targets] would make it; for the command line.
base::Result<TargetConfig, Mistake> make_target(
    std::string_view name, std::string_view uri,
    const Environment& environment = process_environment());

}  // namespace conf

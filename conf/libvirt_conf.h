// libvirt.conf, the file of libvirt's client library: its own grammar (virConf), and the keys that
// say what a URI means.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "conf/environment.h"
#include "conf/mistake.h"

namespace conf {

inline constexpr std::size_t kLargestLibvirtConf = 10U << 20;

struct LibvirtConf {
  std::vector<std::string> uri_aliases;  // as written: "alias=uri"
  std::optional<std::string> uri_default;
  std::string remote_mode;   // empty: not given
  std::string remote_proxy;  // empty: not given
  std::string tls_priority;  // empty: not given
};

struct LibvirtConfError {
  std::uint32_t line = 0;  // from 1; 0 means the whole
  std::string text;
};

// Unknown keys are skipped; of a key that is there twice the first counts. Stricter than libvirt in
// two places: a wrong type of any of our keys is an error at once and not only when it is asked
// for, and lists nest 32 deep at most.
base::Result<LibvirtConf, LibvirtConfError> parse_libvirt_conf(std::string_view text);

// Where libvirt looks: root in the system's folder, others in their own, and nowhere else.
std::string libvirt_conf_path(const Environment& environment);

// That file; one that is missing says nothing.
base::Result<LibvirtConf, Mistake> load_libvirt_conf(const Environment& environment);

// What the alias stands for; nothing: there is none. As in libvirt, the first match counts, and an
// entry before it that is malformed is an error, which says which one it is.
base::Result<std::optional<std::string>, std::string> find_alias(const LibvirtConf& conf,
                                                                 std::string_view alias);

}  // namespace conf

// Connection URIs: the grammar of libvirt's remote URIs, which is libxml2's parser followed by a
// few rules of libvirt's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace conf {

// driver[+transport]://[user@][host][:port]/[path][?parameters][#fragment], with percent-escapes
// decoded.
struct Uri {
  std::string driver;     // as written: libvirt compares drivers with case
  std::string transport;  // in lower case; empty when none was given
  std::string user;
  std::string host;        // without brackets
  std::uint32_t port = 0;  // 0: none given
  std::string path;
  // In order, decoded, duplicates kept.
  std::vector<std::pair<std::string, std::string>> parameters;
  std::string fragment;

  // The last one of that name counts, as in libvirt; names compare without case.
  [[nodiscard]] std::optional<std::string> parameter(std::string_view name) const;

  // Where there is none and the transport needs one, clients take this host.
  [[nodiscard]] std::string_view host_or_localhost() const {
    return host.empty() ? std::string_view("localhost") : std::string_view(host);
  }

  bool operator==(const Uri&) const = default;
};

// What is wrong with a text, and where in it (bytes from its start).
struct UriError {
  std::string text;
  std::size_t offset = 0;
};

// A longer text is refused unread.
inline constexpr std::size_t kLongestUri = 16384;

// Stricter than libvirt in two places: a NUL (%00) is refused everywhere, where libvirt cuts the
// text there, and brackets hold only what an address or its zone can consist of.
base::Result<Uri, UriError> parse_uri(std::string_view text);

// Whether a transport takes this parameter for itself, so that it is not part of the name that a
// daemon sees. All of them are taken, whichever transport it is.
bool is_transport_parameter(std::string_view name);

// Appends "name=value" to the text of a URI without fragment, with ? or & before it; the value is
// escaped, the name is not, as in libvirt.
void append_parameter(std::string& uri, std::string_view name, std::string_view value);

// The URI that a client of libvirt shows for a connection that it opened with `text`, of which
// `uri` is the meaning: escapes are written anew, the query stays as it is written, and there is
// always an authority.
std::string shown_uri(const Uri& uri, std::string_view text);

// Appends the URI's path, escaped as libvirt does it.
void append_path(std::string& uri, std::string_view path);

// The name that a libvirt client sends when it opens this URI: name= as it is; empty for driver
// "remote"; else driver, path, the parameters that no transport takes for itself, and the fragment.
std::string connect_name(const Uri& uri);

}  // namespace conf

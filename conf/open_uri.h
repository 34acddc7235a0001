// URIs that clients name beyond the targets: patterns for them, and what remains of one. The text
// is a client's and hostile: only scheme, user, host, port and path are taken from it, each of
// plain characters, and anything else in it is a reason to refuse it.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "conf/environment.h"
#include "conf/uri.h"
#include "conf/values.h"
#include "policy/rules.h"

namespace conf {

struct OpenedUri {
  std::string text;  // written anew from the parts; names the target
  policy::UriParts parts;
};

// "qemu+ssh://monitor@*.example.com/system". The error is a sentence about the text.
base::Result<policy::UriPattern, std::string> parse_uri_pattern(std::string_view text);

// A pattern of targets that is one of URIs.
bool is_uri_pattern(std::string_view text);

// The error is a sentence for the client about its URI, not escaped.
base::Result<OpenedUri, std::string> opened_uri(const Uri& asked);

// The target that `uri` is, where `open` lets clients name it. The error is as that of target_of().
base::Result<TargetConfig, std::string> opened_target(const OpenedUri& uri,
                                                      const policy::OpenUri& open,
                                                      const Environment& environment);

}  // namespace conf

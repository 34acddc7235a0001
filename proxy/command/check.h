// `virtgate serve --check`: what is wrong with a configuration.
#pragma once

#include "proxy/service/settings.h"

namespace proxy {

struct CheckOptions {
  // A warning is a failure too.
  bool strict = false;
  // One JSON object on standard output in place of the lines.
  bool json = false;
};

// Reports mistakes and warnings on standard error, each with its place, and on standard output what
// a configuration without mistakes holds. 0: it can be served.
int check(const Sources& sources, const CheckOptions& options);

}  // namespace proxy

// A Resolution for people and for programs.
#pragma once

#include <string>

#include "conf/resolve.h"

namespace conf {

// Lines of printable text.
std::string explained(const Resolution& resolution);

// One JSON object in ASCII, whatever the texts hold: input, source, alias, uri, driver, transport,
// user, host, port, path, socket, command, name, parameters, notes; and error, where there is one.
// What is not there is null. Bytes that are no UTF-8 are replaced.
std::string as_json(const Resolution& resolution);

}  // namespace conf

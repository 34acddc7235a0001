// What a tunnel has to tell the operator although the stream goes on, such as a check that the
// configuration lets fail. One sentence a call, whose foreign text whoever shows it makes
// printable. May be empty: then nobody listens.
#pragma once

#include <functional>
#include <string>

namespace tunnel {

using Notes = std::function<void(const std::string& note)>;

}  // namespace tunnel

// The files, folders and sockets that a configuration names, and which of them are not there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "conf/mistake.h"
#include "conf/values.h"

namespace conf {

struct NamedPath {
  enum class Kind : std::uint8_t {
    file,
    folder,
    parent,        // the folder that the path is in; the path itself is no folder
    socket,        // comes and goes with who listens there
    secret,        // a file that only its owner may read
    key,           // a secret that is a private key
    certificates,  // a folder with cacert.pem in it
    program,
  };
  Kind kind = Kind::file;
  std::string path;
  std::string what;  // "keyfile= of target \"hail\""
  Position position;
};

// Of a target whose URI is at that place.
std::vector<NamedPath> paths_of(const TargetConfig& target, const Position& position);

// A warning for each that is not there, or is something else. Asks the file system.
std::vector<Mistake> missing(const std::vector<NamedPath>& paths);

}  // namespace conf

// What the service keeps for itself when it gives up everything else: see confine.h.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "conf/environment.h"
#include "conf/values.h"

namespace proxy {

// How files are used. Each includes that they are read.
enum class FileUse : std::uint8_t {
  read,
  append,  // files and folders are made, and files written to
  own,     // files and sockets are made, written to and removed
};

// A file, or a folder with all that is below it.
struct FilePlace {
  std::string path;
  FileUse use = FileUse::read;

  bool operator==(const FilePlace&) const = default;
};

struct Confinement {
  std::vector<FilePlace> places;
  // Folders on the way to files that are links, and may be turned to others only with a new start.
  std::set<std::string> fixed_links;
  std::set<std::uint16_t> ports;  // of TCP, to connect to
  bool any_port = false;          // clients may name some
  // Targets need programs, whose needs nobody knows: files, ports and system calls stay theirs.
  bool runs_programs = false;
  // The service manager listens in the abstract namespace.
  bool abstract_sockets = false;
};

// What a gate with this configuration needs, and what it will need to read its configuration anew
// from `files`. Folders stand for their files, because a file that is replaced by another, as
// editors do it, is not the one that was allowed; and where a folder on the way is a link to
// another, the one that this is in stands for it, so that the link can be turned. `control` is the
// path of the control socket; empty: there is none.
Confinement confinement_of(const conf::Config& config, const std::vector<std::string>& files,
                           const std::string& control, const conf::Environment& environment);

// All that `wanted` has and `held` has not, such as "reading /srv/keys, connecting to port 7";
// nothing: a process that holds this can do that.
std::optional<std::string> beyond(const Confinement& held, const Confinement& wanted);

}  // namespace proxy

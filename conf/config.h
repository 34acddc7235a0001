// Reads configuration files into values, and finds what is wrong with them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "conf/environment.h"
#include "conf/mistake.h"
#include "conf/named_paths.h"
#include "conf/values.h"

namespace conf {

// Larger files are refused unread.
inline constexpr std::size_t kLargestConfig = 1U << 20;

struct Loaded {
  // Complete only when there are no mistakes.
  Config config;
  // In the order of files and lines.
  std::vector<Mistake> mistakes;
  // What is accepted, and probably means something else than intended; in the same order.
  std::vector<Mistake> warnings;
  // Where each of the rules begins.
  std::vector<Position> rules;
  // Files, folders and sockets that it names, for who asks whether they are there.
  std::vector<NamedPath> paths;
  // All patterns of the rules, for who knows the procedures.
  std::vector<Positioned> procedures;
  // That were read.
  std::vector<std::string> files;
};

// Puts what was found into the order of files and lines.
void in_order(std::vector<Mistake>& found, const std::vector<std::string>& files);

// One text. `file` is for places only.
Loaded parse_config(std::string_view text, const std::string& file,
                    const Environment& environment = process_environment());

// A file, and then each *.toml of the folder `drop_ins` in the order of their names, if that
// exists. Files that cannot be read are mistakes. A key of [limits] that several files set has the
// value of the last; rules and open_uris are appended; targets and sockets add up.
Loaded load_config(const std::string& file, const std::string& drop_ins,
                   const Environment& environment = process_environment());

}  // namespace conf

// The sections of the configuration file, each read from its node into one draft.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "conf/document.h"
#include "conf/environment.h"
#include "conf/named_paths.h"
#include "conf/reader.h"
#include "conf/values.h"

namespace conf {

struct ListenDraft {
  Listen listen;           // the path not yet expanded
  Position path_position;  // of the values
  Position target_position;
};

// What the files said, before its parts have been held against each other.
struct ConfigDraft {
  std::vector<ListenDraft> listen;
  std::vector<TargetConfig> targets;     // those without mistakes
  std::vector<Positioned> target_names;  // all
  std::vector<Positioned> rule_targets;  // patterns of the rules
  std::vector<Positioned> procedures;    // the same
  std::vector<Position> rule_positions;  // of the rules
  std::vector<NamedPath> paths;
  policy::Rules rules;
  AuditConfig audit;
  Control control;
  Metrics metrics;
  Limits limits;
};

void read_listen(Reader& reader, const Node& section, ConfigDraft& draft);
void read_targets(Reader& reader, const Node& section, const Environment& environment,
                  ConfigDraft& draft);
void read_policy(Reader& reader, const Node& section, ConfigDraft& draft);
void read_audit(Reader& reader, const Node& section, ConfigDraft& draft);
void read_control(Reader& reader, const Node& section, ConfigDraft& draft);
void read_metrics(Reader& reader, const Node& section, ConfigDraft& draft);
void read_limits(Reader& reader, const Node& section, ConfigDraft& draft);

// Keys of any section that makes a socket.
// The path of a socket that is there once, so without %t.
void read_single_path(Reader& reader, const Node& node, std::string& path);
void read_mode(Reader& reader, const Node& node, mode_t& mode);
// A group that is not there lapses, and whoever it was for stays out. `without` says what is so
// "until a restart".
std::optional<gid_t> read_group(Reader& reader, const Node& node, std::string_view without);
// The same for a socket file, whose mode has been read: without its group it is its owner's alone.
void read_group(Reader& reader, const Node& node, std::string_view without,
                std::optional<gid_t>& group, mode_t& mode);

}  // namespace conf

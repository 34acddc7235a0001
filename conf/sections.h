// The sections of the configuration file, each read from its node into one draft.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "conf/config.h"
#include "conf/document.h"
#include "conf/environment.h"
#include "conf/reader.h"

namespace conf {

struct ListenDraft {
  Listen listen;     // the path not yet expanded
  Place path_place;  // of the values
  Place target_place;
};

// What the files said, before its parts have been held against each other.
struct ConfigDraft {
  std::vector<ListenDraft> listen;
  std::vector<Target> targets;       // those without mistakes
  std::vector<Placed> target_names;  // all
  std::vector<Placed> rule_targets;  // patterns of the rules
  std::vector<Placed> procedures;    // the same
  policy::Rules rules;
  Audit audit;
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
void read_mode(Reader& reader, const Node& node, mode_t& mode);
void read_group(Reader& reader, const Node& node, std::optional<gid_t>& group);

}  // namespace conf

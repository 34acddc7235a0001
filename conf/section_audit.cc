// [audit]
#include <array>
#include <optional>
#include <string_view>

#include "conf/sections.h"
#include "conf/text.h"
#include "conf/time_keys.h"

namespace conf {
namespace {

constexpr Milliseconds kLeastSync{10};

void read_sync(Reader& reader, const Node& node, AuditConfig& audit) {
  if (node.kind == NodeKind::text && node.text == "no") {
    audit.sync = std::nullopt;
  } else if (node.kind == NodeKind::text && node.text == "each") {
    audit.sync = Milliseconds(0);
  } else if (const auto time = reader.time(node, kLeastSync, kLongestTime)) {
    audit.sync = *time;
  }
}

}  // namespace

void read_audit(Reader& reader, const Node& section, ConfigDraft& draft) {
  static constexpr std::array<std::string_view, 3> kKeys = {"file", "calls", "sync"};
  if (!reader.expect(section, NodeKind::table, "a table; write [audit] above its keys")) return;
  reader.expect_keys(section, "[audit]", kKeys);
  if (const Node* node = section.find("file")) {
    draft.audit.file = reader.text(*node, "a path in quotes").value_or("");
    if (node->kind == NodeKind::text &&
        (has_controls(node->text) || !node->text.starts_with('/'))) {
      reader.mistake(node->position, "\"file\" is " + quoted(node->text) +
                                         "; it must be a path "
                                         "that begins with /");
    } else if (!draft.audit.file.empty()) {
      draft.paths.push_back({NamedPath::Kind::parent, draft.audit.file,
                             "the folder of \"file\" of [audit]",
                             reader.position_of(node->position)});
    }
  }
  if (const Node* node = section.find("calls")) {
    draft.audit.calls = reader.boolean(*node).value_or(false);
    if (draft.audit.calls && section.find("file") == nullptr) {
      reader.mistake(node->position,
                     "calls are recorded in a file only, and [audit] has no \"file\"");
    }
  }
  if (const Node* node = section.find("sync")) read_sync(reader, *node, draft.audit);
}

}  // namespace conf

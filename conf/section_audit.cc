// [audit]
#include <array>
#include <string_view>

#include "conf/sections.h"
#include "conf/text.h"

namespace conf {

void read_audit(Reader& reader, const Node& section, ConfigDraft& draft) {
  static constexpr std::array<std::string_view, 2> kKeys = {"file", "calls"};
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
}

}  // namespace conf

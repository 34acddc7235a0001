// [control]
#include <array>
#include <string_view>

#include "conf/sections.h"

namespace conf {

void read_control(Reader& reader, const Node& section, ConfigDraft& draft) {
  static constexpr std::array<std::string_view, 2> kKeys = {"path", "group"};
  if (!reader.expect(section, NodeKind::table, "a table; write [control] above its keys")) return;
  reader.expect_keys(section, "[control]", kKeys);
  if (const Node* node = section.find("path")) {
    read_single_path(reader, *node, draft.control.path);
    draft.control.position = reader.position_of(node->position);
    if (!draft.control.path.empty()) {
      draft.paths.push_back({NamedPath::Kind::parent, draft.control.path,
                             "the folder of \"path\" of [control]", draft.control.position});
    }
  }
  if (const Node* node = section.find("group")) {
    draft.control.group = read_group(
        reader, *node, "only root and the gate's own user may use this socket until a restart");
  }
}

}  // namespace conf

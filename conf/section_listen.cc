// [[listen]]
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "conf/sections.h"
#include "conf/socket_path.h"
#include "conf/text.h"

namespace conf {
namespace {

std::optional<policy::XenAbi> abi_of(Reader& reader, const Node& node) {
  constexpr std::string_view kWanted = "\"x86-64\" or \"i386\"";
  const auto text = reader.text(node, kWanted);
  if (!text) return std::nullopt;
  if (*text == "x86-64") return policy::XenAbi::x86_64;
  if (*text == "i386") return policy::XenAbi::i386;
  reader.mistake(node.position,
                 "\"abi\" is " + quoted(*text) + "; it must be " + std::string(kWanted));
  return std::nullopt;
}

void read_protocol(Reader& reader, const Node& table, Listen& listen) {
  constexpr std::string_view kWanted = "\"libvirt\" or \"xen-proxy\"";
  const Node* protocol = table.find("protocol");
  const Node* abi = table.find("abi");
  const auto name = protocol == nullptr ? std::nullopt : reader.text(*protocol, kWanted);
  if (name == "xen-proxy") {
    listen.xen_proxy = policy::XenAbi::x86_64;
  } else if (name && name != "libvirt") {
    reader.mistake(protocol->position,
                   "\"protocol\" is " + quoted(*name) + "; it must be " + std::string(kWanted));
  } else if (abi != nullptr && (protocol == nullptr || name)) {
    reader.mistake(abi->key_position, "abi is for sockets with protocol = \"xen-proxy\"");
  }
  if (abi == nullptr) return;
  const auto wanted = abi_of(reader, *abi);
  if (listen.xen_proxy && wanted) listen.xen_proxy = wanted;
}

void read_socket(Reader& reader, const Node& table, ConfigDraft& draft) {
  static constexpr std::array<std::string_view, 6> kKeys = {"path",   "mode",     "group",
                                                            "target", "protocol", "abi"};
  reader.expect_keys(table, "[[listen]]", kKeys);
  ListenDraft out;
  out.listen.position = reader.position_of(table.position);
  if (const Node* node = table.find("mode")) read_mode(reader, *node, out.listen.mode);
  if (const Node* node = table.find("group")) {
    read_group(reader, *node, "this socket is for the gate's own user alone until a restart",
               out.listen.group, out.listen.mode);
  }
  read_protocol(reader, table, out.listen);
  const Node* path = table.find("path");
  if (path == nullptr) {
    reader.mistake(table.position, "[[listen]] has no \"path\"");
    return;
  }
  const Node* target = table.find("target");
  if (target != nullptr) {
    out.listen.target = reader.text(*target, "the name of a target").value_or("");
    out.target_position = reader.position_of(target->position);
  }
  out.listen.path = reader.text(*path, "a path in quotes").value_or("");
  out.path_position = reader.position_of(path->position);
  if (path->kind != NodeKind::text) return;
  if (auto wrong = wrong_socket_path(out.listen.path)) {
    reader.mistake(path->position, std::move(*wrong));
    return;
  }
  if (target != nullptr && out.listen.path.find("%t") != std::string::npos) {
    reader.mistake(target->position, "remove target=: %t in the path already names the target");
    out.listen.target.clear();
  }
  if (out.listen.xen_proxy && target == nullptr &&
      out.listen.path.find("%t") == std::string::npos) {
    reader.mistake(table.position, "[[listen]] with protocol = \"xen-proxy\" has no \"target\"");
  }
  draft.listen.push_back(std::move(out));
}

}  // namespace

void read_listen(Reader& reader, const Node& section, ConfigDraft& draft) {
  for (const Node* table : reader.tables(section, "[[listen]]")) {
    read_socket(reader, *table, draft);
  }
}

}  // namespace conf

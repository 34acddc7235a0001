#include "conf/config.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <system_error>
#include <tuple>
#include <utility>

#include <dirent.h>

#include "base/pattern.h"
#include "conf/document.h"
#include "conf/file.h"
#include "conf/open_uri.h"
#include "conf/reader.h"
#include "conf/sections.h"
#include "conf/socket_path.h"
#include "conf/text.h"

namespace conf {
namespace {

// Takes file by file, and holds the parts against each other at the end.
class Builder {
 public:
  explicit Builder(const Environment& environment) : environment_(environment) {}

  void add_text(std::string_view text, const std::string& file);
  void add_file(const std::string& file);
  void add_folder(const std::string& folder);
  Loaded finish();

 private:
  void mistake(Position position, std::string text) {
    loaded_.mistakes.push_back({std::move(position), std::move(text)});
  }
  void unreadable(const std::string& file, std::string text);
  void check_xen_proxy(const ListenDraft& draft, const std::string& target);
  void add_socket(const ListenDraft& draft, const std::string& path, const std::string& target);
  void expand_sockets();
  void check_presence();
  void check_references();
  void check_taken(const std::string& path, const Position& position);
  [[nodiscard]] std::string no_target(std::string_view name) const;
  [[nodiscard]] bool target_exists(std::string_view pattern) const;

  const Environment& environment_;
  ConfigDraft draft_;
  Loaded loaded_;
  std::vector<std::string> files_;  // in the order in which they came
  bool listen_seen_ = false;
  bool whole_ = true;  // every file has been read to its end
};

void Builder::add_text(std::string_view text, const std::string& file) {
  static constexpr std::array<std::string_view, 7> kSections = {
      "listen", "targets", "policy", "audit", "control", "metrics", "limits"};
  files_.push_back(file);
  Reader reader(file, loaded_.mistakes, loaded_.warnings);
  const auto document = parse_document(text);
  if (!document) {
    reader.mistake(document.error().position, document.error().text);
    whole_ = false;
    return;
  }
  reader.expect_keys(*document, "the file", kSections);
  if (const Node* node = document->find("listen")) {
    listen_seen_ = listen_seen_ || node->kind != NodeKind::array || !node->children.empty();
    read_listen(reader, *node, draft_);
  }
  if (const Node* node = document->find("targets")) {
    read_targets(reader, *node, environment_, draft_);
  }
  if (const Node* node = document->find("policy")) read_policy(reader, *node, draft_);
  if (const Node* node = document->find("audit")) read_audit(reader, *node, draft_);
  if (const Node* node = document->find("control")) read_control(reader, *node, draft_);
  if (const Node* node = document->find("metrics")) read_metrics(reader, *node, draft_);
  if (const Node* node = document->find("limits")) read_limits(reader, *node, draft_);
}

void Builder::unreadable(const std::string& file, std::string text) {
  files_.push_back(file);
  mistake({file}, std::move(text));
  whole_ = false;
}

void Builder::add_file(const std::string& file) {
  const auto text = read_file(file, kLargestConfig);
  if (text) {
    add_text(*text, file);
  } else {
    unreadable(file, text.error().text);
  }
}

void Builder::add_folder(const std::string& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(folder.c_str()), closedir);
  if (stream == nullptr) {
    if (errno == ENOENT) return;
    return unreadable(folder, "cannot be read: " + std::generic_category().message(errno));
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(stream.get())) {
    const std::string_view name = static_cast<const char*>(entry->d_name);
    if (name.ends_with(".toml") && name[0] != '.') names.emplace_back(name);
  }
  if (errno != 0) unreadable(folder, "cannot be read: " + std::generic_category().message(errno));
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    std::string path = folder;
    add_file(path.append("/").append(name));
  }
}

std::string Builder::no_target(std::string_view name) const {
  std::vector<std::string_view> names;
  names.reserve(draft_.target_names.size());
  for (const Positioned& one : draft_.target_names) names.emplace_back(one.text);
  return "there is no target " + quoted(name) + did_you_mean(name, names);
}

bool Builder::target_exists(std::string_view pattern) const {
  return std::any_of(draft_.target_names.begin(), draft_.target_names.end(),
                     [&](const Positioned& name) { return base::matches(pattern, name.text); });
}

void Builder::check_xen_proxy(const ListenDraft& draft, const std::string& target) {
  if (!draft.listen.xen_proxy) return;
  for (const TargetConfig& one : draft_.targets) {
    if (one.name != target || one.protocol == Protocol::rpc) continue;
    mistake(draft.listen.target.empty() ? draft.path_position : draft.target_position,
            "target " + quoted(target) + " is a legacy xend; a socket with protocol = " +
                "\"xen-proxy\" needs one that speaks libvirt's RPC");
  }
}

void Builder::add_socket(const ListenDraft& draft, const std::string& path,
                         const std::string& target) {
  check_xen_proxy(draft, target);
  if (path.size() > kLongestSocketPath) {
    mistake(draft.path_position,
            "the path " + quoted(path) + " has " + std::to_string(path.size()) +
                " bytes; a socket's path can have " + std::to_string(kLongestSocketPath));
    return;
  }
  for (const Listen& other : loaded_.config.listen) {
    if (other.path != path) continue;
    mistake(draft.path_position, "there is a socket " + quoted(path) + " already, in " +
                                     other.position.file + " line " +
                                     std::to_string(other.position.line));
    return;
  }
  Listen& listen = loaded_.config.listen.emplace_back(draft.listen);
  listen.path = path;
  listen.target = target;
  if (path.starts_with('@')) return;
  draft_.paths.push_back(
      {NamedPath::Kind::parent, path, "the folder of this socket", draft.path_position});
}

void Builder::expand_sockets() {
  for (const ListenDraft& draft : draft_.listen) {
    const std::string& path = draft.listen.path;
    if (path.find("%t") == std::string::npos) {
      add_socket(draft, path, draft.listen.target);
      continue;
    }
    for (const Positioned& name : draft_.target_names) {
      std::string expanded = path;
      for (std::size_t at = 0; (at = expanded.find("%t", at)) != std::string::npos;
           at += name.text.size()) {
        expanded.replace(at, 2, name.text);
      }
      add_socket(draft, expanded, name.text);
    }
  }
}

// A file that could not be read may be the one that has what is missing.
void Builder::check_presence() {
  const Position whole{files_.empty() ? std::string() : files_.front()};
  if (!whole_) return;
  if (draft_.target_names.empty() && draft_.rules.open_uris.empty())
    mistake(whole, "no targets: add  [targets]  NAME = \"qemu+ssh://...\"");
  if (!listen_seen_)
    mistake(whole, "no sockets: add  [[listen]]  path = \"/run/virtgate/virtgate-sock\"");
}

void Builder::check_references() {
  if (!whole_) return;
  for (const ListenDraft& draft : draft_.listen) {
    const std::string& target = draft.listen.target;
    if (target.empty() || (target.find('*') == std::string::npos && target_exists(target))) {
      continue;
    }
    mistake(draft.target_position, no_target(target));
  }
  for (const Positioned& pattern : draft_.rule_targets) {
    if (target_exists(pattern.text)) continue;
    const bool opens = !draft_.rules.open_uris.empty();
    if (is_uri_pattern(pattern.text) || (opens && pattern.text == "*")) {
      if (!opens) {
        mistake(
            pattern.position,
            quoted(pattern.text) + " is a pattern of URIs, and no open_uris let clients name any");
      }
      continue;
    }
    mistake(pattern.position, pattern.text.find('*') == std::string::npos
                                  ? no_target(pattern.text)
                                  : "no target's name is like " + quoted(pattern.text));
  }
}

// The sockets of metrics and control must not have the path of a [[listen]].
void Builder::check_taken(const std::string& path, const Position& position) {
  if (path.empty()) return;
  for (const Listen& other : loaded_.config.listen) {
    if (other.path != path) continue;
    mistake(position, "there is a socket " + quoted(path) + " already, in " + other.position.file +
                          " line " + std::to_string(other.position.line));
    return;
  }
}

Loaded Builder::finish() {
  check_presence();
  check_references();
  expand_sockets();
  check_taken(draft_.control.path, draft_.control.position);
  check_taken(draft_.metrics.socket, draft_.metrics.position);
  if (!draft_.control.path.empty() && draft_.control.path == draft_.metrics.socket) {
    mistake(draft_.metrics.position, "this is the socket of [control] already");
  }
  in_order(loaded_.mistakes, files_);
  in_order(loaded_.warnings, files_);
  loaded_.config.targets = std::move(draft_.targets);
  loaded_.config.rules = std::move(draft_.rules);
  loaded_.procedures = std::move(draft_.procedures);
  loaded_.rules = std::move(draft_.rule_positions);
  loaded_.paths = std::move(draft_.paths);
  loaded_.files = std::move(files_);
  loaded_.config.audit = std::move(draft_.audit);
  loaded_.config.control = std::move(draft_.control);
  loaded_.config.metrics = std::move(draft_.metrics);
  loaded_.config.limits = draft_.limits;
  return std::move(loaded_);
}

}  // namespace

void in_order(std::vector<Mistake>& found, const std::vector<std::string>& files) {
  const auto key = [&](const Mistake& one) {
    const auto file = std::find(files.begin(), files.end(), one.position.file);
    return std::tuple(file - files.begin(), one.position.line, one.position.column);
  };
  std::stable_sort(found.begin(), found.end(),
                   [&](const Mistake& a, const Mistake& b) { return key(a) < key(b); });
}

Loaded parse_config(std::string_view text, const std::string& file,
                    const Environment& environment) {
  Builder builder(environment);
  builder.add_text(text, file);
  return builder.finish();
}

Loaded load_config(const std::string& file, const std::string& drop_ins,
                   const Environment& environment) {
  Builder builder(environment);
  builder.add_file(file);
  if (!drop_ins.empty()) builder.add_folder(drop_ins);
  return builder.finish();
}

}  // namespace conf

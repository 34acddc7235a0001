#include "conf/explain.h"

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "conf/mask.h"

namespace conf {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kLongestLine = 4096;

class Table {
 public:
  void row(std::string_view label, std::string_view value) {
    std::string left(label);
    left.resize(kWidth, ' ');
    text_ += "  " + left + base::printable(masked(value), kLongestLine) + '\n';
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  static constexpr std::size_t kWidth = 11;
  std::string text_;
};

std::string where(const SocketCandidate& candidate) {
  if (!candidate.exists) return " (on the far host)";
  return *candidate.exists ? " (is there)" : " (is not there)";
}

std::string flags_text(unsigned flags) {
  std::string out = std::to_string(flags);
  if ((flags & kConnectReadOnly) != 0) out += ", read-only";
  if ((flags & kOpenUserDaemon) != 0) out += ", the user's own daemon";
  if ((flags & kOpenAutostart) != 0) out += ", which may be started";
  return out;
}

// The user that ssh is started for is an argument of its own.
std::vector<std::string> shown_command(const Resolution& resolution) {
  std::vector<std::string> out = resolution.command;
  for (std::string& argument : out) {
    argument = argument == resolution.user ? masked_user(argument) : masked(argument);
  }
  return out;
}

void add_way(Table& table, const Resolution& resolution) {
  if (resolution.transport.empty()) {
    if (!resolution.error) table.row("transport", "none, the driver is in the client");
    return;
  }
  table.row("transport", resolution.transport + (resolution.secure ? "" : ", not protected"));
  if (!resolution.user.empty()) table.row("user", masked_user(resolution.user));
  if (!resolution.host.empty()) table.row("host", resolution.host);
  if (resolution.port != 0) table.row("port", std::to_string(resolution.port));
  for (const SocketCandidate& one : resolution.candidates) {
    const bool taken = one.path == resolution.socket;
    table.row(taken ? "socket" : "not taken", one.path + where(one));
  }
  const std::vector<std::string> command = shown_command(resolution);
  for (std::size_t i = 0; i < command.size(); ++i) {
    table.row(i == 0 ? "command" : "argument", command[i]);
  }
  if (resolution.name) {
    table.row("name sent", resolution.name->empty() ? "(empty)" : *resolution.name);
    table.row("flags sent", flags_text(resolution.flags));
  }
}

std::string numbered(const std::vector<std::string>& lines) {
  std::string out;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    out += "  " + std::to_string(i + 1) + ". " + base::printable(masked(lines[i]), kLongestLine) +
           '\n';
  }
  return out;
}

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(masked(text)); }
Json text_or_null(const std::optional<std::string>& text) {
  return text ? Json(masked(*text)) : Json();
}

Json socket_json(const Resolution& resolution) {
  if (!resolution.socket) return {};
  Json candidates = Json::array();
  for (const SocketCandidate& one : resolution.candidates) {
    candidates.push_back({{"path", one.path}, {"exists", one.exists ? Json(*one.exists) : Json()}});
  }
  return {{"path", *resolution.socket}, {"candidates", std::move(candidates)}};
}

Json parameters_json(const Resolution& resolution) {
  Json out = Json::array();
  for (const ParameterMeaning& one : resolution.parameters) {
    out.push_back(
        {{"name", one.name}, {"value", masked(one.value)}, {"use", parameter_use_name(one.use)}});
  }
  return out;
}

}  // namespace

std::string explained(const Resolution& resolution) {
  std::string out = "Steps:\n" + numbered(resolution.steps);
  if (resolution.error) {
    out += "It fails: " + base::printable(masked(*resolution.error), kLongestLine) + '\n';
    if (!resolution.notes.empty()) out += "Notes:\n" + numbered(resolution.notes);
    return out;
  }
  Table table;
  if (!resolution.uri.empty()) table.row("URI", resolution.uri);
  if (!resolution.driver.empty()) table.row("driver", resolution.driver);
  if (!resolution.path.empty()) table.row("path", resolution.path);
  add_way(table, resolution);
  out += "Result:\n" + table.text();
  if (!resolution.parameters.empty()) {
    Table parameters;
    for (const ParameterMeaning& one : resolution.parameters) {
      parameters.row(parameter_use_name(one.use), one.name + '=' + one.value);
    }
    out += "Parameters:\n" + parameters.text();
  }
  if (!resolution.notes.empty()) out += "Notes:\n" + numbered(resolution.notes);
  return out;
}

std::string as_json(const Resolution& resolution) {
  Json out;
  out["input"] = text_or_null(resolution.input);
  out["source"] = text_or_null(resolution.source);
  out["alias"] = text_or_null(resolution.alias);
  out["uri"] = text_or_null(resolution.uri);
  out["driver"] = text_or_null(resolution.driver);
  out["transport"] = text_or_null(resolution.transport);
  out["user"] = text_or_null(masked_user(resolution.user));
  out["host"] = text_or_null(resolution.host);
  out["port"] = resolution.port == 0 ? Json() : Json(resolution.port);
  out["path"] = text_or_null(resolution.path);
  out["socket"] = socket_json(resolution);
  out["command"] = resolution.command.empty() ? Json() : Json(shown_command(resolution));
  out["name"] = text_or_null(resolution.name);
  out["parameters"] = parameters_json(resolution);
  out["notes"] = Json::array();
  for (const std::string& note : resolution.notes) out["notes"].push_back(masked(note));
  if (resolution.error) out["error"] = masked(*resolution.error);
  return out.dump(2, ' ', true, Json::error_handler_t::replace) + '\n';
}

}  // namespace conf

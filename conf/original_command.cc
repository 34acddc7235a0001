#include "conf/original_command.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "conf/text.h"

namespace conf {
namespace {

constexpr std::string_view kNotNeedingQuotes = "_./@%+,:=-";
constexpr std::string_view kEscapedQuote = "'\\''";

bool is_inert(char c) {
  return is_letter(c) || is_digit(c) || kNotNeedingQuotes.find(c) != std::string_view::npos;
}

// One word in single quotes, from the beginning of `text`, which loses it.
std::optional<std::string> take_quoted(std::string_view& text) {
  if (!text.starts_with('\'')) return std::nullopt;
  std::string out;
  std::size_t at = 1;
  while (at < text.size()) {
    if (text.substr(at).starts_with(kEscapedQuote)) {
      out += '\'';
      at += kEscapedQuote.size();
    } else if (text[at] == '\'') {
      text.remove_prefix(at + 1);
      return out;
    } else {
      out += text[at++];
    }
  }
  return std::nullopt;
}

// A word as one shell gets it: in quotes, or bare when it has nothing that would need them.
std::optional<std::string> once_unescaped(std::string_view text) {
  if (!text.starts_with('\'')) return std::string(text);
  auto word = take_quoted(text);
  return text.empty() ? word : std::nullopt;
}

class CommandReader {
 public:
  explicit CommandReader(std::string_view text) : rest_(text) {}

  std::optional<RemoteCommand> run();

 private:
  bool eat(std::string_view words);
  bool helper_alone();
  bool helper();
  bool netcat();
  bool twice_escaped(std::string& to);

  std::string_view rest_;
  RemoteCommand out_;
};

std::optional<RemoteCommand> CommandReader::run() {
  out_.netcat.clear();
  bool good = false;
  if (!eat("sh -c '")) {
    out_.helper = tunnel::RemoteProxy::native;
    good = helper_alone();
  } else if (eat("which virt-ssh-helper 1>/dev/null 2>&1; if test $? = 0; then     ")) {
    out_.helper = tunnel::RemoteProxy::automatic;
    good = helper() && eat("; else    ") && netcat() && eat("; fi'");
  } else if (rest_.starts_with("virt-ssh-helper ")) {
    out_.helper = tunnel::RemoteProxy::native;
    good = helper() && eat("'");
  } else {
    out_.helper = tunnel::RemoteProxy::netcat;
    good = netcat() && eat("'");
  }
  if (!good || !rest_.empty()) return std::nullopt;
  return std::move(out_);
}

bool CommandReader::eat(std::string_view words) {
  if (!rest_.starts_with(words)) return false;
  rest_.remove_prefix(words.size());
  return true;
}

bool CommandReader::helper_alone() {
  if (!eat("virt-ssh-helper ")) return false;
  out_.read_only = eat("-r ");
  const bool bare = !rest_.starts_with('\'');
  if (bare && (rest_.empty() || !std::all_of(rest_.begin(), rest_.end(), is_inert))) return false;
  auto word = once_unescaped(std::exchange(rest_, {}));
  if (!word || word->starts_with('-')) return false;
  out_.name = std::move(*word);
  return true;
}

bool CommandReader::helper() {
  if (!eat("virt-ssh-helper ")) return false;
  out_.read_only = eat("-r ");
  return twice_escaped(out_.name);
}

bool CommandReader::netcat() {
  std::string again;
  const bool good =
      eat("if ") && twice_escaped(out_.netcat) &&
      eat(" -q 2>&1 | grep \"requires an argument\" >/dev/null 2>&1; then ARG=-q0;else "
          "ARG=;fi;") &&
      twice_escaped(again) && again == out_.netcat && eat(" $ARG -U ");
  const auto end = std::find_if_not(rest_.begin(), rest_.end(), is_inert);
  out_.socket.assign(rest_.begin(), end);
  rest_.remove_prefix(out_.socket.size());
  return good && out_.socket.starts_with('/');
}

// A word that needs quotes has been quoted for two shells, the outer quotes being those of neither.
bool CommandReader::twice_escaped(std::string& to) {
  if (!eat("'")) return false;
  std::optional<std::string> once;
  if (rest_.starts_with('\'')) {
    once = take_quoted(rest_);
  } else {
    const std::size_t end = std::min(rest_.find('\''), rest_.size());
    once = std::string(rest_.substr(0, end));
    rest_.remove_prefix(end);
  }
  if (!once || !eat("'")) return false;
  auto word = once_unescaped(*once);
  if (!word) return false;
  to = std::move(*word);
  return true;
}

// Reading is lenient in what it takes for a word; writing is not.
bool is_what_libvirt_writes(const RemoteCommand& command, std::string_view text) {
  return !text.starts_with("sh ") || remote_command(command) == text;
}

}  // namespace

base::Result<RemoteCommand, std::string> parse_original_command(std::string_view text) {
  if (text.size() > kLongestOriginalCommand) {
    return base::Failure{"the command has " + std::to_string(text.size()) +
                         " bytes, more than any of libvirt's"};
  }
  auto command = CommandReader(text).run();
  if (!command || has_controls(command->name) || has_controls(command->netcat) ||
      !is_what_libvirt_writes(*command, text)) {
    return base::Failure{"the command " + quoted(text) +
                         " is not a command with which libvirt's clients ask for a daemon"};
  }
  return std::move(*command);
}

}  // namespace conf

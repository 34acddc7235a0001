#include "conf/auth_conf.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/text.h"
#include "conf/file.h"
#include "conf/text.h"
#include "conf/values.h"

namespace conf {
namespace {

constexpr std::string_view kService = "libvirt";

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::string_view without_leading(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  return text;
}

std::string_view without_trailing(std::string_view text) {
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// What GLib makes of the text of a value: a backslash that begins nothing stays, the last of all
// goes.
base::Secret unescaped(std::string_view text) {
  base::Secret out(text.size());
  std::size_t size = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out.data()[size++] = static_cast<std::uint8_t>(text[i]);
      continue;
    }
    if (++i == text.size()) break;
    constexpr std::string_view kEscapes = "sntr\\";
    constexpr std::string_view kMeanings = " \n\t\r\\";
    const std::size_t which = kEscapes.find(text[i]);
    if (which == std::string_view::npos) out.data()[size++] = '\\';
    const char meant = which == std::string_view::npos ? text[i] : kMeanings[which];
    out.data()[size++] = static_cast<std::uint8_t>(meant);
  }
  out.shrink(size);
  return out;
}

std::string section_name(std::string_view section) {
  return '[' + base::shortened(section, 256) + ']';
}

std::string joined(const std::vector<std::string>& paths) {
  std::string out;
  for (const std::string& path : paths) {
    if (!out.empty()) out += ", ";
    out += base::shortened(path);
  }
  return out;
}

std::string how_to_write(std::string_view host) {
  return "it needs " + section_name("auth-" + std::string(kService) + "-" + std::string(host)) +
         " with credentials=NAME, and [credentials-NAME] with authname= and password=";
}

}  // namespace

class AuthConfParser {
 public:
  explicit AuthConfParser(std::string_view text) : rest_(text) {}

  base::Result<AuthConf, AuthConfError> run() {
    if (rest_.size() > kLargestAuthConf) return base::Failure{AuthConfError{0, "is too large"}};
    if (rest_.find('\0') != std::string_view::npos) {
      return base::Failure{AuthConfError{0, "has a NUL byte"}};
    }
    while (!rest_.empty()) {
      ++number_;
      const char* wrong = take(next_line());
      if (wrong != nullptr) return base::Failure{AuthConfError{number_, wrong}};
    }
    return std::move(conf_);
  }

 private:
  std::string_view next_line() {
    const std::size_t end = rest_.find('\n');
    std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    if (end != std::string_view::npos && line.ends_with('\r')) line.remove_suffix(1);
    return without_leading(line);
  }

  // The complaint about a line, or nullptr.
  const char* take(std::string_view line) {
    if (line.empty() || line[0] == '#') return nullptr;
    return line[0] == '[' ? section(line) : entry(line);
  }

  const char* section(std::string_view line) {
    const std::size_t bracket = line.find(']');
    if (bracket == std::string_view::npos) return "the name of a section must end with ]";
    if (!without_leading(line.substr(bracket + 1)).empty()) {
      return "nothing can stand behind the name of a section";
    }
    const std::string_view name = line.substr(1, bracket - 1);
    if (name.empty() || name.find('[') != std::string_view::npos || has_controls(name)) {
      return "this cannot be the name of a section";
    }
    conf_.entries_.push_back({name, {}, {}, number_});
    in_section_ = true;
    section_ = name;
    return nullptr;
  }

  const char* entry(std::string_view line) {
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return "expecting [section], key=value or # comment";
    }
    const std::string_view key = without_trailing(line.substr(0, equals));
    if (!in_section_) return "there is a value before the first section";
    conf_.entries_.push_back({section_, key, without_leading(line.substr(equals + 1)), number_});
    return nullptr;
  }

  std::string_view rest_;
  std::uint32_t number_ = 0;
  bool in_section_ = false;
  std::string_view section_;
  AuthConf conf_;
};

base::Result<AuthConf, AuthConfError> AuthConf::parse(std::string_view text) {
  return AuthConfParser(text).run();
}

const AuthConf::Entry* AuthConf::entry(std::string_view section, std::string_view key) const {
  const auto found = std::find_if(entries_.rbegin(), entries_.rend(), [&](const Entry& e) {
    return e.section == section && e.key == key;
  });
  return found == entries_.rend() ? nullptr : &*found;
}

base::Result<std::optional<Credentials>, AuthConfError> AuthConf::find(
    std::string_view service, std::string_view host) const {
  const std::string prefix = "auth-" + std::string(service) + "-";
  std::string section = prefix + std::string(host);
  if (entry(section, {}) == nullptr) section = prefix + "default";
  const Entry* place = entry(section, {});
  if (place == nullptr) return std::optional<Credentials>();
  const Entry* name = entry(section, "credentials");
  if (name == nullptr) {
    return base::Failure{
        AuthConfError{place->line, section_name(section) + " has no credentials="}};
  }
  const std::string wanted = "credentials-" + std::string(unescaped(name->value).text());
  if (entry(wanted, {}) == nullptr) {
    return base::Failure{
        AuthConfError{name->line, section_name(section) +
                                      " names credentials that have no section: there is no " +
                                      section_name(wanted)}};
  }
  const auto value = [&](std::string_view key) -> std::optional<std::string> {
    const Entry* found = entry(wanted, key);
    if (found == nullptr) return std::nullopt;
    return std::string(unescaped(found->value).text());
  };
  Credentials credentials;
  credentials.place = section_name(wanted);
  credentials.authname = value("authname");
  credentials.username = value("username");
  credentials.realm = value("realm");
  if (const Entry* found = entry(wanted, "password")) {
    credentials.password = unescaped(found->value);
  }
  return std::optional<Credentials>(std::move(credentials));
}

namespace {

base::Result<Credentials, base::Problem> credentials_in(const std::string& path,
                                                        std::string_view text,
                                                        std::string_view host) {
  const auto wrong = [&](const AuthConfError& error) {
    return base::Failure{to_string(Mistake{{path, error.line}, error.text})};
  };
  const auto conf = AuthConf::parse(text);
  if (!conf) return wrong(conf.error());
  auto found = conf->find(kService, host);
  if (!found) return wrong(found.error());
  if (!*found) {
    return base::Failure{base::shortened(path) + " has no credentials for this host; " +
                         how_to_write(host) + "; [auth-libvirt-default] is for all hosts"};
  }
  Credentials credentials = std::move(**found);
  credentials.place += " in " + base::shortened(path);
  return credentials;
}

}  // namespace

std::vector<std::string> auth_conf_paths(const Environment& environment,
                                         const std::string& authfile) {
  if (!environment.auth_file.empty()) return {environment.auth_file};
  if (!authfile.empty()) return {authfile};
  std::vector<std::string> paths;
  if (!environment.credentials_directory.empty()) {
    paths.push_back(environment.credentials_directory + "/auth.conf");
  }
  if (!environment.config_home.empty()) {
    paths.push_back(environment.config_home + "/libvirt/auth.conf");
  } else if (!environment.home.empty()) {
    paths.push_back(environment.home + "/.config/libvirt/auth.conf");
  }
  paths.push_back(environment.system_folder + "/auth.conf");
  return paths;
}

base::Result<Credentials, base::Problem> read_credentials(
    const Environment& environment, const std::string& authfile, const std::string& host,
    const std::function<void(const std::string& path)>& look) {
  const std::vector<std::string> paths = auth_conf_paths(environment, authfile);
  std::string unreadable;
  for (const std::string& path : paths) {
    if (look) look(path);
    const auto text = read_secret_file(path, kLargestAuthConf, environment.uid);
    if (text) return credentials_in(path, text->text(), host);
    const int code = text.error().code;
    if (code == ENOENT || code == ENOTDIR) continue;
    std::string complaint = base::shortened(path) + ' ' + text.error().text;
    if (code != EACCES) {
      return base::Failure{base::Problem{std::move(complaint), base::is_shortage(code)}};
    }
    if (unreadable.empty()) unreadable = std::move(complaint);
  }
  if (!unreadable.empty()) return base::Failure{std::move(unreadable)};
  return base::Failure{"there is no " + joined(paths) + "; " + how_to_write(host)};
}

}  // namespace conf

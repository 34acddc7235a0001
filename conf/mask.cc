#include "conf/mask.h"

#include <algorithm>

#include "conf/text.h"

namespace conf {
namespace {

constexpr std::string_view kMask = "***";
constexpr std::string_view kMark = "://";
// No word of a text goes beyond these.
constexpr std::string_view kBetween = " \t\r\n\"'";
// Bounds what a text with many :// costs.
constexpr std::size_t kLongestUser = 4096;

// Where the password begins in what stands before the @; npos: there is none.
std::size_t password_in(std::string_view user) {
  for (std::size_t at = 0; at < user.size(); ++at) {
    if (user[at] == ':') return at + 1;
    if (same_ignoring_case(user.substr(at, 3), "%3a")) return at + 3;
  }
  return std::string_view::npos;
}

// Up to the @ of an authority. A password with a slash in it ends the authority too early, and
// shows itself by what is no port.
std::string_view user_part(std::string_view rest) {
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?# \t\r\n\"'"));
  if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
    return authority.substr(0, at);
  }
  const std::size_t password = password_in(authority);
  if (password == std::string_view::npos || authority.starts_with('[')) return {};
  const std::string_view port = authority.substr(password);
  if (std::all_of(port.begin(), port.end(), is_digit)) return {};
  rest = rest.substr(0, std::min(rest.find_first_of(kBetween), kLongestUser));
  const std::size_t at = rest.rfind('@');
  return at == std::string_view::npos ? std::string_view() : rest.substr(0, at);
}

// Of what has a :// in it.
std::string masked_uri(std::string_view text) {
  std::string out;
  for (std::size_t mark = text.find(kMark); mark != std::string_view::npos;
       mark = text.find(kMark)) {
    out += text.substr(0, mark + kMark.size());
    text.remove_prefix(mark + kMark.size());
    const std::string_view user = user_part(text);
    const std::size_t password = password_in(user);
    if (password == std::string_view::npos) continue;
    out += user.substr(0, password);
    out += kMask;
    text.remove_prefix(user.size());
  }
  return out += text;
}

// USER:PASSWORD@HOST, perhaps with what was to be a driver in front.
std::string masked_word(std::string_view word) {
  const std::size_t first = word.find('@');
  if (first == std::string_view::npos) return std::string(word);
  if (word.find(kMark) != std::string_view::npos) return masked_uri(word);
  std::size_t password = password_in(word.substr(0, first));
  if (password == std::string_view::npos) return std::string(word);
  const std::size_t more = password_in(word.substr(password, first - password));
  const std::string_view before = word.substr(0, password);
  if (before.find('+') != before.npos && before.find('/') == before.npos) {
    if (more == std::string_view::npos) return std::string(word);
    password += more;
  }
  const std::size_t end = word.rfind('@');
  if (password == end) return std::string(word);
  return std::string(word.substr(0, password)).append(kMask).append(word.substr(end));
}

}  // namespace

std::string masked(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(kBetween), text.size());
    out += masked_word(text.substr(0, end));
    text.remove_prefix(end);
    const std::size_t next = std::min(text.find_first_not_of(kBetween), text.size());
    out += text.substr(0, next);
    text.remove_prefix(next);
  }
  return out;
}

std::string masked_user(std::string_view user) {
  const std::size_t colon = user.find(':');
  if (colon == std::string_view::npos) return std::string(user);
  return std::string(user.substr(0, colon + 1)).append(kMask);
}

}  // namespace conf

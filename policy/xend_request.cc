#include "policy/xend_request.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/text.h"

namespace policy {
namespace {

constexpr std::string_view kNode = "/xend/node/";
constexpr std::string_view kDomains = "/xend/domain";
constexpr std::size_t kLongestName = 255;
constexpr std::size_t kShown = 128;

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Signs that no URL needs to escape, so that nothing can be decoded once more behind us.
bool in_name(char c) {
  return is_alphanumeric(c) || std::string_view("_-.:+").find(c) != std::string_view::npos;
}

std::string quoted(std::string_view text) { return '"' + base::shortened(text, kShown) + '"'; }

// Nothing: a percent sign stands without two digits.
std::optional<std::string> decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const int high = base::hex_digit(text[i + 1]);
    const int low = base::hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

// RFC 3986: what may stand in a path and a query unescaped.
bool in_target(char c) {
  return is_alphanumeric(c) ||
         std::string_view("-._~!$&'()*+,;=:@/?%").find(c) != std::string_view::npos;
}

}  // namespace

XendRequest::State XendRequest::feed(base::Bytes data) {
  if (state_ != State::reading) return state_;
  switch (head_.feed(data)) {
    case HttpHead::State::reading:
      break;
    case HttpHead::State::complete:
      judge();
      break;
    case HttpHead::State::malformed:
      refuse(http::kBadRequest, "the request is malformed: " + head_.wrong());
      break;
    case HttpHead::State::long_line:
      refuse(http::kUriTooLong,
             "the first line is longer than " + std::to_string(kLongestLine) + " bytes");
      break;
    case HttpHead::State::long_fields:
      refuse(http::kFieldsTooLarge, "there are more than " + std::to_string(kMostFields) +
                                        " fields or " + std::to_string(kLongestFields) +
                                        " bytes of them");
      break;
  }
  return state_;
}

void XendRequest::judge() {
  if (judge_line() && judge_fields()) state_ = State::accepted;
}

bool XendRequest::refuse(int status, std::string text) {
  state_ = State::refused;
  reason_ = std::move(text);
  refusal_ = http_text(status, reason_);
  question_ = {};
  return false;
}

bool XendRequest::judge_line() {
  const std::string_view line = head_.first_line();
  const std::size_t first = line.find(' ');
  const std::size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos || line.find(' ', second + 1) != std::string_view::npos) {
    return refuse(http::kBadRequest, "the first line is not METHOD PATH VERSION");
  }
  const std::string_view version = line.substr(second + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    return refuse(http::kBadRequest,
                  "the version is " + quoted(version) + "; HTTP/1.1 and HTTP/1.0 are understood");
  }
  old_version_ = version == "HTTP/1.0";
  return judge_method(line.substr(0, first)) &&
         judge_target(line.substr(first + 1, second - first - 1));
}

bool XendRequest::judge_method(std::string_view method) {
  if (method == "GET") return true;
  return refuse(http::kForbidden, "the method is " + quoted(method) + ", and only GET reads");
}

bool XendRequest::judge_target(std::string_view target) {
  if (target.empty() || target.front() != '/') {
    return refuse(http::kForbidden, "what is asked for is " + quoted(target) +
                                        ", and only a path that begins with / will do");
  }
  if (!std::all_of(target.begin(), target.end(), in_target)) {
    return refuse(http::kBadRequest,
                  "the path " + quoted(target) + " has characters that no URL has");
  }
  const std::size_t mark = target.find('?');
  if (!judge_path(target.substr(0, mark))) return false;
  if (mark == std::string_view::npos) return judge_query({});
  if (mark + 1 == target.size()) return refuse(http::kForbidden, "the query is empty");
  return judge_query(target.substr(mark + 1));
}

// Judged after decoding, once; a slash that was escaped is no separator and occurs in no name.
bool XendRequest::judge_path(std::string_view path) {
  const auto all = decoded(path);
  if (!all)
    return refuse(http::kBadRequest, "a percent sign stands without two hexadecimal digits");
  const bool escaped_slash =
      std::count(all->begin(), all->end(), '/') != std::count(path.begin(), path.end(), '/');
  if (!escaped_slash && (*all == kNode || *all + '/' == kNode)) {
    question_.path = kNode;
    return true;
  }
  const std::string domains = std::string(kDomains) + '/';
  if (!escaped_slash && (*all == kDomains || *all == domains)) {
    question_.path = kDomains;
    question_.answer = SexprKind::names;
    return true;
  }
  if (escaped_slash || !all->starts_with(domains)) {
    return refuse(http::kForbidden,
                  "the path is " + quoted(path) +
                      "; /xend/node/, /xend/domain and /xend/domain/NAME can be read");
  }
  const std::string name = all->substr(domains.size());
  const bool fine = name.size() <= kLongestName && std::all_of(name.begin(), name.end(), in_name);
  if (!fine || name == "." || name == "..") {
    return refuse(http::kForbidden,
                  quoted(name) +
                      " cannot be the name, UUID or ID of a domain; it must be of "
                      "letters, digits, _ - . : and +");
  }
  question_.path = domains + name;
  return true;
}

bool XendRequest::judge_query(std::string_view query) {
  const bool is_list = question_.path == kDomains;
  const bool is_domain = !is_list && question_.path != kNode;
  if (query.empty()) {
    if (!is_domain) return true;
    return refuse(http::kForbidden, "a domain is read with ?detail=1 or ?op=vcpuinfo");
  }
  if (query.find('&') != std::string_view::npos || query.find(';') != std::string_view::npos) {
    return refuse(http::kForbidden, "the query " + quoted(query) + " has more than one key");
  }
  const std::size_t equals = query.find('=');
  const auto key = decoded(query.substr(0, equals));
  const auto value =
      decoded(equals == std::string_view::npos ? std::string_view() : query.substr(equals + 1));
  if (!key || !value) {
    return refuse(http::kBadRequest, "a percent sign stands without two hexadecimal digits");
  }
  const bool detail = *key == "detail" && *value == "1" && (is_list || is_domain);
  const bool halted = *key == "state" && *value == "halted" && is_list;
  const bool vcpus = *key == "op" && *value == "vcpuinfo" && is_domain;
  if (!detail && !halted && !vcpus) {
    return refuse(http::kForbidden, "the query is " + quoted(query) +
                                        "; a domain can be read with detail=1 and op=vcpuinfo, and "
                                        "/xend/domain with state=halted and detail=1");
  }
  question_.path += '?' + *key + '=' + *value;
  return true;
}

bool XendRequest::judge_fields() {
  const std::size_t hosts = head_.count("host");
  if (hosts > 1 || (hosts == 0 && !old_version_)) {
    return refuse(http::kBadRequest,
                  "the request needs one field Host, and has " + std::to_string(hosts));
  }
  if (head_.count("transfer-encoding") > 0) {
    return refuse(http::kForbidden, "the request has a body, and what reads has none");
  }
  const auto length = head_.content_length();
  if (!length) return refuse(http::kBadRequest, "the request is malformed: " + length.error());
  if (length->value_or(0) == 0) return true;
  return refuse(http::kForbidden, "the request has a body, and what reads has none");
}

std::string xend_request(const XendQuestion& question, std::string_view host) {
  std::string out = "GET " + question.path + " HTTP/1.1\r\nHost: ";
  out += host;
  out += "\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n";
  return out;
}

}  // namespace policy

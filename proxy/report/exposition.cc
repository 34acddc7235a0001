#include "proxy/report/exposition.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/text.h"

namespace proxy {
namespace {

// In OpenMetrics a quote is escaped in help too; Prometheus's text would show the backslash.
void append_escaped(std::string& to, std::string_view text, bool quotes) {
  for (const char c : text) {
    if (c == '\n') {
      to += "\\n";
    } else {
      if (c == '\\' || (c == '"' && quotes)) to += '\\';
      to += c;
    }
  }
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> out;
  for (;;) {
    const std::size_t end = text.find(at);
    out.push_back(base::trimmed(text.substr(0, end)));
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

std::string lowered(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

// A qvalue in thousandths; nothing: it is malformed.
std::optional<int> weight_of(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  int weight = (text[0] - '0') * 1000;
  if (text.size() == 1) return weight;
  if (text[1] != '.') return std::nullopt;
  int unit = 100;
  for (const char c : text.substr(2)) {
    if (c < '0' || c > '9') return std::nullopt;
    weight += (c - '0') * unit;
    unit /= 10;
  }
  return weight <= 1000 ? std::optional(weight) : std::nullopt;
}

struct Preference {
  std::string type;
  std::string version;
  int weight = 1000;
};

Preference preference_of(std::string_view item) {
  Preference out;
  const std::vector<std::string_view> parts = split(item, ';');
  out.type = lowered(parts.front());
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const std::string part = lowered(parts[i]);
    if (part.starts_with("q="))
      out.weight = weight_of(std::string_view(part).substr(2)).value_or(0);
    if (part.starts_with("version=")) out.version = part.substr(8);
  }
  return out;
}

}  // namespace

std::string_view content_type(MetricsFormat format) {
  return format == MetricsFormat::openmetrics
             ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
             : "text/plain; version=0.0.4; charset=utf-8";
}

MetricsFormat wanted_format(std::string_view accept) {
  int openmetrics = 0;
  int plain = 0;
  for (const std::string_view item : split(accept, ',')) {
    const Preference one = preference_of(item);
    if (one.type == "application/openmetrics-text" &&
        (one.version.empty() || one.version == "1.0.0")) {
      openmetrics = std::max(openmetrics, one.weight);
    }
    if (one.type == "text/plain") plain = std::max(plain, one.weight);
  }
  return openmetrics > 0 && openmetrics >= plain ? MetricsFormat::openmetrics
                                                 : MetricsFormat::prometheus;
}

std::string shown_seconds(std::uint64_t milliseconds) {
  std::string out = std::to_string(milliseconds / 1000) + '.';
  const std::string rest = std::to_string(1000 + milliseconds % 1000).substr(1);
  const std::size_t end = rest.find_last_not_of('0');
  return out + rest.substr(0, end == std::string::npos ? 1 : end + 1);
}

void Exposition::family(std::string_view name, std::string_view type, std::string_view unit,
                        std::string_view help, std::string_view suffix) {
  const bool open = format_ == MetricsFormat::openmetrics;
  name_ = name;
  suffix_ = suffix;
  const std::string shown = open ? name_ : name_ + suffix_;
  text_ += "# HELP " + shown + ' ';
  append_escaped(text_, help, open);
  text_ += "\n# TYPE " + shown + ' ';
  text_ += type;
  text_ += '\n';
  if (open && !unit.empty()) {
    text_ += "# UNIT " + shown + ' ';
    text_ += unit;
    text_ += '\n';
  }
}

void Exposition::gauge(std::string_view name, std::string_view unit, std::string_view help) {
  family(name, "gauge", unit, help, "");
}

void Exposition::counter(std::string_view name, std::string_view unit, std::string_view help) {
  family(name, "counter", unit, help, "_total");
}

void Exposition::histogram(std::string_view name, std::string_view unit, std::string_view help) {
  family(name, "histogram", unit, help, "");
}

// Prometheus's text has no such type.
void Exposition::info(std::string_view name, std::string_view help) {
  family(name, format_ == MetricsFormat::openmetrics ? "info" : "gauge", "", help, "_info");
}

void Exposition::begin_sample(Labels labels, std::string_view suffix) {
  text_ += name_;
  text_ += suffix.empty() ? std::string_view(suffix_) : suffix;
  char before = '{';
  for (const auto& [label, value] : labels) {
    text_ += before;
    text_ += label;
    text_ += "=\"";
    append_escaped(text_, value, true);
    text_ += '"';
    before = ',';
  }
  if (before == ',') text_ += '}';
  text_ += ' ';
}

void Exposition::sample(Labels labels, std::uint64_t value, std::string_view suffix) {
  begin_sample(labels, suffix);
  text_ += std::to_string(value) + '\n';
}

void Exposition::milli_sample(Labels labels, std::uint64_t value, std::string_view suffix) {
  begin_sample(labels, suffix);
  text_ += shown_seconds(value) + '\n';
}

std::string Exposition::finish() {
  if (format_ == MetricsFormat::openmetrics) text_ += "# EOF\n";
  return std::move(text_);
}

}  // namespace proxy

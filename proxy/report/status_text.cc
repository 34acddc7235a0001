#include "proxy/report/status_text.h"

#include <algorithm>
#include <array>
#include <ctime>

#include <fmt/format.h>

#include "base/text.h"

namespace proxy {
namespace {

using Row = std::vector<std::string>;

constexpr std::size_t kLongestName = 32;
constexpr std::size_t kLongestReason = 120;
constexpr std::size_t kWholeReason = 4096;

// Columns of a UTF-8 text whose characters are one wide each.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string_view clipped(std::string_view text, std::size_t columns) {
  std::size_t at = 0;
  for (std::size_t seen = 0; at < text.size(); ++at) {
    const bool begins = (static_cast<unsigned char>(text[at]) & 0xc0) != 0x80;
    if (begins && seen++ == columns) break;
  }
  return text.substr(0, at);
}

std::string number(std::uint64_t value) {
  constexpr std::array<std::string_view, 6> kUnits = {"k", "M", "G", "T", "P", "E"};
  if (value < 100000) return std::to_string(value);
  double shown = static_cast<double>(value) / 1000;
  std::size_t unit = 0;
  while (shown >= 1000 && unit + 1 < kUnits.size()) {
    shown /= 1000;
    ++unit;
  }
  return fmt::format("{:.1f}{}", shown, kUnits[unit]);
}

std::string bytes(std::uint64_t value) {
  constexpr std::array<std::string_view, 7> kUnits = {"B",   "KiB", "MiB", "GiB",
                                                      "TiB", "PiB", "EiB"};
  double shown = static_cast<double>(value);
  std::size_t unit = 0;
  while (shown >= 1024 && unit + 1 < kUnits.size()) {
    shown /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", value) : fmt::format("{:.1f} {}", shown, kUnits[unit]);
}

std::string duration(std::uint64_t milliseconds) {
  const std::uint64_t seconds = milliseconds / 1000;
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  if (seconds < 86400) return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{}d{:02}h", seconds / 86400, seconds / 3600 % 24);
}

// How much a number grew in a second; "-": there is nothing to tell it by.
class Rates {
 public:
  Rates(const Snapshot& now, const Snapshot* before) {
    const bool same = before != nullptr && before->pid == now.pid &&
                      before->started == now.started && before->uptime_ms < now.uptime_ms;
    if (same) seconds_ = static_cast<double>(now.uptime_ms - before->uptime_ms) / 1000;
  }
  [[nodiscard]] std::string of(std::uint64_t now, std::uint64_t before) const {
    if (seconds_ <= 0 || now < before) return "-";
    return fmt::format("{:.1f}", static_cast<double>(now - before) / seconds_);
  }
  [[nodiscard]] bool known() const { return seconds_ > 0; }

 private:
  double seconds_ = 0;
};

struct Totals {
  std::uint64_t passed = 0;
  std::uint64_t answered = 0;
  std::uint64_t refused = 0;
};

Totals totals_of(const Snapshot& snapshot) {
  Totals out;
  for (const TargetCounters& one : snapshot.counters) {
    out.passed += one.calls[Fate::passed];
    out.answered += one.calls[Fate::answered];
    out.refused += one.calls[Fate::refused];
  }
  return out;
}

// A table whose first `left` columns begin at the left, and the others end at the right, except for
// the last one, which is as long as it is.
void add_table(std::vector<StyledLine>& to, const std::vector<Row>& rows,
               const std::vector<Style>& styles, std::size_t left) {
  const std::size_t columns = rows.front().size();
  std::vector<std::size_t> widths(columns, 0);
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < columns; ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::string text;
    for (std::size_t i = 0; i < columns; ++i) {
      const std::string pad(widths[i] - width(rows[r][i]), ' ');
      const bool last = i + 1 == columns;
      text += i < left || last ? rows[r][i] + (last ? "" : pad) : pad + rows[r][i];
      if (!last) text += "  ";
    }
    while (text.ends_with(' ')) text.pop_back();
    to.push_back({std::move(text), r == 0 ? Style::heading : styles[r - 1]});
  }
}

std::string time_text(std::uint64_t seconds) {
  const auto when = static_cast<std::time_t>(seconds);
  std::tm parts{};
  std::array<char, 32> text{};
  if (localtime_r(&when, &parts) == nullptr) return "?";
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts)};
}

// Which configuration runs, and what of it is not so.
void add_state(std::vector<StyledLine>& to, const Snapshot& now) {
  const ConfigurationSnapshot& one = now.configuration;
  if (one.read != 0) {
    to.push_back({fmt::format("configuration of {}{}", time_text(one.read),
                              one.other_on_disk ? "; the files have changed since" : ""),
                  one.other_on_disk ? Style::warning : Style::plain});
  }
  if (one.reload_failed != 0) {
    to.push_back({fmt::format("reload failed at {}:", time_text(one.reload_failed)), Style::bad});
    for (const std::string& mistake : one.mistakes) {
      to.push_back({"  " + base::printable(mistake, kWholeReason), Style::bad});
    }
  }
  for (const std::string& problem : now.problems) {
    to.push_back({"degraded: " + base::printable(problem, kWholeReason), Style::bad});
  }
  for (const std::string& warning : now.warnings) {
    to.push_back({"warning: " + base::printable(warning, kWholeReason), Style::warning});
  }
}

void add_summary(std::vector<StyledLine>& to, const Snapshot& now, const Snapshot* before,
                 const Rates& rates) {
  const Totals all = totals_of(now);
  const Totals was = before == nullptr ? Totals{} : totals_of(*before);
  const auto rate = [&](std::uint64_t a, std::uint64_t b) {
    return rates.known() ? fmt::format(" ({}/s)", rates.of(a, b)) : std::string();
  };
  to.push_back({fmt::format("virtgate {}, process {}, up {}{}", base::printable(now.version, 64),
                            now.pid, duration(now.uptime_ms), now.draining ? ", draining" : ""),
                now.draining ? Style::warning : Style::heading});
  add_state(to, now);
  to.push_back(
      {fmt::format("clients   {} of {} users, {} accepted, {} turned away", now.client_count,
                   now.user_count, number(now.accepted), number(now.turned_away))});
  to.push_back({fmt::format("calls     {} passed{}, {} answered here{}, {} refused{}",
                            number(all.passed), rate(all.passed, was.passed), number(all.answered),
                            rate(all.answered, was.answered), number(all.refused),
                            rate(all.refused, was.refused))});
  if (now.refusals.sum() > 0) {
    std::string text = "refusals  by";
    for (std::size_t i = 0; i < now.refusals.counts.size(); ++i) {
      if (now.refusals.counts[i] == 0) continue;
      text += fmt::format(" {} {},", Refusals::names()[i], number(now.refusals.counts[i]));
    }
    text.pop_back();
    to.push_back({text, Style::warning});
  }
  if (now.log_lost + now.audit_lost > 0) {
    to.push_back({fmt::format("records   {} lost by the log, {} by the audit file",
                              number(now.log_lost), number(now.audit_lost)),
                  Style::bad});
  }
  const Traffic bytes_was = before == nullptr ? Traffic{} : before->traffic;
  const auto byte_rate = [&](std::uint64_t a, std::uint64_t b) {
    return rates.known() ? fmt::format(" ({} B/s)", rates.of(a, b)) : std::string();
  };
  to.push_back(
      {fmt::format("bytes     {} from clients{}, {} to them{}, unread {}", bytes(now.traffic.in),
                   byte_rate(now.traffic.in, bytes_was.in), bytes(now.traffic.out),
                   byte_rate(now.traffic.out, bytes_was.out), bytes(now.buffered))});
  const bool scarce = now.buffer.users_over_share > 0;
  to.push_back(
      {fmt::format("buffer    {} of {} held{}", bytes(now.buffer.held), bytes(now.buffer.bound),
                   scarce ? fmt::format(", users who wait for more than their share: {}",
                                        now.buffer.users_over_share)
                          : std::string()),
       scarce ? Style::warning : Style::plain});
}

std::string upstreams_text(const TargetSnapshot& target) {
  std::size_t open = 0;
  std::size_t silent = 0;
  std::string opening;
  for (const UpstreamSnapshot& upstream : target.upstreams) {
    if (upstream.state == "open") ++open;
    if (upstream.silent_ms > 0) ++silent;
    if (upstream.state == "opening") opening = "+" + base::printable(upstream.stage, 16);
  }
  return std::to_string(open) + opening +
         (silent == 0 ? "" : ", " + std::to_string(silent) + " silent");
}

std::string mean_text(const Durations& durations) {
  const std::uint64_t count = durations.sum();
  if (count == 0) return "-";
  return fmt::format("{:.1f}",
                     static_cast<double>(durations.milliseconds) / static_cast<double>(count));
}

std::string state_text(const TargetSnapshot& target) {
  const std::string state = base::printable(target.state, 16);
  return target.silent_ms == 0 ? state : state + ", silent for " + duration(target.silent_ms);
}

Style style_of(const TargetSnapshot& target) {
  if (target.state == "failing" || target.silent_ms > 0) return Style::bad;
  if (target.state == "opening") return Style::warning;
  return target.state == "open" ? Style::good : Style::plain;
}

void add_targets(std::vector<StyledLine>& to, const Snapshot& now, const Snapshot* before,
                 const Rates& rates) {
  std::vector<Row> rows = {{"TARGET", "STATE", "VIA", "UPSTREAMS", "CLIENTS", "WAITING",
                            "IN FLIGHT", "CALLS", "CALLS/S", "FAILED", "MEAN MS", "LOST",
                            "LAST FAILURE"}};
  std::vector<Style> styles;
  for (const TargetSnapshot& target : now.targets) {
    const TargetCounters none;
    const TargetCounters* found = now.counters_of(target.counted_as);
    const TargetCounters& counters = found == nullptr ? none : *found;
    const TargetCounters* was =
        before == nullptr ? nullptr : before->counters_of(target.counted_as);
    const std::uint64_t passed = counters.calls[Fate::passed];
    std::string failure;
    for (const FailureSnapshot& one : target.last_failure) {
      failure = fmt::format("{} ago, {}: {}", duration(one.age_ms), base::printable(one.stage, 16),
                            base::printable(one.reason, kLongestReason));
    }
    rows.push_back({base::printable(target.name, kLongestName), state_text(target),
                    base::printable(target.transport, 16), upstreams_text(target),
                    number(target.clients), number(target.waiting), number(target.in_flight),
                    number(passed), rates.of(passed, was == nullptr ? 0 : was->calls[Fate::passed]),
                    number(counters.replies[Outcome::failed] + counters.replies[Outcome::timeout]),
                    mean_text(counters.durations), number(counters.lost.sum()), failure});
    styles.push_back(style_of(target));
  }
  to.push_back({});
  add_table(to, rows, styles, 4);
}

std::string user_text(std::uint64_t uid, const UserNames& names);

void add_troubles(std::vector<StyledLine>& to, const Snapshot& now, const UserNames& names) {
  std::vector<Row> rows = {{"TARGET", "NOT ANSWERING", "", "AGE", "CALL", "ASKED BY"}};
  std::vector<Style> styles;
  for (const TargetSnapshot& target : now.targets) {
    for (const TroubleSnapshot& one : target.troubles) {
      std::string users;
      for (const std::uint64_t uid : one.uids)
        users += (users.empty() ? "" : ", ") + user_text(uid, names);
      rows.push_back({base::printable(target.name, kLongestName),
                      base::printable(one.subject, kLongestReason),
                      one.silent ? "silent" : "overdue", duration(one.age_ms),
                      base::printable(one.procedure, kLongestName), users});
      styles.push_back(one.silent ? Style::bad : Style::warning);
    }
  }
  if (styles.empty()) return;
  to.push_back({});
  add_table(to, rows, styles, 3);
}

std::string user_text(std::uint64_t uid, const UserNames& names) {
  const auto found = names.find(static_cast<uid_t>(uid));
  return found == names.end() ? std::to_string(uid) : base::printable(found->second, kLongestName);
}

void add_users(std::vector<StyledLine>& to, const Snapshot& now, const UserNames& names) {
  if (now.users.empty()) return;
  std::vector<Row> rows = {{"USER", "CLIENTS", "UNREAD", ""}};
  for (const UserSnapshot& user : now.users) {
    rows.push_back({user_text(user.uid, names), number(user.clients), bytes(user.buffered), ""});
  }
  to.push_back({});
  add_table(to, rows, std::vector<Style>(now.users.size()), 1);
  if (now.user_count > now.users.size()) {
    to.push_back({fmt::format("and {} more users", now.user_count - now.users.size())});
  }
}

void add_dropped(std::vector<StyledLine>& to, const Snapshot& now, const UserNames& names) {
  if (now.dropped.empty()) return;
  std::vector<Row> rows = {{"USER", "DROPPED FROM LOG", "FROM AUDIT", ""}};
  for (const DroppedSnapshot& one : now.dropped) {
    rows.push_back({one.others ? "others" : user_text(one.uid, names), number(one.log),
                    number(one.audit), ""});
  }
  to.push_back({});
  add_table(to, rows, std::vector<Style>(now.dropped.size(), Style::warning), 1);
}

void add_clients(std::vector<StyledLine>& to, const Snapshot& now, const Snapshot* before,
                 const Rates& rates, const UserNames& names) {
  if (now.clients.empty()) return;
  std::map<std::uint64_t, std::uint64_t> calls;
  if (before != nullptr) {
    for (const ClientSnapshot& client : before->clients) calls[client.number] = client.calls;
  }
  std::vector<Row> rows = {{"CLIENT", "USER", "TARGET", "STATE", "PID", "CALLS", "CALLS/S",
                            "IN FLIGHT", "REFUSED", "READ", "SENT", "UNREAD", "AGE", ""}};
  for (const ClientSnapshot& client : now.clients) {
    const auto was = calls.find(client.number);
    rows.push_back({std::to_string(client.number), user_text(client.uid, names),
                    client.target.empty() ? "-" : base::printable(client.target, kLongestName),
                    base::printable(client.state, 16), std::to_string(client.pid),
                    number(client.calls),
                    rates.of(client.calls, was == calls.end() ? 0 : was->second),
                    number(client.outstanding), number(client.refused), bytes(client.bytes_in),
                    bytes(client.bytes_out), bytes(client.buffered), duration(client.age_ms), ""});
  }
  to.push_back({});
  add_table(to, rows, std::vector<Style>(now.clients.size()), 4);
  if (now.client_count > now.clients.size()) {
    to.push_back({fmt::format("and {} more clients", now.client_count - now.clients.size())});
  }
}

// What clients were not told, by the references that they were given.
void add_references(std::vector<StyledLine>& to, const Snapshot& now, const UserNames& names) {
  constexpr std::size_t kMostLines = 30;
  if (now.references.empty()) return;
  std::vector<Row> rows = {{"REFERENCE", "USER", "TIMES", "AGE", "WHAT THE CLIENT WAS NOT TOLD"}};
  for (const ReferenceSnapshot& one : now.references) {
    if (rows.size() > kMostLines) break;
    rows.push_back({base::printable(one.reference, 16), user_text(one.uid, names),
                    number(one.times), duration(one.age_ms),
                    base::printable(one.text, kWholeReason)});
  }
  to.push_back({});
  add_table(to, rows, std::vector<Style>(rows.size() - 1), 2);
  if (now.references.size() >= rows.size()) {
    to.push_back({fmt::format("and {} more references", now.references.size() + 1 - rows.size())});
  }
}

std::string_view escape_of(Style style) {
  switch (style) {
    case Style::plain:
      return "";
    case Style::heading:
      return "\x1b[1m";
    case Style::good:
      return "\x1b[32m";
    case Style::warning:
      return "\x1b[33m";
    case Style::bad:
      return "\x1b[31m";
  }
  return "";
}

std::string shown(const StyledLine& line, std::size_t columns, bool colour) {
  std::string text(clipped(line.text, columns));
  if (!colour || line.style == Style::plain) return text;
  return std::string(escape_of(line.style)) + text + "\x1b[0m";
}

}  // namespace

std::vector<StyledLine> status_lines(const Snapshot& now, const Snapshot* before,
                                     const UserNames& names) {
  const Rates rates(now, before);
  std::vector<StyledLine> out;
  add_summary(out, now, before, rates);
  add_targets(out, now, before, rates);
  add_troubles(out, now, names);
  add_users(out, now, names);
  add_dropped(out, now, names);
  add_clients(out, now, before, rates, names);
  add_references(out, now, names);
  return out;
}

std::string in_lines(const std::vector<StyledLine>& lines, bool colour) {
  std::string out;
  for (const StyledLine& line : lines) out += shown(line, line.text.size(), colour) + '\n';
  return out;
}

std::string on_screen(const std::vector<StyledLine>& lines, std::size_t rows, std::size_t columns,
                      bool colour) {
  const std::size_t count =
      lines.size() <= rows ? lines.size() : rows - std::min<std::size_t>(1, rows);
  std::vector<StyledLine> kept(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(count));
  if (count < lines.size() && rows > 0) {
    kept.push_back({fmt::format("... and {} more lines", lines.size() - count), Style::plain});
  }
  // Each line is cleared first: behind a full one the cursor stands on its last character.
  std::string out = "\x1b[H";
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (i > 0) out += "\r\n";
    out += "\x1b[2K" + shown(kept[i], columns, colour);
  }
  return kept.size() < rows ? out + "\r\n\x1b[J" : out;
}

}  // namespace proxy

#include "proxy/command/ping_text.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/text.h"
#include "conf/mask.h"
#include "proxy/command/ping_hints.h"
#include "tunnel/tunnel.h"

namespace proxy {
namespace {

using Json = nlohmann::ordered_json;

double milliseconds(Nanoseconds time) { return static_cast<double>(time.count()) / 1e6; }

std::string version_text(std::uint64_t version) {
  return fmt::format("{}.{}.{}", version / 1000000, version / 1000 % 1000, version % 1000);
}

struct Calls3 {
  double least = 0;
  double mean = 0;
  double most = 0;
};

Calls3 summary(const std::vector<Nanoseconds>& calls) {
  if (calls.empty()) return {};
  const auto [least, most] = std::minmax_element(calls.begin(), calls.end());
  const auto sum = std::accumulate(calls.begin(), calls.end(), Nanoseconds{0});
  return {milliseconds(*least), milliseconds(sum) / static_cast<double>(calls.size()),
          milliseconds(*most)};
}

std::string answer_text(const conf::TargetConfig& target, const PingReport& report) {
  if (target.protocol == conf::Protocol::xend) return report.failure ? "" : "a legacy xend\n";
  std::string out;
  if (report.version) out += "libvirt " + version_text(*report.version);
  if (report.host) out += " on host " + base::printable(*report.host);
  if (report.uri) out += ", opened as " + base::printable(*report.uri);
  return out.empty() ? out : out + '\n';
}

std::string_view what_failed(std::string_view stage) {
  using Words = std::pair<std::string_view, std::string_view>;
  static constexpr std::array kWords = {
      Words{"look-up", "to find the host's address"},
      Words{"connect", "to connect"},
      Words{"handshake", "to secure the connection"},
      Words{"login", "to log in"},
      Words{"channel", "to reach the daemon on the far host"},
      Words{"authentication", "to authenticate to the daemon"},
      Words{"open", "to open the driver"},
      Words{"call", "in a call, after the open"},
  };
  const auto found = std::ranges::find(kWords, stage, &Words::first);
  CHECK(found != kWords.end());
  return found->second;
}

}  // namespace

std::string ping_text(const conf::TargetConfig& target, const PingReport& report) {
  std::string out = base::printable(conf::masked(target.name));
  if (target.uri != target.name) out += ": " + base::printable(conf::masked(target.uri), 4096);
  out += '\n';
  for (const auto& [name, time] : report.stages) {
    out += fmt::format("  {:<15}{:10.3f} ms\n", name, milliseconds(time));
  }
  out += answer_text(target, report);
  if (report.calls.size() > 1) {
    const Calls3 of = summary(report.calls);
    out += fmt::format("{} calls: min {:.3f} avg {:.3f} max {:.3f} ms\n", report.calls.size(),
                       of.least, of.mean, of.most);
  }
  if (!report.failure) return out;
  out += fmt::format("failed {}: {}\n", what_failed(report.failure->stage),
                     base::printable(report.failure->reason.text, 4096));
  for (const std::string& hint : hints_for(target, report.failure->reason)) {
    out += "  try: " + hint + '\n';
  }
  return out;
}

std::string ping_json(const conf::TargetConfig& target, const PingReport& report) {
  Json out;
  out["target"] = conf::masked(target.name);
  out["uri"] = conf::masked(target.uri);
  out["transport"] = tunnel::transport_name(target.tunnel.transport);
  out["stages"] = Json::array();
  for (const auto& [name, time] : report.stages) {
    out["stages"].push_back({{"stage", name}, {"ms", milliseconds(time)}});
  }
  out["version"] = report.version ? Json(version_text(*report.version)) : Json();
  out["version_number"] = report.version ? Json(*report.version) : Json();
  out["host"] = report.host ? Json(*report.host) : Json();
  out["remote_uri"] = report.uri ? Json(*report.uri) : Json();
  const Calls3 of = summary(report.calls);
  out["calls"] = {
      {"count", report.calls.size()}, {"min", of.least}, {"avg", of.mean}, {"max", of.most}};
  if (report.failure) {
    out["error"] = {{"stage", report.failure->stage},
                    {"kind", tunnel::io::kind_name(report.failure->reason.kind)},
                    {"reason", report.failure->reason.text},
                    {"hints", hints_for(target, report.failure->reason)}};
  }
  return out.dump(2, ' ', true, Json::error_handler_t::replace) + '\n';
}

}  // namespace proxy

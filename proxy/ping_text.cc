#include "proxy/ping_text.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "proxy/ping_hints.h"
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

std::string answer_text(const conf::Target& target, const PingReport& report) {
  if (target.protocol == conf::Protocol::xend) return report.failure ? "" : "a legacy xend\n";
  std::string out;
  if (report.version) out += "libvirt " + version_text(*report.version);
  if (report.host) out += " on host " + base::printable(*report.host);
  if (report.uri) out += ", opened as " + base::printable(*report.uri);
  return out.empty() ? out : out + '\n';
}

}  // namespace

std::string ping_text(const conf::Target& target, const PingReport& report) {
  std::string out = base::printable(target.name);
  if (target.uri != target.name) out += ": " + base::printable(target.uri, 4096);
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
  out += "failed in stage " + report.failure->stage + ": " +
         base::printable(report.failure->reason.text, 4096) + '\n';
  for (const std::string& hint : hints_for(target, report.failure->reason)) {
    out += "  try: " + hint + '\n';
  }
  return out;
}

std::string ping_json(const conf::Target& target, const PingReport& report) {
  Json out;
  out["target"] = target.name;
  out["uri"] = target.uri;
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

// Metrics are byte for byte in the formats of Prometheus and OpenMetrics, and every family is
// whole, with each sample once.
#include <set>

#include "proxy/report/metrics.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/world.h"

namespace {

using proxy::Counters;
using proxy::Durations;
using proxy::Exposition;
using proxy::MetricsFormat;
using proxy::wanted_format;
using test::World;
using tunnel::io::Milliseconds;
using tunnel::io::Reason;
using tunnel::io::Stage;

std::string example(MetricsFormat format) {
  Exposition text(format);
  text.info("a_build", "The \"program\".");
  text.sample({{"version", "0.1"}}, 1);
  text.gauge("a_size_bytes", "bytes", "A\\B\nC");
  text.sample({}, 7);
  text.counter("a_calls", "", "Calls.");
  text.sample({{"target", "x\\y\"z\n"}, {"verdict", "passed"}}, 18446744073709551615U);
  text.histogram("a_time_seconds", "seconds", "Times.");
  text.sample({{"le", proxy::shown_seconds(5)}}, 1, "_bucket");
  text.sample({{"le", "+Inf"}}, 2, "_bucket");
  text.sample({}, 2, "_count");
  text.milli_sample({}, 1250, "_sum");
  return text.finish();
}

}  // namespace

TEST_CASE("the text of Prometheus", "[metrics]") {
  CHECK(example(MetricsFormat::prometheus) == R"(# HELP a_build_info The "program".
# TYPE a_build_info gauge
a_build_info{version="0.1"} 1
# HELP a_size_bytes A\\B\nC
# TYPE a_size_bytes gauge
a_size_bytes 7
# HELP a_calls_total Calls.
# TYPE a_calls_total counter
a_calls_total{target="x\\y\"z\n",verdict="passed"} 18446744073709551615
# HELP a_time_seconds Times.
# TYPE a_time_seconds histogram
a_time_seconds_bucket{le="0.005"} 1
a_time_seconds_bucket{le="+Inf"} 2
a_time_seconds_count 2
a_time_seconds_sum 1.25
)");
}

TEST_CASE("the text of OpenMetrics", "[metrics]") {
  CHECK(example(MetricsFormat::openmetrics) == R"(# HELP a_build The \"program\".
# TYPE a_build info
a_build_info{version="0.1"} 1
# HELP a_size_bytes A\\B\nC
# TYPE a_size_bytes gauge
# UNIT a_size_bytes bytes
a_size_bytes 7
# HELP a_calls Calls.
# TYPE a_calls counter
a_calls_total{target="x\\y\"z\n",verdict="passed"} 18446744073709551615
# HELP a_time_seconds Times.
# TYPE a_time_seconds histogram
# UNIT a_time_seconds seconds
a_time_seconds_bucket{le="0.005"} 1
a_time_seconds_bucket{le="+Inf"} 2
a_time_seconds_count 2
a_time_seconds_sum 1.25
# EOF
)");
}

TEST_CASE("seconds in their canonical form", "[metrics]") {
  const auto [time, text] = GENERATE(table<std::uint64_t, std::string>({{0, "0.0"},
                                                                        {1, "0.001"},
                                                                        {10, "0.01"},
                                                                        {250, "0.25"},
                                                                        {1000, "1.0"},
                                                                        {2500, "2.5"},
                                                                        {30000, "30.0"},
                                                                        {100001, "100.001"}}));
  CHECK(proxy::shown_seconds(time) == text);
}

TEST_CASE("the format is the one that is asked for", "[metrics]") {
  for (const char* accept :
       {"application/openmetrics-text", "Application/OpenMetrics-Text; version=1.0.0",
        "text/plain;q=0.5, application/openmetrics-text;q=0.5",
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
        "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"}) {
    INFO(accept);
    CHECK(wanted_format(accept) == MetricsFormat::openmetrics);
  }
  for (const char* accept :
       {"", ",", ";;", "*/*", "text/html", "text/plain", "application/openmetrics-text;q=0",
        "application/openmetrics-text;q=0.000", "application/openmetrics-text;q=2",
        "application/openmetrics-text;q=x", "application/openmetrics-text;version=0.0.1",
        "application/openmetrics-text;q=0.4, text/plain", "application/openmetrics-textual"}) {
    INFO(accept);
    CHECK(wanted_format(accept) == MetricsFormat::prometheus);
  }
}

TEST_CASE("durations fall into buckets whose bounds belong to them", "[metrics]") {
  Durations durations;
  for (const int time : {-1, 0, 1, 2, 5, 30000, 30001, 1000000}) durations.add(Milliseconds(time));
  CHECK(durations.counts[0] == 3);
  CHECK(durations.counts[1] == 2);
  CHECK(durations.counts[12] == 1);
  CHECK(durations.counts[13] == 2);
  CHECK(durations.sum() == 8);
  CHECK(durations.milliseconds == 1060009);
}

TEST_CASE("each target has its counters, and gives up its place when it goes", "[metrics]") {
  Counters counters;
  const auto count = [&] {
    std::vector<proxy::TargetCounters> all;
    std::string after;
    while (!counters.copy(after, 100, all)) {
    }
    return all.size();
  };
  constexpr std::size_t kMany = 5000;
  std::vector<std::shared_ptr<proxy::TargetCounters>> all;
  for (std::size_t i = 0; i < kMany; ++i) {
    all.push_back(counters.target("t" + std::to_string(i)));
    REQUIRE(all.back()->name == "t" + std::to_string(i));
    ++all.back()->dials;
  }
  CHECK(count() == kMany + 2);
  CHECK(counters.target("t7")->dials == 1);
  CHECK(counters.target("t7") == all[7]);
  const auto kept = all[7];
  all.clear();
  CHECK(count() == 3);
  CHECK(counters.target("t7")->dials == 1);
  ++counters.target(Counters::kOpened)->dials;
  CHECK(counters.target(Counters::kOpened)->dials == 1);
}

TEST_CASE("names of targets are made printable and short", "[metrics]") {
  Counters counters;
  CHECK(counters.target("a\x1b\xff")->name == "a\\x1b\\xff");
  CHECK(counters.target(std::string(1000, 'x'))->name.size() <= 128);
}

TEST_CASE("an upstream's end is counted by how it ended", "[metrics]") {
  proxy::TargetCounters counters;
  counters.ended(false, {Reason::Kind::system, Stage::connect, ""});
  counters.ended(false, {Reason::Kind::end, Stage::established, ""});
  counters.ended(true, {Reason::Kind::protocol, Stage::established, ""});
  counters.ended(true, {Reason::Kind::requested, Stage::established, ""});
  counters.ended(false, {Reason::Kind::requested, Stage::connect, ""});
  CHECK(counters.dial_failures[Stage::connect] == 1);
  CHECK(counters.dial_failures[Stage::open] == 1);
  CHECK(counters.dial_failures.sum() == 2);
  CHECK(counters.lost[Reason::Kind::protocol] == 1);
  CHECK(counters.lost.sum() == 1);
  CHECK(counters.breaches == 1);
}

TEST_CASE("every family is whole, and no sample comes twice", "[metrics]") {
  World world({"hail", "sleet"});
  world.opened();
  for (const MetricsFormat format : {MetricsFormat::prometheus, MetricsFormat::openmetrics}) {
    const std::string text = proxy::metrics_text(world.gate().snapshot(), format);
    std::set<std::string> seen;
    std::string family;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = text.find('\n', at);
      REQUIRE(end != std::string::npos);
      const std::string line = text.substr(at, end - at);
      at = end + 1;
      if (line == "# EOF") {
        CHECK(at == text.size());
        continue;
      }
      if (line.starts_with("# HELP ")) family = line.substr(7, line.find(' ', 7) - 7);
      if (line.starts_with("# ")) {
        CHECK(line.substr(7, family.size()) == family);
        CHECK(seen.insert(line.substr(0, 7) + family).second);
      } else {
        CHECK(line.starts_with(family));
        CHECK(seen.insert(line.substr(0, line.rfind(' '))).second);
      }
    }
    CHECK(text.ends_with("# EOF\n") == (format == MetricsFormat::openmetrics));
    CHECK(text.find("virtgate_clients 1\n") != std::string::npos);
    CHECK(text.find("virtgate_upstreams{target=\"hail\",state=\"open\"} 1\n") != std::string::npos);
  }
}

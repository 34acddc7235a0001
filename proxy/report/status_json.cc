#include "proxy/report/status_json.h"

#include <concepts>
#include <cstdint>
#include <type_traits>
#include <vector>

#include <nlohmann/json.hpp>

namespace proxy {
namespace {

using Json = nlohmann::ordered_json;

template <typename Self, typename Type>
concept Is = std::same_as<std::remove_const_t<Self>, Type>;

// The members of each value with their keys, once for both directions.
template <Is<Traffic> Self>
void members(Self& of, auto& each) {
  each("in", of.in);
  each("out", of.out);
}

template <Is<Durations> Self>
void members(Self& of, auto& each) {
  for (std::size_t i = 0; i < Durations::kBounds.size(); ++i) {
    each(std::to_string(Durations::kBounds[i]), of.counts[i]);
  }
  each("more", of.counts.back());
  each("sum_ms", of.milliseconds);
}

template <Is<UpstreamSnapshot> Self>
void members(Self& of, auto& each) {
  each("state", of.state);
  each("stage", of.stage);
  each("in_flight", of.in_flight);
  each("silent_ms", of.silent_ms);
}

template <Is<FailureSnapshot> Self>
void members(Self& of, auto& each) {
  each("stage", of.stage);
  each("reason", of.reason);
  each("age_ms", of.age_ms);
}

template <Is<TargetCounters> Self>
void members(Self& of, auto& each) {
  each("name", of.name);
  each("calls", of.calls);
  each("replies", of.replies);
  each("durations_ms", of.durations);
  each("events", of.events);
  each("joined", of.joined);
  each("dials", of.dials);
  each("opened", of.opened);
  each("dial_failures", of.dial_failures);
  each("lost", of.lost);
  each("breaches", of.breaches);
  each("bytes", of.traffic);
}

template <Is<TroubleSnapshot> Self>
void members(Self& of, auto& each) {
  each("subject", of.subject);
  each("silent", of.silent);
  each("procedure", of.procedure);
  each("age_ms", of.age_ms);
  each("uids", of.uids);
}

template <Is<TargetSnapshot> Self>
void members(Self& of, auto& each) {
  each("name", of.name);
  each("uri", of.uri);
  each("transport", of.transport);
  each("counted_as", of.counted_as);
  each("state", of.state);
  each("clients", of.clients);
  each("waiting", of.waiting);
  each("in_flight", of.in_flight);
  each("overdue", of.overdue);
  each("abandoned", of.abandoned);
  each("silent", of.silent);
  each("silent_ms", of.silent_ms);
  each("troubles", of.troubles);
  each("registrations", of.registrations);
  each("upstreams", of.upstreams);
  each("last_failure", of.last_failure);
}

template <Is<UserSnapshot> Self>
void members(Self& of, auto& each) {
  each("uid", of.uid);
  each("clients", of.clients);
  each("buffered", of.buffered);
  each("held", of.held);
}

template <Is<BufferSnapshot> Self>
void members(Self& of, auto& each) {
  each("bound", of.bound);
  each("held", of.held);
  each("expected", of.expected);
  each("calls", of.calls);
  each("users_over_share", of.users_over_share);
}

template <Is<ClientSnapshot> Self>
void members(Self& of, auto& each) {
  each("client", of.number);
  each("uid", of.uid);
  each("pid", of.pid);
  each("target", of.target);
  each("state", of.state);
  each("calls", of.calls);
  each("refused", of.refused);
  each("outstanding", of.outstanding);
  each("buffered", of.buffered);
  each("bytes_in", of.bytes_in);
  each("bytes_out", of.bytes_out);
  each("age_ms", of.age_ms);
}

template <Is<ReferenceSnapshot> Self>
void members(Self& of, auto& each) {
  each("reference", of.reference);
  each("uid", of.uid);
  each("text", of.text);
  each("times", of.times);
  each("age_ms", of.age_ms);
}

template <Is<DroppedSnapshot> Self>
void members(Self& of, auto& each) {
  each("others", of.others);
  each("uid", of.uid);
  each("log", of.log);
  each("audit", of.audit);
}

template <Is<ConfigurationSnapshot> Self>
void members(Self& of, auto& each) {
  each("read", of.read);
  each("other_on_disk", of.other_on_disk);
  each("reload_failed", of.reload_failed);
  each("mistakes", of.mistakes);
}

template <Is<Snapshot> Self>
void members(Self& of, auto& each) {
  each("version", of.version);
  each("pid", of.pid);
  each("started", of.started);
  each("uptime_ms", of.uptime_ms);
  each("draining", of.draining);
  each("problems", of.problems);
  each("warnings", of.warnings);
  each("configuration", of.configuration);
  each("client_count", of.client_count);
  each("user_count", of.user_count);
  each("accepted", of.accepted);
  each("turned_away", of.turned_away);
  each("buffered", of.buffered);
  each("buffer", of.buffer);
  each("log_lost", of.log_lost);
  each("audit_lost", of.audit_lost);
  each("dropped", of.dropped);
  each("bytes", of.traffic);
  each("refusals", of.refusals);
  each("targets", of.targets);
  each("counters", of.counters);
  each("users", of.users);
  each("clients", of.clients);
  each("references", of.references);
}

template <Is<Reloaded> Self>
void members(Self& of, auto& each) {
  each("mistakes", of.mistakes);
  each("problems", of.problems);
  each("warnings", of.warnings);
}

// A tally.
template <typename Self>
  requires requires { Self::names(); }
void members(Self& of, auto& each) {
  for (std::size_t i = 0; i < of.counts.size(); ++i) each(Self::names()[i], of.counts[i]);
}

class Writer {
 public:
  explicit Writer(Json& to) : to_(to) { to_ = Json::object(); }

  template <typename Value>
  void operator()(std::string_view key, const Value& value) {
    write(to_[std::string(key)], value);
  }

 private:
  static void write(Json& to, std::uint64_t value) { to = value; }
  static void write(Json& to, bool value) { to = value; }
  static void write(Json& to, const std::string& value) { to = value; }
  template <typename Value>
  static void write(Json& to, const Value& value) {
    Writer writer(to);
    members(value, writer);
  }
  template <typename Value>
  static void write(Json& to, const std::vector<Value>& values) {
    to = Json::array();
    for (const Value& value : values) write(to.emplace_back(), value);
  }

  Json& to_;
};

class JsonReader {
 public:
  explicit JsonReader(const Json& from) : from_(from) {}

  template <typename Value>
  void operator()(std::string_view key, Value& value) {
    if (!from_.is_object()) return;
    const auto found = from_.find(std::string(key));
    if (found != from_.end()) read(*found, value);
  }

 private:
  static void read(const Json& from, std::uint64_t& value) {
    if (from.is_number_unsigned()) value = from.get<std::uint64_t>();
  }
  static void read(const Json& from, bool& value) {
    if (from.is_boolean()) value = from.get<bool>();
  }
  static void read(const Json& from, std::string& value) {
    if (from.is_string()) value = from.get<std::string>();
  }
  template <typename Value>
  static void read(const Json& from, Value& value) {
    JsonReader reader(from);
    members(value, reader);
  }
  template <typename Value>
  static void read(const Json& from, std::vector<Value>& values) {
    if (!from.is_array()) return;
    for (const Json& one : from) read(one, values.emplace_back());
  }

  const Json& from_;
};

template <typename Value>
std::string text_of(const Value& value) {
  Json out;
  Writer writer(out);
  members(value, writer);
  return out.dump(2, ' ', true, Json::error_handler_t::replace) + '\n';
}

template <typename Value>
base::Result<Value, std::string> parsed(std::string_view text) {
  const Json from = Json::parse(text, nullptr, false);
  if (!from.is_object()) return base::Failure{std::string("it is no JSON object")};
  Value out;
  JsonReader reader(from);
  members(out, reader);
  return out;
}

}  // namespace

std::string to_json(const Snapshot& snapshot) { return text_of(snapshot); }

std::string to_json(const Reloaded& reloaded) { return text_of(reloaded); }

base::Result<Snapshot, std::string> parse_status(std::string_view text) {
  return parsed<Snapshot>(text);
}

base::Result<Reloaded, std::string> parse_reloaded(std::string_view text) {
  return parsed<Reloaded>(text);
}

}  // namespace proxy

// What a simulated host lacks fails as the system has it fail, or waits, and comes back at any
// moment.
#include "tests/simulate/host.h"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace simulate {

using proxy::Record;
using test::MemoryStream;
using tunnel::io::Reason;

namespace {

constexpr Milliseconds kLookUp{8000};  // what a tunnel waits for a name
constexpr Milliseconds kDialledAgain{500};
constexpr Milliseconds kTried{3000};  // between dials that fail for something else
constexpr Milliseconds kRemembered{60000};
constexpr std::uint64_t kSqueezed = 64U << 10;
constexpr std::string_view kShareSpent = "share-spent";

std::uint64_t number_in(const Record& record, std::string_view key) {
  const proxy::LogField* field = record.find(key);
  return field == nullptr ? 0 : std::strtoull(field->text.c_str(), nullptr, 10);
}

bool says_share(const Record& record, std::string_view of) {
  const proxy::LogField* which = record.event == kShareSpent ? record.find("of") : nullptr;
  return which != nullptr && which->text == of;
}

}  // namespace

// Counts the records about each user that pass.
class Host::Book final : public proxy::Log {
 public:
  Book(proxy::Log& next, bool audit) : next_(next), audit_(audit) {}
  void write(const Record& record) override {
    const auto user = proxy::user_of(record);
    if (user && next_.takes(record.level) && (record.audit || !audit_)) ++records_[*user];
    next_.write(record);
  }
  [[nodiscard]] bool wants_calls() const override { return next_.wants_calls(); }
  [[nodiscard]] bool takes(proxy::Level level) const override { return next_.takes(level); }

  [[nodiscard]] const std::map<uid_t, std::uint64_t>& records() const { return records_; }

 private:
  proxy::Log& next_;
  const bool audit_;
  std::map<uid_t, std::uint64_t> records_;
};

// Where the log ends: a queue that nobody empties while the disk is full.
class Host::Disk final : public proxy::Log {
 public:
  explicit Disk(Trace& trace) : trace_(trace) {}
  void write(const Record& record) override {
    const std::string text = to_text(record);
    if (takes(record.level)) count(record, text);
    if (full_) {
      ++lost_;
    } else {
      trace_.line("log " + text);
    }
  }
  [[nodiscard]] bool takes(proxy::Level level) const override {
    return level > proxy::Level::debug;
  }
  [[nodiscard]] std::uint64_t lost() const override { return lost_; }

  void fill(bool full) { full_ = full; }
  [[nodiscard]] bool full() const { return full_; }
  [[nodiscard]] const std::map<uid_t, std::uint64_t>& records() const { return records_; }
  [[nodiscard]] std::uint64_t bytes(uid_t uid) const {
    const auto found = bytes_.find(uid);
    return found == bytes_.end() ? 0 : found->second;
  }
  [[nodiscard]] std::uint64_t audit_lost() const { return audit_lost_; }
  // Who has been told of as one whose share of the audit is spent.
  [[nodiscard]] const std::set<uid_t>& spent() const { return spent_; }

 private:
  void count(const Record& record, const std::string& text) {
    if (record.event == "audit-lost") audit_lost_ += number_in(record, "count");
    const auto user = proxy::user_of(record);
    if (!user) return;
    if (says_share(record, "audit")) spent_.insert(*user);
    if (says_share(record, "log")) return;
    ++records_[*user];
    bytes_[*user] += text.size();
  }

  Trace& trace_;
  bool full_ = false;
  std::uint64_t lost_ = 0;
  std::uint64_t audit_lost_ = 0;
  std::map<uid_t, std::uint64_t> records_;
  std::map<uid_t, std::uint64_t> bytes_;
  std::set<uid_t> spent_;
};

class Host::Sink final : public proxy::AuditSink {
 public:
  void put(std::string line) override {
    static constexpr std::string_view kSuppressed = "\"suppressed\":";
    if (full_) ++lost_;
    const std::size_t at = line.rfind(kSuppressed);
    if (at != std::string::npos) {
      told_of_ += std::strtoull(line.c_str() + at + kSuppressed.size(), nullptr, 10);
    }
    if (line.find("\"event\":\"suppressed\"") == std::string::npos) ++told_of_;
  }
  [[nodiscard]] proxy::Losses lost() const override { return {lost_, 0}; }
  [[nodiscard]] bool idle() const override { return true; }

  void fill(bool full) { full_ = full; }
  // Records that came or are counted in those that came, whether or not the disk took them.
  [[nodiscard]] std::uint64_t told_of() const { return told_of_; }

 private:
  bool full_ = false;
  std::uint64_t lost_ = 0;
  std::uint64_t told_of_ = 0;
};

// A dial whose host's name nobody tells.
struct Host::Dial {
  Dial(Stage& stage, Daemon& to, std::unique_ptr<MemoryStream> end)
      : daemon(to), here(std::move(end)), deadline(stage.clock, [this] {
          here->fail_peer({Reason::Kind::timeout, tunnel::io::Stage::look_up,
                           fmt::format("{}: no answer in {} ms", daemon.name(), kLookUp.count())});
        }) {
    deadline.start(kLookUp);
  }

  Daemon& daemon;
  std::unique_ptr<MemoryStream> here;
  tunnel::io::Timer deadline;
};

class Host::Way final : public tunnel::Tunnel {
 public:
  Way(Host& host, Daemon& daemon) : host_(host), daemon_(daemon) {}
  std::unique_ptr<tunnel::io::Stream> stream() override { return host_.dial(daemon_); }

 private:
  Host& host_;
  Daemon& daemon_;
};

Host::Host(Stage& stage, Random random)
    : stage_(stage),
      random_(random),
      disk_(std::make_unique<Disk>(stage.trace)),
      bounded_(stage.clock, *disk_, stage.plan.host.user_log),
      book_(std::make_unique<Book>(bounded_, false)),
      repeats_(stage.clock, *book_),
      sink_(std::make_shared<Sink>()),
      audit_(stage.clock, repeats_, {}, sink_, stage.plan.host.audits_calls,
             stage.plan.host.user_audit),
      first_book_(std::make_unique<Book>(audit_, true)) {}

Host::~Host() = default;

proxy::Log& Host::log() { return *first_book_; }

std::unique_ptr<tunnel::Tunnel> Host::way_to(Daemon& daemon) {
  if (std::ranges::find(daemons_, &daemon) == daemons_.end()) daemons_.push_back(&daemon);
  return std::make_unique<Way>(*this, daemon);
}

std::unique_ptr<tunnel::io::Stream> Host::dial(Daemon& daemon) {
  if (!short_ && !nameless_) return daemon.stream();
  auto [ours, theirs] = MemoryStream::pair(stage_.clock);
  theirs->hold_open();
  if (short_) {
    stage_.trace.line(fmt::format("no descriptor to dial {}", daemon.name()));
    const auto stage =
        random_.percent(50) ? tunnel::io::Stage::connect : tunnel::io::Stage::handshake;
    theirs->close({Reason::Kind::exhausted, stage, "Too many open files"});
  } else {
    stage_.trace.line(fmt::format("nobody tells where {} is", daemon.name()));
    dials_.push_back(std::make_unique<Dial>(stage_, daemon, std::move(ours)));
  }
  return std::move(theirs);
}

void Host::look_after_dials() {
  for (const auto& dial : dials_) {
    if (dial->here->left_alone()) dials_waited_[&dial->daemon] = stage_.clock.now();
  }
  std::erase_if(dials_, [](const auto& dial) { return dial->here->left_alone(); });
}

void Host::let_in(proxy::Gate& gate, Newcomer newcomer, std::optional<std::string> refusal) {
  ++came_;
  tunnel::io::Peer peer;
  peer.uid = newcomer.uid;
  peer.gid = newcomer.uid;
  peer.pid = 4711;
  gate.accept(std::move(newcomer.stream), peer, 0, {}, std::move(refusal));
}

// As a listener has it: some are told, the others are ended unheard or wait in the system's queue.
void Host::knock(proxy::Gate& gate, std::unique_ptr<MemoryStream> stream, uid_t uid) {
  if (!crowded_) return let_in(gate, {std::move(stream), uid}, {});
  const std::uint64_t fate = random_.below(3);
  if (fate == 0) {
    stage_.trace.line(fmt::format("user {} waits to be taken", uid));
    backlog_.push_back({std::move(stream), uid});
  } else if (fate == 1) {
    ++came_;
    gate.count_turned_away(uid);
  } else {
    let_in(gate, {std::move(stream), uid}, kNoDescriptors);
  }
}

void Host::fault(proxy::Gate& gate) {
  const HostPlan& plan = stage_.plan.host;
  const bool lacks = random_.percent(50);
  std::vector<std::function<void()>> some;
  if (plan.descriptors) some.emplace_back([&] { lack_descriptors(lacks, gate); });
  if (plan.names) some.emplace_back([&] { lack_names(lacks); });
  if (plan.disk) some.emplace_back([&] { fill_disk(lacks); });
  if (plan.buffer) some.emplace_back([&] { lack_memory(lacks); });
  if (plan.memory) some.emplace_back([&] { random_.pick(daemons_)->starve(); });
  if (!some.empty()) random_.pick(some)();
}

void Host::heal(proxy::Gate& gate) {
  lack_descriptors(false, gate);
  lack_names(false);
  lack_memory(false);
  fill_disk(false);
}

void Host::lack_descriptors(bool lacks, proxy::Gate& gate) {
  if (short_ == lacks) return;
  short_ = lacks;
  crowded_ = lacks && random_.percent(50);
  short_until_ = stage_.clock.now();
  stage_.trace.line(lacks ? "no descriptors are left" : "there are descriptors again");
  if (lacks) return;
  for (Newcomer& one : std::exchange(backlog_, {})) {
    if (!one.stream->left_alone()) {
      let_in(gate, std::move(one), {});
      continue;
    }
    ++came_;
    gate.count_left();
  }
}

void Host::lack_names(bool lacks) {
  if (nameless_ == lacks) return;
  nameless_ = lacks;
  stage_.trace.line(lacks ? "name servers are silent" : "name servers answer");
}

void Host::lack_memory(bool lacks) {
  if (squeezed_ == lacks) return;
  squeezed_ = lacks;
  squeezed_until_ = stage_.clock.now();
  stage_.trace.line(fmt::format("all users may hold {} bytes", buffer()));
}

void Host::fill_disk(bool full) {
  if (disk_->full() == full) return;
  stage_.trace.line(full ? "the disk takes no records" : "the disk takes records");
  disk_->fill(full);
  sink_->fill(full);
}

std::uint64_t Host::buffer() const {
  const std::uint64_t usual = stage_.plan.limits.buffer;
  return squeezed_ ? std::min(kSqueezed, usual) : usual;
}

Milliseconds Host::short_until() const { return short_ ? stage_.clock.now() : short_until_; }

Milliseconds Host::dials_waited(const Daemon& daemon) const {
  const bool now = nameless_ || std::ranges::any_of(dials_, [&](const auto& one) {
                     return &one->daemon == &daemon;
                   });
  if (now) return stage_.clock.now();
  const auto found = dials_waited_.find(&daemon);
  return found == dials_waited_.end() ? Milliseconds(-1000000) : found->second;
}

bool Host::is_well(const Daemon& daemon, Milliseconds quiet) const {
  if (squeezed_ || squeezed_until_ > quiet) return false;
  if (short_until() <= quiet && dials_waited(daemon) <= quiet) return true;
  const Milliseconds before = stage_.clock.now() - kRemembered;
  return daemon.upstreams() > 0 && daemon.is_calm(quiet) &&
         stage_.judge.targets_of(daemon.number(), before) == 1;
}

bool Host::lets_open(const Daemon& daemon, Milliseconds since) const {
  return short_until() <= since - kDialledAgain && dials_waited(daemon) <= since - kTried;
}

bool Host::lacked_only_descriptors(const Daemon& daemon, Milliseconds since) const {
  return short_until() >= since && dials_waited(daemon) <= since - kTried;
}

void Host::check_records() {
  repeats_.say();
  audit_.say_suppressed();
  audit_.finish();
  check_audit();
  for (const auto& [uid, records] : book_->records()) check_share(uid);
}

void Host::check_audit() {
  if (disk_->audit_lost() != sink_->lost().count) {
    stage_.judge.fail("records",
                      fmt::format("{} records of the audit are lost, and {} are said to be",
                                  sink_->lost().count, disk_->audit_lost()));
  }
  std::uint64_t made = 0;
  for (const auto& [uid, records] : first_book_->records()) made += records;
  const auto& dropped = audit_.shares().dropped();
  // A record that is dropped may have been one that counts others.
  const bool all = dropped.empty() ? made == sink_->told_of() : made >= sink_->told_of();
  if (!all) {
    stage_.judge.fail("records", fmt::format("the audit was given {} records, and tells of {}",
                                             made, sink_->told_of()));
  }
  for (const auto& [uid, count] : dropped) {
    if (uid && disk_->spent().contains(*uid)) continue;
    stage_.judge.fail("records", "nobody is told whose share of the audit is spent");
  }
}

void Host::check_share(uid_t uid) {
  const auto& dropped = bounded_.shares().dropped();
  const auto gone = dropped.find(uid);
  const std::uint64_t made = book_->records().at(uid);
  const auto taken = disk_->records().find(uid);
  const std::uint64_t known = (gone == dropped.end() ? 0 : gone->second) +
                              (taken == disk_->records().end() ? 0 : taken->second);
  if (made != known) {
    stage_.judge.fail("records", fmt::format("{} records about user {}, of which {} are known of",
                                             made, uid, known));
  }
  // Half a day's at once, and a little of the rest.
  const std::uint64_t share = stage_.plan.host.user_log / 2;
  if (disk_->bytes(uid) > share + share / 20) {
    stage_.judge.fail("records", fmt::format("the log has {} bytes about user {}, of {}",
                                             disk_->bytes(uid), uid, share));
  }
}

}  // namespace simulate

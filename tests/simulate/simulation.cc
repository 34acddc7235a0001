// A run succeeds when no bound is exceeded on the way and nothing is left at its end.
#include "tests/simulate/simulation.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "conf/target.h"
#include "proxy/gate/gate.h"
#include "tests/simulate/client.h"
#include "tests/simulate/daemon.h"
#include "tests/simulate/host.h"

namespace simulate {

using policy::Remote;
using tunnel::io::Clock;

namespace {

const std::vector<Remote> kDeniable = {Remote::DOMAIN_GET_XML_DESC, Remote::DOMAIN_GET_INFO,
                                       Remote::CONNECT_GET_CAPABILITIES,
                                       Remote::CONNECT_GET_ALL_DOMAIN_STATS};
constexpr Milliseconds kTick{50};
constexpr Milliseconds kSettled{20000};  // after a reload
constexpr std::size_t kMostSpare = 2;    // as a target has them by default
constexpr std::size_t kMostOverdue = 8;
constexpr std::size_t kMostTried = 9;  // more, of which nobody knew
constexpr std::uint64_t kEnoughAnswers = 60;
constexpr Milliseconds kPressed{4000};  // when all are there
constexpr std::uint64_t kEnoughTimes = 40;
constexpr std::size_t kMostStuck = 17;         // of the daemon's workers, with one target
constexpr std::size_t kMostAskedAgain = 2;     // of these, to see whether the daemon was restarted
constexpr std::uint64_t kMostTurns = 1000000;  // of the clock without any time passing

// The one that is under way.
const Trace* shown_when_dying = nullptr;

}  // namespace

class Simulation final : private Surroundings {
 public:
  Simulation(std::uint64_t seed, bool shown)
      : trace_(clock_, shown),
        judge_(clock_, trace_),
        plan_(make_plan(seed)),
        random_(seed ^ 0x5eed5eed5eed5eedU),
        stage_{clock_, trace_, judge_, plan_},
        host_(stage_, random_.fork()),
        faults_(clock_, [this] { fault(); }),
        shortages_(clock_, [this] { shortage(); }),
        events_(clock_, [this] { event(); }),
        tick_(clock_, [this] { tick(); }) {
    shown_when_dying = &trace_;
    trace_.line(to_text(plan_));
    for (std::size_t i = 0; i <= plan_.targets.size(); ++i) {
      daemons_.push_back(std::make_unique<Daemon>(stage_, i, random_.fork()));
    }
    set_up();
    Surroundings& surroundings = *this;
    for (std::size_t i = 0; i < plan_.clients.size(); ++i) {
      clients_.push_back(
          std::make_unique<Client>(stage_, surroundings, plan_.clients[i], i, random_.fork()));
    }
  }
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;
  ~Simulation() override { shown_when_dying = nullptr; }

  void run() {
    if (plan_.chorus) daemons_[0]->hang(0, true);
    for (Subject one = 0; plan_.pressure && one < static_cast<Subject>(plan_.machines / 2); ++one) {
      daemons_[0]->slow(one, 11);
    }
    for (const auto& client : clients_) client->start();
    faults_.start(plan_.faults.pause);
    if (plan_.host.begins_short) host_.begin_short();
    shortages_.start(plan_.host.pause);
    events_.start(kTick);
    tick_.start(kTick);
    pass(plan_.duration);
    faults_.stop();
    shortages_.stop();
    events_.stop();
    if (!plan_.drains_while_busy) come_to_rest();
    end();
  }
  [[nodiscard]] Verdict verdict() const {
    std::uint64_t answers = 0;
    for (const auto& client : clients_) answers += client->answered();
    return {judge_.failed_check(), judge_.what(), to_text(plan_), trace_.lines(),
            trace_.hash(),         answers,       trace_.last()};
  }

 private:
  bool connect(std::unique_ptr<test::MemoryStream> stream, uid_t uid) override;
  Daemon& daemon(const std::string& target) override { return *daemons_[judge_.daemon_of(target)]; }
  Host& host() override { return host_; }
  bool has_slow_reader(uid_t uid, const std::string& target) override {
    return std::ranges::any_of(plan_.clients, [&](const ClientPlan& client) {
      return client.uid == uid && client.target == target && client.slow_reader;
    });
  }
  Milliseconds bound(const std::string& target) override;
  Milliseconds call_timeout(const std::string& target) override {
    return plan_of(target).call_timeout;
  }
  Milliseconds max_age(const std::string& target) override { return plan_of(target).max_age; }
  [[nodiscard]] const TargetPlan& plan_of(const std::string& target) const {
    return *std::ranges::find(plan_.targets, target, &TargetPlan::name);
  }

  void set_up();
  void write_target(std::size_t index, std::size_t to);
  void write_rules();
  void reload();
  void fault();
  void hang_and_recover();
  void hang_partly();
  void ruin();
  void sever();
  void poison_in_turns();
  void fault_of(Daemon& at);
  void shortage();
  void apply_buffer();
  void event();
  void tick();
  void check_bounds();
  void check_upstreams();
  void check_limits();
  void check_fairness();
  void measure(const TargetPlan& target);
  void measure_crowd(uid_t uid);
  void measure_pressure();
  void come_to_rest();
  void check_rest();
  void end();
  void pass(Milliseconds time) {
    pass_until(time, [] { return false; });
  }
  // False: it did not come about in that time.
  bool pass_until(Milliseconds time, const std::function<bool()>& done);

  Clock clock_;
  Trace trace_;
  Judge judge_;
  const Plan plan_;
  Random random_;
  Stage stage_;
  Host host_;
  proxy::Sasl sasl_{[](const std::string&, const std::string&, auto&) {
    return proxy::CredentialsResult(base::Failure{std::string("there is no auth.conf here")});
  }};
  std::vector<std::unique_ptr<Daemon>> daemons_;
  conf::Config config_;
  std::unique_ptr<proxy::Gate> gate_;
  std::vector<std::unique_ptr<Client>> clients_;
  // What a user got of a target since it began to wait without a pause.
  struct Share {
    std::optional<Milliseconds> since;
    std::uint64_t mine = 0;
    std::uint64_t all = 0;
  };
  std::map<std::pair<std::string, uid_t>, Share> shares_;
  std::map<const Client*, Share> parts_;  // of what their user gets
  // Places of one user while another could use some.
  std::uint64_t places_seen_ = 0;
  std::uint64_t times_seen_ = 0;
  bool draining_ = false;
  bool poisoned_ = false;
  std::uint64_t reloads_ = 0;
  tunnel::io::Timer faults_;
  tunnel::io::Timer shortages_;
  tunnel::io::Timer events_;
  tunnel::io::Timer tick_;
};

// What an upstream's host is called says which daemon that is.
void Simulation::write_target(std::size_t index, std::size_t to) {
  const TargetPlan& plan = plan_.targets[index];
  const std::string uri = fmt::format("test+ssh://gate@{}/{}", daemons_[to]->name(), plan.name);
  conf::TargetConfig target = conf::make_target(plan.name, uri).value();
  target.upstreams = plan.upstreams;
  target.call_timeout = plan.call_timeout;
  target.retry_timeout = plan.retry_timeout;
  target.max_age = plan.max_age;
  target.stats_nowait = plan.stats_nowait;
  target.keepalive_interval = Milliseconds(2000);
  if (index < config_.targets.size()) {
    config_.targets[index] = std::move(target);
    judge_.disturbed(plan.name);
  } else {
    config_.targets.push_back(std::move(target));
  }
  judge_.leads_to(plan.name, to);
}

void Simulation::write_rules() {
  std::map<uid_t, std::set<Remote>> denied;
  config_.rules.rules.clear();
  for (const uid_t uid : plan_.users) {
    auto& mine = denied[uid];
    if (plan_.faults.rules && random_.percent(10)) {
      mine.insert(Remote::CONNECT_OPEN);
      continue;
    }
    policy::AccessRule rule;
    rule.users = {uid};
    rule.targets = {"*"};
    rule.allow = {"*"};
    for (const Remote procedure : kDeniable) {
      if (!plan_.faults.rules || !random_.percent(25)) continue;
      mine.insert(procedure);
      rule.deny.emplace_back(policy::find_procedure(procedure).name);
    }
    const auto limits = plan_.rule_limits.find(uid);
    if (limits != plan_.rule_limits.end()) rule.limits = limits->second;
    rule.place = "simulated";
    config_.rules.rules.push_back(std::move(rule));
  }
  // With no rule at all everybody may do everything.
  if (config_.rules.rules.empty()) denied.clear();
  judge_.rules_changed(std::move(denied));
}

void Simulation::set_up() {
  conf::Listen listen;
  listen.path = "/run/simulated";
  config_.listen.push_back(listen);
  for (std::size_t i = 0; i < plan_.targets.size(); ++i) write_target(i, i);
  conf::Limits& limits = config_.limits;
  limits.calls_per_client = plan_.limits.calls_per_client;
  limits.registrations_per_client = plan_.limits.registrations_per_client;
  limits.client_buffer = plan_.limits.client_buffer;
  limits.user_buffer = plan_.limits.user_buffer;
  limits.buffer = plan_.limits.buffer;
  limits.clients_per_user = plan_.limits.clients_per_user;
  limits.max_call = plan_.limits.max_call;
  if (plan_.faults.rules || !plan_.rule_limits.empty()) write_rules();
  gate_ = std::make_unique<proxy::Gate>(
      clock_, host_.log(), sasl_, config_, conf::LibvirtConf(),
      [this](const tunnel::Target& target) {
        const auto there = std::ranges::find_if(
            daemons_, [&](const auto& one) { return target.host == one->name(); });
        return host_.way_to(**there);
      });
}

bool Simulation::connect(std::unique_ptr<test::MemoryStream> stream, uid_t uid) {
  if (draining_) return false;
  host_.knock(*gate_, std::move(stream), uid);
  return true;
}

// All who are there may want the same machine, which has few places at the daemon.
Milliseconds Simulation::bound(const std::string& target) {
  std::uint32_t depth = 0;
  for (const ClientPlan& client : plan_.clients) {
    if (client.target == target) depth += client.depth;
  }
  return Milliseconds(3000) + depth * 3 * plan_.service / 2;
}

void Simulation::reload() {
  const std::size_t which = random_.below(plan_.targets.size());
  if (plan_.faults.rules && (!plan_.faults.reloads || random_.percent(50))) {
    write_rules();
  } else if (random_.percent(50)) {
    write_target(which, random_.below(daemons_.size()));
  } else {
    conf::TargetConfig& target = config_.targets[which];
    target.upstreams = random_.between(1, plan_.targets[which].upstreams);
    config_.limits.calls_per_client =
        random_.between(plan_.limits.calls_per_client, 2 * plan_.limits.calls_per_client);
    judge_.disturbed(target.name);
  }
  ++reloads_;
  trace_.line("reload");
  gate_->reload(config_, conf::LibvirtConf());
}

// Long enough for calls to time out, and then for a while in which nothing may tell that they did.
void Simulation::hang_and_recover() {
  const bool hung = daemons_[0]->hung(0);
  daemons_[0]->hang(0, !hung);
  faults_.start(hung ? Milliseconds(60000) : plan_.targets[0].call_timeout + Milliseconds(1500));
}

void Simulation::hang_partly() {
  const bool hung = daemons_[0]->hung(0);
  daemons_[0]->hang(0, !hung, true);
  faults_.start(hung ? Milliseconds(60000) : Milliseconds(13000));
}

void Simulation::ruin() {
  for (Subject one = 0; one < static_cast<Subject>(plan_.machines * 3 / 4); ++one) {
    daemons_[0]->hang(one, true, random_.percent(50));
  }
}

void Simulation::sever() {
  faults_.start(plan_.faults.pause);
  // Nobody can know of a call that is lost in the moment in which it begins to hang.
  if (daemons_[0]->any_hung()) return daemons_[0]->cut();
  const auto hung = static_cast<Subject>(plan_.machines / 3);
  for (Subject one = 0; one < hung; ++one) daemons_[0]->hang(one, true);
}

void Simulation::poison_in_turns() {
  poisoned_ = !poisoned_;
  daemons_[0]->poison(0, poisoned_);
  faults_.start(random_.time(2000, 5000));
}

void Simulation::fault() {
  if (plan_.pressure) return;
  if (plan_.partial) return hang_partly();
  if (plan_.recovers) return hang_and_recover();
  if (plan_.ruin) return ruin();
  if (plan_.severed) return sever();
  if (plan_.poisoned) return poison_in_turns();
  const auto pause = static_cast<std::uint32_t>(plan_.faults.pause.count());
  faults_.start(random_.time(pause / 2, pause * 3 / 2));
  if ((plan_.faults.reloads || plan_.faults.rules) && random_.percent(15)) return reload();
  fault_of(*random_.pick(daemons_));
}

void Simulation::shortage() {
  const auto pause = static_cast<std::uint32_t>(plan_.host.pause.count());
  shortages_.start(random_.time(pause / 2, pause * 3 / 2));
  host_.fault(*gate_);
  apply_buffer();
}

void Simulation::apply_buffer() {
  if (config_.limits.buffer == host_.buffer()) return;
  config_.limits.buffer = host_.buffer();
  gate_->reload(config_, conf::LibvirtConf());
}

void Simulation::fault_of(Daemon& at) {
  const FaultPlan& faults = plan_.faults;
  const auto machine = static_cast<Subject>(random_.below(plan_.machines));
  switch (random_.below(10)) {
    case 0:
    case 1:
      if (faults.machines_hang) at.hang(machine, random_.percent(50), random_.percent(30));
      return;
    case 2:
      if (faults.machines_slow) at.slow(machine, random_.percent(50) ? 1 : random_.between(5, 30));
      return;
    case 3:
      if (faults.daemon_dies) at.die(Milliseconds(0));
      return;
    case 4:
      if (faults.daemon_away) at.die(random_.time(1, 6000));
      return;
    case 5:
      if (faults.daemon_freezes) at.freeze(random_.percent(40));
      return;
    case 6:
      if (faults.cuts) at.cut();
      return;
    case 7:
      if (faults.swallows) at.swallow();
      return;
    case 8:
      if (faults.poison) at.poison(machine, random_.percent(40));
      return;
    default:
      if (faults.lies) at.lie();
      return;
  }
}

void Simulation::event() {
  random_.pick(daemons_)->happen(static_cast<Subject>(random_.below(plan_.machines)));
  events_.start(random_.time(10, 300));
}

void Simulation::tick() {
  tick_.start(kTick);
  for (const auto& daemon : daemons_) daemon->look_after_swallowed();
  host_.look_after_dials();
  for (const auto& client : clients_) client->check();
  check_bounds();
  check_upstreams();
  check_limits();
  check_fairness();
}

void Simulation::check_bounds() {
  const proxy::Snapshot snapshot = gate_->snapshot();
  // One reply for each place at a daemon may come for the same user beyond what there is.
  std::uint64_t places = 0;
  for (const TargetPlan& target : plan_.targets) places += std::uint64_t{4} * target.upstreams;
  std::uint64_t more = (places + plan_.clients.size()) * (plan_.large_reply + 4096U);
  // What the gate answers itself is bounded by each client's own stream.
  for (const ClientPlan& client : plan_.clients) {
    if (client.program == Program::babbler) more += 2 * tunnel::io::Stream::kHighMark;
  }
  // Whoever is at one target leaves a part to those at the others.
  const std::uint64_t most = plan_.limits.user_buffer * (plan_.targets.size() == 1 ? 1 : 2) + more;
  // Of whom nobody waits, each may have as much again.
  const std::uint64_t all = plan_.limits.buffer + plan_.users.size() * more;
  // What is expected may be a guess.
  const std::uint64_t held = snapshot.buffer.held - snapshot.buffer.expected;
  if (held > all) {
    judge_.fail("buffers", fmt::format("all have {} bytes, of {}", held, all));
  }
  for (const proxy::UserSnapshot& user : snapshot.users) {
    if (user.buffered <= most) continue;
    judge_.fail("buffers", fmt::format("user {} has {} bytes that wait", user.uid, user.buffered));
  }
}

void Simulation::check_upstreams() {
  for (const auto& daemon : daemons_) {
    std::size_t most = 0;
    std::size_t targets = 0;
    std::size_t places = 0;
    Milliseconds longest{0};
    bool quiet = true;
    for (const TargetPlan& target : plan_.targets) {
      quiet = quiet && clock_.now() - judge_.disturbed_at(target.name) > kSettled;
      if (judge_.daemon_of(target.name) != daemon->number()) continue;
      ++targets;
      places += std::size_t{4} * target.upstreams;
      most += target.upstreams + kMostSpare;
      longest = std::max(longest, target.call_timeout);
    }
    if (quiet && daemon->upstreams() > most) {
      judge_.fail("upstreams",
                  fmt::format("{} has {} connections", daemon->name(), daemon->upstreams()));
    }
    const std::size_t overdue = daemon->lying_for(longest + Milliseconds(500));
    if (quiet && overdue > targets * (kMostOverdue + kMostTried)) {
      judge_.fail("overdue", fmt::format("{} has {} calls that nobody waits for any more",
                                         daemon->name(), overdue));
    }
    const std::size_t most_stuck = kMostStuck + (plan_.severed ? kMostAskedAgain : 0);
    const FaultPlan& f = plan_.faults;
    const bool loses = f.daemon_freezes || f.cuts || f.lies || f.swallows || f.reloads ||
                       f.poison || f.daemon_dies || f.daemon_away || plan_.host.memory;
    if (quiet && (!loses || plan_.severed) && daemon->stuck() > targets * most_stuck) {
      judge_.fail("workers",
                  fmt::format("{} has {} workers that hang", daemon->name(), daemon->stuck()));
    }
    const std::size_t all = daemon->lying_for(Milliseconds(-1));
    if (quiet && all > places + targets * kMostOverdue) {
      judge_.fail("places", fmt::format("{} has {} calls", daemon->name(), all));
    }
  }
}

// What rules let the clients of a user do together.
void Simulation::check_limits() {
  const auto seconds = static_cast<std::uint64_t>(clock_.now().count()) / 1000;
  const proxy::Snapshot snapshot = gate_->snapshot();
  for (const auto& [uid, limits] : plan_.rule_limits) {
    std::uint64_t taken = 0;
    // Whoever comes may have one call taken before it is known who owes.
    std::uint64_t most = limits.calls_per_second * (seconds + 2 + reloads_);
    for (const auto& client : clients_) {
      if (client->plan().uid != uid) continue;
      taken += client->taken();
      most += client->visits() + 1 + reloads_;
    }
    if (limits.calls_per_second > 0 && taken > most) {
      judge_.fail("limits", fmt::format("user {} had {} calls taken in {} s", uid, taken, seconds));
    }
    std::uint64_t outstanding = 0;
    for (const proxy::ClientSnapshot& client : snapshot.clients) {
      if (client.uid == uid && client.state == "open") outstanding += client.outstanding;
    }
    if (limits.queue > 0 && outstanding > limits.queue) {
      judge_.fail("limits", fmt::format("user {} has {} calls at the gate", uid, outstanding));
    }
  }
}

void Simulation::check_fairness() {
  if (plan_.pressure) return measure_pressure();
  if (plan_.partial) return;
  for (const TargetPlan& target : plan_.targets) measure(target);
  if (!plan_.crowd) return;
  for (const uid_t uid : plan_.users) measure_crowd(uid);
}

// The programs of a user that has many, of which none ever rests.
void Simulation::measure_crowd(uid_t uid) {
  std::vector<const Client*> crowd;
  std::uint64_t all = 0;
  for (const auto& client : clients_) {
    if (client->plan().uid != uid) continue;
    crowd.push_back(client.get());
    all += client->answered();
  }
  for (const Client* client : crowd) {
    Share& share = parts_[client];
    // A program of a crowd has one place, which what is stuck takes until it is overdue.
    if (client->waiting_subjects() < 2 || client->in_trouble()) {
      share.since.reset();
      continue;
    }
    if (!share.since) share = {clock_.now(), client->answered(), all};
    const std::uint64_t got = client->answered() - share.mine;
    const std::uint64_t given = all - share.all;
    if (given < kEnoughAnswers) continue;
    if (got * 3 * crowd.size() < given) {
      judge_.fail("fairness", fmt::format("one of {} programs of user {} got {} of {} answers",
                                          crowd.size(), uid, got, given));
    }
    share.since.reset();
  }
}

// No user has more than half of the places while another could use one, which quick calls that
// follow each other do all the time.
void Simulation::measure_pressure() {
  const std::size_t places = std::size_t{4} * plan_.targets[0].upstreams;
  std::size_t waiting = 0;
  for (const auto& client : clients_) {
    if (client->plan().uid == plan_.users[1]) waiting += client->waiting_subjects();
  }
  if (clock_.now() < kPressed || waiting < places) return;
  places_seen_ += daemons_[0]->lying_of(plan_.users[0]);
  if (++times_seen_ < kEnoughTimes) return;
  if (2 * places_seen_ > (places + 1) * times_seen_) {
    judge_.fail("half",
                fmt::format("of {} places one user has {:.1f}, and another one waits", places,
                            static_cast<double>(places_seen_) / static_cast<double>(times_seen_)));
  }
  places_seen_ = times_seen_ = 0;
}

// While a user has calls about more things than it could have places, what it gets is its share.
void Simulation::measure(const TargetPlan& target) {
  std::map<uid_t, std::uint64_t> answered;
  std::map<uid_t, std::size_t> waiting;
  std::uint64_t all = 0;
  for (const auto& client : clients_) {
    const ClientPlan& plan = client->plan();
    if (plan.target != target.name) continue;
    answered[plan.uid] += client->answered();
    all += client->answered();
    if (plan_.crowd && client->in_trouble()) continue;
    waiting[plan.uid] += client->waiting_subjects();  // none of who is limited
  }
  for (const auto& [uid, mine] : answered) {
    Share& share = shares_[{target.name, uid}];
    const std::size_t enough = std::size_t{4} * target.upstreams / answered.size() + 2;
    if (waiting[uid] < enough) {
      share.since.reset();
      continue;
    }
    if (!share.since) share = {clock_.now(), mine, all};
    const std::uint64_t got = mine - share.mine;
    const std::uint64_t given = all - share.all;
    if (given < kEnoughAnswers) continue;
    if (got * 3 * answered.size() < given) {
      judge_.fail("fairness", fmt::format("user {} of {} got {} of {} answers", uid,
                                          answered.size(), got, given));
    }
    share = {clock_.now(), mine, all};
  }
}

bool Simulation::pass_until(Milliseconds time, const std::function<bool()>& done) {
  const Milliseconds end = clock_.now() + time;
  std::uint64_t turns = 0;
  while (!judge_.failed()) {
    if (done()) return true;
    const auto next = clock_.next();
    if (!next || *next > end) {
      clock_.advance(end);
      return done();
    }
    turns = *next > clock_.now() ? 0 : turns + 1;
    if (turns > kMostTurns) judge_.fail("spin", "everybody is busy and no time passes");
    ++judge_.turn;
    clock_.advance(std::max(*next, clock_.now()));
  }
  return false;
}

// Everything is well, nobody asks anything more, and then everybody goes.
void Simulation::come_to_rest() {
  trace_.line("everything is well again");
  for (const auto& daemon : daemons_) daemon->heal();
  host_.heal(*gate_);
  apply_buffer();
  for (const auto& client : clients_) client->calm_down();
  const auto waits = [](const auto& client) { return client->waits(); };
  if (!pass_until(Milliseconds(70000), [&] { return std::ranges::none_of(clients_, waits); })) {
    for (const auto& client : clients_) {
      if (client->waits()) judge_.fail("answered", client->state());
    }
  }
  for (const auto& client : clients_) client->leave();
  const auto gone = [](const auto& client) { return client->gone(); };
  if (!pass_until(Milliseconds(40000), [&] { return std::ranges::all_of(clients_, gone); })) {
    for (const auto& client : clients_) {
      if (!client->gone()) judge_.fail("end", client->state() + " is still there");
    }
  }
  // Of a client that left before its target was open the gate hears when that has been tried.
  pass_until(Milliseconds(15000), [&] { return !host_.dials_wait(); });
  pass(Milliseconds(3000));
  if (!judge_.failed()) check_rest();
}

void Simulation::check_rest() {
  const proxy::Snapshot snapshot = gate_->snapshot();
  if (snapshot.client_count + snapshot.user_count + snapshot.buffer.held != 0) {
    judge_.fail("rest",
                fmt::format("{} clients of {} users and {} bytes are left", snapshot.client_count,
                            snapshot.user_count, snapshot.buffer.held));
  }
  if (snapshot.accepted != host_.came()) {
    judge_.fail("rest", fmt::format("{} clients came, and the gate counts {}", host_.came(),
                                    snapshot.accepted));
  }
  for (const proxy::TargetSnapshot& target : snapshot.targets) {
    if (target.clients + target.waiting + target.in_flight + target.registrations == 0) continue;
    judge_.fail("rest", fmt::format("target {} has {} clients, {} calls that wait, {} that are "
                                    "under way and {} registrations, and nobody is there",
                                    target.name, target.clients, target.waiting, target.in_flight,
                                    target.registrations));
  }
  for (const auto& daemon : daemons_) {
    if (daemon->registrations() == 0) continue;
    judge_.fail("rest", fmt::format("{} has {} registrations, and nobody wants them",
                                    daemon->name(), daemon->registrations()));
  }
}

void Simulation::end() {
  trace_.line("the gate is to stop");
  draining_ = true;
  host_.shut();
  judge_.stops();
  bool drained = false;
  gate_->drain([&] { drained = true; });
  if (!pass_until(Milliseconds(90000), [&] { return drained; })) {
    return judge_.fail("end", "the gate does not stop");
  }
  tick_.stop();
  for (const auto& client : clients_) client->calm_down();
  for (const auto& daemon : daemons_) daemon->heal();
  gate_.reset();
  host_.check_records();
  const auto idle = [&] { return !clock_.next(); };
  if (!pass_until(Milliseconds(90000), idle) && !judge_.failed()) {
    judge_.fail("end", "a timer is left");
  }
  for (const auto& daemon : daemons_) {
    if (daemon->connections() == 0) continue;
    judge_.fail("end",
                fmt::format("{} has {} connections left", daemon->name(), daemon->connections()));
  }
  for (const auto& client : clients_) {
    if (!client->gone()) judge_.fail("end", client->state() + " is still there");
  }
}

Verdict run(std::uint64_t seed, bool shown) {
  auto simulation = std::make_unique<Simulation>(seed, shown);
  simulation->run();
  Verdict verdict = simulation->verdict();
  // Whoever looks at it with a debugger finds everything as it was.
  if (!verdict.failed_check.empty()) static_cast<void>(simulation.release());
  return verdict;
}

void print_unfinished() {
  if (shown_when_dying == nullptr) return;
  for (const std::string& line : shown_when_dying->last())
    std::fprintf(stderr, "%s\n", line.c_str());
}

}  // namespace simulate

// One seed decides the whole plan, so the same seed always makes the same run.
#include "tests/simulate/plan.h"

#include <fmt/format.h>

#include "tests/simulate/random.h"

namespace simulate {
namespace {

constexpr std::uint32_t kOfEach = 40;  // machines

constexpr const char* kNames[] = {"hail", "sleet", "snow"};

FaultPlan make_faults(Random& random) {
  FaultPlan out;
  if (random.percent(10)) return out;
  out.machines_hang = random.percent(60);
  out.machines_slow = random.percent(30);
  out.daemon_dies = random.percent(25);
  out.daemon_away = random.percent(20);
  out.daemon_freezes = random.percent(15);
  out.cuts = random.percent(25);
  out.lies = random.percent(15);
  out.swallows = random.percent(25);
  out.poison = random.percent(20);
  out.reloads = random.percent(25);
  out.rules = random.percent(25);
  out.pause = random.time(300, 5000);
  return out;
}

HostPlan make_host(Random& random) {
  HostPlan out;
  out.audits_calls = random.percent(20);
  if (random.percent(25)) out.user_log = random.between(2, 16) << 10U;
  if (random.percent(25)) out.user_audit = random.between(8, 64) << 10U;
  if (random.percent(50)) return out;
  out.descriptors = random.percent(50);
  out.begins_short = out.descriptors && random.percent(50);
  out.names = random.percent(40);
  out.disk = random.percent(40);
  out.buffer = random.percent(30);
  out.memory = random.percent(30);
  out.pause = random.time(300, 4000);
  return out;
}

NetworkPlan make_network(Random& random) {
  NetworkPlan out;
  if (random.percent(50)) return out;
  if (random.percent(70)) out.delay = random.between(1, 8);
  // Small pieces take as many turns as there are of them, so they come at once.
  out.piece = out.delay == 0 ? random.between(1, 400) : random.between(65536, 262144);
  return out;
}

LimitsPlan make_limits(Random& random) {
  LimitsPlan out;
  out.calls_per_client = random.between(4, 32);
  out.registrations_per_client = random.between(2, 8);
  if (random.percent(40)) {
    out.client_buffer = random.between(64, 512) << 10U;
    out.user_buffer = random.between(128, 1024) << 10U;
  }
  if (random.percent(20)) out.clients_per_user = random.between(3, 6);
  if (random.percent(15)) {
    // So that calls themselves are more than may be kept of them.
    out.max_call = 2048;
    out.user_buffer = random.between(4, 16) << 10U;
  }
  return out;
}

void make_rule_limits(Random& random, Plan& plan) {
  for (const uid_t uid : plan.users) {
    if (!random.percent(50)) continue;
    policy::RuleLimits limits;
    if (random.percent(50)) limits.queue = random.between(1, 20);
    if (random.percent(50)) limits.calls_in_flight = random.between(1, 5);
    if (random.percent(50)) limits.calls_per_second = random.between(20, 200);
    plan.rule_limits[uid] = limits;
  }
}

ClientPlan make_client(Random& random, const Plan& plan) {
  ClientPlan out;
  const std::uint64_t kind = random.below(10);
  out.program = kind < 3   ? Program::command
                : kind < 6 ? Program::exporter
                : kind < 8 ? Program::manager
                : kind < 9 ? Program::flood
                           : Program::babbler;
  out.uid = random.pick(plan.users);
  out.target = random.pick(plan.targets).name;
  out.depth = out.program == Program::command ? 1 : random.between(1, plan.limits.calls_per_client);
  out.unique = random.percent(30) ? 0 : random.between(0, 100);
  out.slow_reader = random.percent(10);
  out.rude = random.percent(25) ? random.between(1, 200) : 0;
  out.leaves = random.percent(30) ? random.between(1, 50) : 0;
  return out;
}

void make_crowd(Random& random, Plan& plan) {
  plan.clients.clear();
  plan.targets.resize(1);
  plan.targets[0].upstreams = 1;
  plan.users.clear();
  plan.machines = 10;
  plan.limits = LimitsPlan();
  plan.rule_limits.clear();
  ClientPlan client;
  client.program = Program::flood;
  client.target = plan.targets[0].name;
  client.unique = 100;
  client.of_machines = true;
  client.depth = random.between(8, 12);
  // A user with one client has one place of four; with several it could have more than its part.
  const std::uint32_t users = random.between(2, 4);
  for (std::uint32_t user = 0; user < users; ++user) {
    plan.users.push_back(client.uid);
    const bool last = user + 1 == users;
    const std::uint32_t clients = last ? random.between(4, 12) : random.between(1, 4);
    plan.clients.insert(plan.clients.end(), clients, client);
    ++client.uid;
  }
}

void make_alone(Random& random, Plan& plan, Program program) {
  plan.targets.resize(1);
  plan.clients.clear();
  plan.limits = LimitsPlan();
  plan.rule_limits.clear();
  ClientPlan client;
  client.program = program;
  client.uid = plan.users[0];
  client.target = plan.targets[0].name;
  client.unique = 100;
  client.of_machines = true;
  client.depth = random.between(3, 6);
  plan.clients.insert(plan.clients.end(), random.between(6, 8), client);
}

void make_chorus(Random& random, Plan& plan) {
  make_alone(random, plan, Program::babbler);
  plan.limits.calls_per_client = 1;
  // Two turns of a client each, which together are two turns of their user.
  for (std::size_t i = 0; i < 4; ++i) {
    plan.clients[i].babble = 63;
    plan.clients[i].last_word = true;
  }
}

// Calls are long, so that many innocent ones are lost beside the guilty one.
void make_poisoned(Random& random, Plan& plan) {
  make_alone(random, plan, Program::flood);
  plan.service = random.time(20, 40);
  plan.targets[0].upstreams = random.between(1, 4);
  for (ClientPlan& client : plan.clients) client.uid = random.pick(plan.users);
}

// Its calls that hang may not keep a user of few places from its other machines.
void make_recovery(Random& random, Plan& plan) {
  make_alone(random, plan, Program::flood);
  plan.machines = 3;
  plan.targets[0].upstreams = random.between(2, 4);
  plan.targets[0].call_timeout = random.time(6000, 8000);
  const std::size_t half = plan.clients.size() / 2;
  for (std::size_t i = 0; i < half; ++i) plan.clients[i].uid = plan.users[1];
  plan.rule_limits[plan.users[1]].calls_in_flight = 2;
}

// One user asks of all of them without a rest, and the other one has several programs too.
void make_ruin(Random& random, Plan& plan) {
  make_alone(random, plan, Program::flood);
  plan.machines = random.between(30, 60);
  plan.targets[0].upstreams = 4;
  plan.targets[0].call_timeout = random.time(6000, 8000);
  for (std::size_t i = 0; i < plan.clients.size() / 2; ++i) plan.clients[i].uid = plan.users[1];
}

// Beside those who never rest others come, ask of every machine, and leave.
void make_severed(Random& random, Plan& plan) {
  make_alone(random, plan, Program::flood);
  plan.machines = random.between(30, 40);
  plan.targets[0].upstreams = 4;
  plan.targets[0].call_timeout = random.time(6000, 8000);
  for (std::size_t i = 0; i < plan.clients.size(); ++i) {
    if (i % 3 == 0) continue;
    plan.clients[i].uid = plan.users[1];
    plan.clients[i].program = i % 3 == 1 ? Program::exporter : Program::command;
    plan.clients[i].depth = i % 3 == 1 ? 6 : 1;
    plan.clients[i].leaves = 20;
  }
}

// One user asks what hangs, in many kinds, and the other one, if there is one, what does not.
void make_partial(Random& random, Plan& plan) {
  make_alone(random, plan, Program::flood);
  plan.machines = 3;
  plan.service = random.time(2, 10);
  plan.targets[0].upstreams = random.between(2, 4);
  plan.targets[0].call_timeout = random.percent(50) ? Milliseconds(15000) : random.time(5000, 8000);
  const bool alone = random.percent(30);
  for (std::size_t i = 0; i < plan.clients.size(); ++i) {
    const bool first = alone || i % 2 == 0;
    plan.clients[i].asks = first ? Asks::others : Asks::info;
    plan.clients[i].of_machines = false;
    if (!first) plan.clients[i].uid = plan.users[1];
  }
}

// No call is so long that it is late.
void make_pressure(Random& random, Plan& plan) {
  make_alone(random, plan, Program::flood);
  plan.targets[0].upstreams = random.between(1, 4);
  plan.service = Milliseconds(8);
  ClientPlan client = plan.clients[0];
  client.depth = 12;
  client.machines = kOfEach;
  plan.machines = 2 * kOfEach;
  plan.clients.assign(4, client);
  client.uid = plan.users[1];
  client.first_machine = kOfEach;
  if (random.percent(50)) {
    plan.targets[0].upstreams = 1;  // or it would be very many calls
    plan.clients.insert(plan.clients.end(), 4, client);
  } else {
    client.program = Program::manager;
    client.depth = 1;
    plan.clients.push_back(client);
  }
}

}  // namespace

Plan make_plan(std::uint64_t seed) {
  Random random(seed);
  Plan out;
  out.seed = seed;
  const std::uint32_t targets = random.between(1, 3);
  for (std::uint32_t i = 0; i < targets; ++i) {
    TargetPlan target;
    target.name = kNames[i];
    target.upstreams = random.between(1, 4);
    target.call_timeout = random.time(4000, 15000);
    target.retry_timeout = random.time(1000, 8000);
    if (random.percent(20)) target.max_age = random.time(50, 3000);
    target.stats_nowait = random.percent(25);
    out.targets.push_back(std::move(target));
  }
  out.machines = random.between(3, 10);
  const std::uint32_t users = random.between(2, 4);
  for (std::uint32_t i = 0; i < users; ++i) out.users.push_back(1000 + i);
  out.limits = make_limits(random);
  const std::uint32_t clients = random.between(3, 14);
  for (std::uint32_t i = 0; i < clients; ++i) out.clients.push_back(make_client(random, out));
  if (random.percent(15)) make_rule_limits(random, out);
  out.crowd = random.percent(15);
  if (out.crowd) make_crowd(random, out);
  out.network = make_network(random);
  out.faults = make_faults(random);
  out.host = make_host(random);
  // Where nothing else ends connections, no call may be suspected of it.
  if (out.host.memory && random.percent(50)) {
    out.faults = FaultPlan();
    out.faults.machines_hang = true;
  }
  // A program of a crowd has one place, and gets less for it of a machine that is slow.
  if (out.crowd) out.faults.machines_slow = false;
  out.duration = random.time(5000, 30000);
  out.service = random.time(2, 40);
  if (random.percent(40)) out.large_reply = random.between(1000, 200000);
  // Each small piece of it takes a turn.
  if (out.network.piece > 0 && out.network.delay == 0) out.large_reply /= 20;
  out.drains_while_busy = random.percent(10);
  out.chorus = !out.crowd && random.percent(5);
  out.recovers = !out.crowd && !out.chorus && random.percent(6);
  out.poisoned = !out.crowd && !out.chorus && !out.recovers && random.percent(6);
  out.ruin = !out.crowd && !out.chorus && !out.recovers && !out.poisoned && random.percent(4);
  if (out.ruin) make_ruin(random, out);
  if (out.chorus) make_chorus(random, out);
  if (out.poisoned) make_poisoned(random, out);
  if (out.recovers) make_recovery(random, out);
  const bool usual = !out.crowd && !out.chorus && !out.recovers && !out.poisoned && !out.ruin;
  const std::uint64_t special = usual ? random.below(100) : 100;
  out.partial = special < 5;
  out.pressure = special >= 5 && special < 11;
  out.severed = special >= 11 && special < 17;
  if (out.partial) make_partial(random, out);
  if (out.severed) make_severed(random, out);
  if (out.pressure) make_pressure(random, out);
  if (out.chorus || out.recovers || out.poisoned || out.ruin || out.partial || out.pressure ||
      out.severed) {
    out.faults = FaultPlan();
    out.host = HostPlan();
    out.network = NetworkPlan();
    out.large_reply = 0;
    out.drains_while_busy = false;
  }
  if (out.recovers || out.ruin || out.partial) out.duration = Milliseconds(25000);
  const bool measured = out.crowd || out.chorus || out.recovers || out.partial || out.pressure;
  if (out.severed) {
    out.duration = Milliseconds(60000);
    out.faults.cuts = true;
    out.faults.pause = random.time(1500, 6000);
  }
  if (out.pressure) out.duration = Milliseconds(6500);
  if (!measured && random.percent(25)) {
    out.limits.buffer = random.between(64, 1024) << 10U;
  }
  return out;
}

bool limited(const Plan& plan, uid_t uid) {
  return plan.limits.max_call < 4096 || (!plan.recovers && plan.rule_limits.contains(uid));
}

std::string to_text(const Plan& plan) {
  const FaultPlan& f = plan.faults;
  std::string faults;
  const auto add = [&](bool there, const char* name) {
    if (there) faults += std::string(faults.empty() ? "" : ",") + name;
  };
  add(f.machines_hang, "hang");
  add(f.machines_slow, "slow");
  add(f.daemon_dies, "die");
  add(f.daemon_away, "away");
  add(f.daemon_freezes, "freeze");
  add(f.cuts, "cut");
  add(f.lies, "lie");
  add(f.swallows, "swallow");
  add(f.reloads, "reload");
  add(f.poison, "poison");
  add(f.rules, "rules");
  add(plan.host.descriptors, "descriptors");
  add(plan.host.names, "names");
  add(plan.host.disk, "disk");
  add(plan.host.buffer, "buffer");
  add(plan.host.memory, "memory");
  return fmt::format(
      "{} targets, {} machines each, {} users, {} clients, {} s, service {} "
      "ms, large {}, delay "
      "{}, "
      "piece {}, faults [{}] every {} ms{}",
      plan.targets.size(), plan.machines, plan.users.size(), plan.clients.size(),
      plan.duration.count() / 1000, plan.service.count(), plan.large_reply, plan.network.delay,
      plan.network.piece, faults, f.pause.count(),
      (plan.drains_while_busy ? std::string(", drains busy") : std::string()) +
          (plan.crowd ? ", crowd" : "") + (plan.chorus ? ", chorus" : "") +
          (plan.recovers ? ", recovers" : "") + (plan.ruin ? ", ruin" : "") +
          (plan.poisoned ? ", poisoned" : "") + (plan.partial ? ", partial" : "") +
          (plan.pressure ? ", pressure" : "") + (plan.severed ? ", severed" : "") +
          (plan.rule_limits.empty() ? "" : ", limited users") +
          (plan.limits.max_call < 4096 ? ", tight" : "") +
          (plan.limits.buffer < kUsualBuffer ? ", scarce" : ""));
}

}  // namespace simulate

// What one seed decides before anything happens: the targets, the users and their programs, the
// network, and which faults there are. Each seed has a part of all faults only, or the frequent
// ones would hide what the rare ones do by themselves.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <sys/types.h>

#include "policy/rules.h"
#include "tunnel/io/clock.h"

namespace simulate {

using tunnel::io::Milliseconds;

struct TargetPlan {
  std::string name;
  std::uint32_t upstreams = 4;
  Milliseconds call_timeout{10000};
  Milliseconds retry_timeout{5000};
  Milliseconds max_age{0};
  bool stats_nowait = false;
};

// Programs as people run them.
enum class Program : std::uint8_t {
  command,   // virsh: a few calls one after the other, and again a while later
  exporter,  // comes at intervals, and asks of every machine at once
  manager,   // stays, asks now and then, and wants events
  flood,     // always has as many calls under way as it may
  babbler,   // sends very many calls at once that are refused
};

// What it asks about machines.
enum class Asks : std::uint8_t {
  usual,
  info,    // nothing but that
  others,  // calls of many kinds, but not that
};

struct ClientPlan {
  Program program = Program::command;
  uid_t uid = 1000;
  std::string target;
  std::uint32_t depth = 1;    // calls under way at most
  std::uint32_t unique = 50;  // percent of questions that nobody else asks
  bool of_machines = false;   // asks of nothing else
  Asks asks = Asks::usual;
  std::uint32_t first_machine = 0;  // asks of this one and those behind it,
  std::uint32_t machines = 0;       // so many; 0: of all
  std::uint32_t babble = 320;       // calls that a babbler sends at once
  bool last_word = false;           // and a question after them
  bool slow_reader = false;         // stops reading for a while, again and again
  std::uint32_t rude = 0;           // per mille of messages that no decent client sends
  std::uint32_t leaves = 0;         // per mille: hangs up in the middle, and comes back
};

struct FaultPlan {
  bool machines_hang = false;
  bool machines_slow = false;
  bool daemon_dies = false;
  bool daemon_away = false;     // and stays away for a while
  bool daemon_freezes = false;  // answers nothing at all
  bool cuts = false;            // a connection ends after some byte
  bool lies = false;            // the daemon breaks the protocol
  bool swallows = false;        // nothing passes any more on a connection that stays open
  bool poison = false;          // a call about some machine makes the daemon crash
  bool reloads = false;         // of limits, and targets that move
  bool rules = false;           // there are rules, and they change
  Milliseconds pause{2000};     // between two faults
};

// What the gate's own host runs short of.
struct HostPlan {
  bool descriptors = false;
  bool begins_short = false;  // of these
  bool names = false;         // look-ups never end
  bool disk = false;          // neither the log nor the audit takes records
  bool buffer = false;        // for what all users hold
  bool memory = false;        // for a connection that is open
  bool audits_calls = false;
  std::uint64_t user_log = 16U << 20;
  std::uint64_t user_audit = 1U << 30;
  Milliseconds pause{2000};
};

struct NetworkPlan {
  std::uint32_t delay = 0;  // milliseconds at most
  std::uint32_t piece = 0;  // bytes at most; 0: all at once
};

constexpr std::uint64_t kUsualBuffer = 1U << 30;

struct LimitsPlan {
  std::uint32_t calls_per_client = 16;
  std::uint32_t registrations_per_client = 8;
  std::uint64_t client_buffer = 4U << 20;
  std::uint64_t user_buffer = 8U << 20;
  std::uint64_t buffer = kUsualBuffer;
  std::uint32_t clients_per_user = 100;
  std::uint32_t max_call = 1U << 20;
};

struct Plan {
  std::uint64_t seed = 0;
  std::vector<TargetPlan> targets;
  std::uint32_t machines = 6;  // of each daemon
  std::vector<uid_t> users;
  std::map<uid_t, policy::RuleLimits> rule_limits;  // of those who have some
  std::vector<ClientPlan> clients;
  NetworkPlan network;
  FaultPlan faults;
  HostPlan host;
  LimitsPlan limits;
  Milliseconds duration{20000};
  Milliseconds service{10};       // of a call on a daemon that is well, at most
  std::uint32_t large_reply = 0;  // bytes of what a large answer is filled up with
  bool drains_while_busy = false;
  bool crowd = false;  // one user has many programs that never rest, and the others have one each
  // Programs of one user that are all refused very much, and nobody else. The first of them then
  // wait for a machine that hangs, just when their user's turn is over.
  bool chorus = false;
  bool poisoned = false;  // calls about one machine make the daemon crash, and nothing else ends it
  bool ruin = false;      // most of many machines hang at once, and for good
  bool severed =
      false;  // some of many machines hang for good, and connections are cut all the time
  bool partial = false;  // one machine answers nothing but one kind of call, which one user asks
  // Calls of one user take long, and it always has some that wait. Another one has as many that are
  // quick, or asks now and then.
  bool pressure = false;
  bool recovers = false;  // one machine hangs until calls have timed out, and then is well for long
};

Plan make_plan(std::uint64_t seed);
// Whether what a user asks may wait for what else it asks, because of a limit of its own that is
// not measured.
bool limited(const Plan& plan, uid_t uid);
// A line about it.
std::string to_text(const Plan& plan);

}  // namespace simulate

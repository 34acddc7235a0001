// The users of a pool: those with lanes, or with calls at the daemon.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <set>

#include <sys/types.h>

#include "proxy/upstream/call.h"

namespace proxy {

struct Party {
  Party(uid_t who, std::uint64_t now) : uid(who), turn(now) {}

  const uid_t uid;
  std::uint32_t in_flight = 0;  // calls at the daemon
  std::uint32_t overdue = 0;    // of these, whose places count no longer
  std::uint32_t unsure = 0;     // of these
  std::list<Lane*> lanes;
  std::list<Lane*> ring;  // those with something to send
  std::uint64_t turn;     // when it was served last, or came

  // How many more calls that may hang are left to a user of whom nothing hangs, who may come when
  // all other places are taken.
  [[nodiscard]] std::size_t last_places() const { return overdue + unsure == 0 ? 2 : 0; }
};

class Parties {
 public:
  // Of a user who may have come just now.
  Party& of(uid_t uid, std::uint64_t now) {
    return parties_.try_emplace(uid, uid, now).first->second;
  }
  void add(Party& party, Lane& lane) {
    if (party.lanes.empty()) ++present_;
    lane.party = &party;
    lane.node = party.lanes.insert(party.lanes.end(), &lane);
  }
  void remove(Lane& lane) {
    Party& party = *lane.party;
    party.lanes.erase(lane.node);
    if (party.lanes.empty()) --present_;
    lane.party = nullptr;
    drop(party);
  }
  // Forgets one of whom nothing is left.
  void drop(Party& party) {
    if (party.lanes.empty() && party.in_flight == 0) parties_.erase(party.uid);
  }

  // Users with lanes.
  [[nodiscard]] std::size_t present() const { return present_; }
  [[nodiscard]] std::size_t lanes() const {
    std::size_t sum = 0;
    for (const auto& [uid, party] : parties_) sum += party.lanes.size();
    return sum;
  }
  [[nodiscard]] std::set<uid_t> uids() const {
    std::set<uid_t> out;
    for (const auto& [uid, party] : parties_) {
      if (!party.lanes.empty()) out.insert(uid);
    }
    return out;
  }
  // All of them, in the order of their numbers.
  [[nodiscard]] const std::map<uid_t, Party>& all() const { return parties_; }

 private:
  std::map<uid_t, Party> parties_;
  std::size_t present_ = 0;
};

}  // namespace proxy

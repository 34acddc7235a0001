// The pools of a gate: one for each target of the configuration, and those of the URIs that clients
// have named beyond them. Of the latter there are only so many, in all and for each user, and they
// go when nobody uses them any more. One takes a place of the user who brought it about, and once
// others use it and that one does not, of one of them.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "conf/values.h"
#include "proxy/record/counters.h"
#include "proxy/record/snapshot.h"
#include "proxy/upstream/pacer.h"
#include "proxy/upstream/pool.h"
#include "proxy/upstream/retired.h"
#include "proxy/upstream/slabs.h"
#include "tunnel/tunnel.h"

namespace proxy {

using TunnelFactory = std::function<std::unique_ptr<tunnel::Tunnel>(const tunnel::Target&)>;

class Pools {
 public:
  // An opened target that nobody has used for so long is forgotten, and with it how often reaching
  // it failed.
  static constexpr Milliseconds kForgotten{120000};

  // Clock, log, sasl, counters and limits outlive it.
  Pools(tunnel::io::Clock& clock, Log& log, Sasl& sasl, Counters& counters,
        const conf::Limits& limits, TunnelFactory tunnels);
  Pools(const Pools&) = delete;
  Pools& operator=(const Pools&) = delete;
  ~Pools() = default;

  // Adds a target that a client of user `uid` has named, or finds the one of that name, which is
  // what `target` says from now on. The error is a sentence for the client, not escaped.
  std::optional<std::string> open(const conf::TargetConfig& target, const policy::UriParts& parts,
                                  uid_t uid);
  // Null: there is none.
  [[nodiscard]] Pool* find(std::string_view name);

  // What the target is now that a client has named by the URI of this name; nothing: it may not be
  // named any more.
  using OpenedNow = std::function<std::optional<conf::TargetConfig>(const std::string& name,
                                                                    const policy::UriParts& parts)>;

  // Takes `targets` for those of the configuration, and for those that clients have named what
  // `opened_now` says. A target that has changed, or whose certificates, keys or known hosts have,
  // is reached anew, the latter once their files have been looked at. find() no longer gives a
  // target that is gone, which ends once nobody is attached to it. Of many most are made or changed
  // in turns to come, or when they are asked for: `targets` outlives the next reload(), or close().
  void reload(const std::vector<conf::TargetConfig>& targets, const OpenedNow& opened_now);
  // The parts of the URI by which a client has named the target; null: no client has.
  [[nodiscard]] const policy::UriParts* opened(std::string_view name) const;

  // Ends all; `closed` is called once, from the loop or at once. Nobody may be attached.
  void close(std::function<void()> closed);

  [[nodiscard]] std::size_t opened() const;
  // So many of them behind the one of this name, which becomes that of the last. True: there are no
  // more.
  bool describe(std::string& after, std::size_t most, std::vector<TargetSnapshot>& to) const;

 private:
  struct Entry {
    std::unique_ptr<Pool> pool;
    // Of a target that a client has named: the user who did, and its URI.
    std::optional<uid_t> opener;
    policy::UriParts parts;
    Milliseconds last_used{0};
  };
  using Entries = std::map<std::string, Entry, std::less<>>;

  void insert(const conf::TargetConfig& target, std::optional<uid_t> opener,
              policy::UriParts parts);
  Entries::iterator entry_of(std::string_view name);
  void make_some();
  void update(Pool& pool, const conf::TargetConfig& target);
  void renew_some();
  void renew(Pool& pool);
  // It has not been retired.
  [[nodiscard]] bool is_in_use(const Pool& pool);
  bool make_room(uid_t uid);
  void pass_places_on();
  void forget();
  void remove(Entries::iterator entry);
  void leave(Entries::iterator entry);
  void let_leaving_go();

  tunnel::io::Clock& clock_;
  Log& log_;
  Sasl& sasl_;
  Counters& counters_;
  const conf::Limits& limits_;
  const TunnelFactory tunnels_;
  Pacer pacer_;
  Slabs slabs_;
  Entries entries_;
  std::list<std::unique_ptr<Pool>> leaving_;  // removed, and somebody is still attached
  Retired<Pool> retired_;
  tunnel::io::Timer forget_;
  tunnel::io::Timer leave_;  // runs while more of those that leave may go
  std::map<std::string_view, const conf::TargetConfig*> to_make_;  // of the configuration
  tunnel::io::Timer make_;
  std::vector<std::string> to_renew_;  // by name; also what has gone meanwhile
  tunnel::io::Timer renew_;
};

}  // namespace proxy

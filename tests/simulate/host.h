// The machine that the gate runs on, and what it may run short of: descriptors, for connections to
// daemons and for newcomers; memory for a connection that is open; name servers; memory for what
// all users hold; and a disk that takes the log and the audit.
//
// It holds the records of the gate to what is promised of them: each goes to the audit, or is
// counted as lost; and one user's have no more than their share of the log.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "conf/values.h"
#include "proxy/gate/gate.h"
#include "proxy/record/audit.h"
#include "proxy/record/bounded_log.h"
#include "proxy/record/repeats.h"
#include "tests/simulate/daemon.h"
#include "tests/simulate/stage.h"
#include "tunnel/tunnel.h"

namespace simulate {

class Host {
 public:
  static constexpr const char* kNoDescriptors = "virtgate has no descriptors left";

  Host(Stage& stage, Random random);
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  ~Host();

  proxy::Log& log();
  // A way from here to the daemon, which outlives it.
  std::unique_ptr<tunnel::Tunnel> way_to(Daemon& daemon);
  // Somebody at the gate's socket, who may have to wait there, or be turned away.
  void knock(proxy::Gate& gate, std::unique_ptr<test::MemoryStream> stream, uid_t uid);
  // Nobody is taken any more.
  void shut() { backlog_.clear(); }

  void begin_short() { short_ = true; }
  // Another fault, or the end of one. `gate` is whom those are brought to who had to wait.
  void fault(proxy::Gate& gate);
  // What all users may hold now.
  [[nodiscard]] std::uint64_t buffer() const;
  void heal(proxy::Gate& gate);
  void look_after_dials();
  [[nodiscard]] bool dials_wait() const { return !dials_.empty(); }
  // At the end.
  void check_records();
  // Those who came to the gate, and were let in or turned away.
  [[nodiscard]] std::uint64_t came() const { return came_; }

  // Nothing here is why a call to the daemon takes long, and nothing has been since `quiet`. A
  // connection that is there goes on, whatever new ones wait for, but may be needed by more than
  // one.
  [[nodiscard]] bool is_well(const Daemon& daemon, Milliseconds quiet) const;
  // Whoever comes is let in, and a daemon that is well can be dialled; and so it was since then.
  [[nodiscard]] bool lets_open(const Daemon& daemon, Milliseconds since) const;
  // There were no descriptors after `since`, and that alone would keep a daemon from being dialled.
  [[nodiscard]] bool lacked_only_descriptors(const Daemon& daemon, Milliseconds since) const;

 private:
  class Way;
  class Sink;
  class Book;
  class Disk;
  struct Dial;
  struct Newcomer {
    std::unique_ptr<test::MemoryStream> stream;
    uid_t uid = 0;
  };

  std::unique_ptr<tunnel::io::Stream> dial(Daemon& daemon);
  void let_in(proxy::Gate& gate, Newcomer newcomer, std::optional<std::string> refusal);
  void lack_descriptors(bool lacks, proxy::Gate& gate);
  void lack_names(bool lacks);
  void lack_memory(bool lacks);
  void fill_disk(bool full);
  // Of dials that waited for a name: now, if some do.
  [[nodiscard]] Milliseconds dials_waited(const Daemon& daemon) const;
  [[nodiscard]] Milliseconds short_until() const;
  void check_audit();
  void check_share(uid_t uid);

  Stage& stage_;
  Random random_;
  std::vector<Daemon*> daemons_;
  std::list<std::unique_ptr<Dial>> dials_;
  std::map<const Daemon*, Milliseconds> dials_waited_;
  std::list<Newcomer> backlog_;
  bool short_ = false;
  bool crowded_ = false;  // and there are none for newcomers either
  bool nameless_ = false;
  bool squeezed_ = false;
  Milliseconds short_until_{-1000000};
  Milliseconds squeezed_until_{-1000000};
  std::uint64_t came_ = 0;
  // From the last to the first that a record comes to.
  std::unique_ptr<Disk> disk_;
  proxy::BoundedLog bounded_;
  std::unique_ptr<Book> book_;
  proxy::Repeats repeats_;
  std::shared_ptr<Sink> sink_;
  proxy::Audit audit_;
  std::unique_ptr<Book> first_book_;
};

}  // namespace simulate

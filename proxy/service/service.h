// The gate as a service of this host: its loop, its sockets, and the signals that end it.
//
// What cannot be done as configured is left out, and what is unclear is refused. Both are reported
// in the log, in `status`, to the service manager and to the clients that they concern.
#pragma once

#include <cstddef>
#include <ctime>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "conf/values.h"
#include "proxy/gate/gate.h"
#include "proxy/record/audit.h"
#include "proxy/record/bounded_log.h"
#include "proxy/record/log.h"
#include "proxy/record/repeats.h"
#include "proxy/report/status_desks.h"
#include "proxy/service/headroom.h"
#include "proxy/service/notify.h"
#include "proxy/service/passed_sockets.h"
#include "proxy/service/settings.h"
#include "proxy/upstream/sasl.h"
#include "tunnel/io/aside.h"
#include "tunnel/io/errands.h"
#include "tunnel/io/loop.h"

namespace proxy {

class Service final : private StatusService {
 public:
  // How the configuration is read again. `read` is called in threads of its own, and may be still
  // there when the service is not.
  struct Source {
    std::function<ReadResult()> read;
    std::function<Stamps()> stamps;
  };
  // A reading that takes longer has failed; the configuration of before stays in force.
  static constexpr tunnel::io::Milliseconds kReadPatience{20000};

  // The log outlives it. With `mistakes` there is no configuration: all that the service manager
  // has passed on is answered with an error, until a reload, or a try of its own every now and
  // then, finds one.
  Service(Log& log, std::shared_ptr<AuditFile> audit, const Reading& reading, Source source,
          std::vector<std::string> mistakes);
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;
  ~Service() override;

  // Binds every socket of the configuration that was not passed on by the service manager; false,
  // after lines in the log: there is none that somebody could be answered on. From then on SIGTERM
  // and SIGINT end it in order, also before run(), and SIGHUP has it read its configuration again:
  // all of that holds at once, or, after lines in the log that say why, nothing of it.
  bool open_doors();

  // Why the service has ended by itself.
  enum class End : std::uint8_t {
    asked,       // by a signal
    configured,  // there is a configuration now, which needs another process
  };

  // Reports in the log each turn of the loop that takes longer than this. For tests.
  void measure(tunnel::io::Milliseconds longest_turn);

  // Tells the service manager that it serves, and returns when it has ended and the drain is
  // through. `held`: what the process can do, which bounds what it can be told anew.
  End run(Confinement held);

  // Allocates nothing.
  [[nodiscard]] MemoryUse memory_use() const { return gate_.memory_use(); }

 private:
  class Door;
  // What a reload needs, read and opened beside the loop.
  struct Fresh {
    ReadResult reading;
    std::shared_ptr<AuditFile> audit;
  };
  using Done = std::function<void(const Reloaded&)>;

  void describe(Snapshot& to) const override;
  [[nodiscard]] std::function<void(Snapshot&)> looks() const override;
  void reload(Done done) override;

  void open_door(std::size_t number, PassedSockets& passed);
  void close_door(PassedSocket from);
  void refuse_at(Door& door, std::string problem);
  void read_again();
  static Fresh fresh(const Source& source);
  void have_read(std::optional<Fresh> next);
  [[nodiscard]] std::vector<std::string> take(Fresh fresh);
  [[nodiscard]] std::vector<std::string> cannot_change(const Reading& next) const;
  [[nodiscard]] std::vector<std::string> move_doors(const std::vector<conf::Listen>& listen);
  base::Result<std::unique_ptr<Door>, std::string> new_door(const conf::Listen& listen);
  void look_at(const Door& door);
  void remember(const Reading& reading);
  // What is configured and is not so.
  [[nodiscard]] std::vector<std::string> not_in_force() const;
  // What is so, and probably not meant.
  [[nodiscard]] std::vector<std::string> warnings() const;
  void say_problems();
  void say_state();
  void try_again();
  bool open_missing_doors();
  void look_after_doors();
  bool close_lost_doors();
  void stop();

  Log& log_;
  tunnel::io::Loop loop_;
  const Headroom headroom_;
  tunnel::io::Aside aside_;
  Notify notify_;
  BoundedLog bounded_;
  Repeats repeats_;
  std::shared_ptr<AuditFile> audit_file_;
  Audit audit_;
  tunnel::io::Errands logins_;  // their own: a KDC can keep many
  Sasl sasl_;
  Gate gate_;
  StatusDesks status_;
  std::vector<std::unique_ptr<Door>> doors_;
  const Source source_;
  Confinement held_;
  bool running_ = false;
  bool stopping_ = false;
  End end_ = End::asked;

  std::optional<Identities> first_;
  std::vector<std::string> mistakes_;  // why there is no configuration; empty: there is one
  std::vector<std::string> lapsed_;    // of the configuration that runs
  std::vector<std::string> warnings_;  // likewise
  std::map<std::string, std::string> no_door_;    // by path, why
  std::map<std::string, std::string> odd_doors_;  // by path, what is wrong with one that is open
  std::map<std::string, mode_t> modes_;           // by path, of those that somebody else made
  std::vector<std::string> passed_wrong_;
  Stamps stamps_;
  std::time_t read_at_ = 0;
  std::time_t reload_failed_at_ = 0;
  std::vector<std::string> reload_mistakes_;

  std::size_t reading_ = 0;  // the number of the attempt that runs; 0: none does
  std::size_t attempts_ = 0;
  std::vector<Done> waiting_;  // for the attempt that runs
  std::vector<Done> behind_;   // for one after it, since files may have changed meanwhile
  tunnel::io::Timer patience_;
  tunnel::io::Timer again_;
  tunnel::io::Timer look_;
  tunnel::io::Timer leave_;
};

}  // namespace proxy

// The gate as a service of this host: its loop, its sockets, and the signals that end it.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "conf/config.h"
#include "conf/libvirt_conf.h"
#include "proxy/audit.h"
#include "proxy/confinement.h"
#include "proxy/gate.h"
#include "proxy/log.h"
#include "proxy/notify.h"
#include "proxy/passed_sockets.h"
#include "proxy/repeats.h"
#include "proxy/sasl.h"
#include "proxy/status_desks.h"
#include "tunnel/io/loop.h"

namespace proxy {

// What a gate is told.
struct Reading {
  conf::Config config;
  conf::LibvirtConf libvirt_conf;
  std::string control;  // the path of the control socket; empty: none
  Confinement needs;
};
using ReadAgain = std::function<base::Result<Reading, std::vector<std::string>>()>;

class Service {
 public:
  // The log outlives it. `control` is the path of the control socket; empty: none.
  Service(Log& log, AuditSink sink, Reading reading, ReadAgain read_again);
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;
  ~Service();

  // Binds every socket of the configuration that was not passed on by the service manager; false,
  // after a line in the log: one could not be, or one was passed on that the configuration does not
  // name. From then on SIGTERM and SIGINT end it in order, also before run(), and SIGHUP
  // has it read its configuration anew: all of that holds at once, or, after lines in the log that
  // say why, nothing of it.
  bool open_doors();

  // Tells the service manager that it serves, and returns when a signal has ended it and the drain
  // is through. `held`: what the process can do, which bounds what it can be told anew.
  void run(Confinement held);

 private:
  class Door;

  bool open_door(std::size_t number, PassedSockets& passed);
  bool start_failed(const std::string& reason);
  void reload();
  [[nodiscard]] std::vector<std::string> try_reload();
  [[nodiscard]] std::vector<std::string> cannot_change(const Reading& next) const;
  base::Result<std::unique_ptr<Door>, std::string> new_door(const conf::Listen& listen);
  void say_ready();
  void stop();

  Log& log_;
  tunnel::io::Loop loop_;
  Notify notify_;
  Repeats repeats_;
  Audit audit_;
  Sasl sasl_;
  Gate gate_;
  StatusDesks status_;
  std::vector<std::unique_ptr<Door>> doors_;
  const ReadAgain read_again_;
  Confinement held_;
  bool stopping_ = false;
};

}  // namespace proxy

// The gate as a service of this host: its loop, its sockets, and the signals that end it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "conf/config.h"
#include "conf/libvirt_conf.h"
#include "proxy/audit.h"
#include "proxy/gate.h"
#include "proxy/log.h"
#include "proxy/notify.h"
#include "proxy/passed_sockets.h"
#include "proxy/repeats.h"
#include "proxy/sasl.h"
#include "proxy/status_desks.h"
#include "tunnel/io/loop.h"

namespace proxy {

class Service {
 public:
  // The log outlives it. `control` is the path of the control socket; empty: none.
  Service(Log& log, AuditSink sink, conf::Config config, conf::LibvirtConf libvirt_conf,
          std::string control);
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;
  ~Service();

  // Binds every socket of the configuration that was not passed on by the service manager; false,
  // after a line in the log: one could not be, or one was passed on that the configuration does not
  // name. From then on SIGTERM and SIGINT end it in order, also before run().
  bool open_doors();

  // Tells the service manager that it serves, and returns when a signal has ended it and the drain
  // is through.
  void run();

 private:
  class Door;

  bool open_door(std::size_t number, PassedSockets& passed);
  bool start_failed(const std::string& reason);
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
  bool stopping_ = false;
};

}  // namespace proxy

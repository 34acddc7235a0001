// Where a gate says what it does: the control socket, which answers its own user and root alone,
// and metrics on a socket, on a port of this host, and in a file.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "conf/config.h"
#include "proxy/gate.h"
#include "proxy/http_desk.h"
#include "proxy/log.h"
#include "tunnel/io/loop.h"

namespace proxy {

class StatusDesks {
 public:
  // All of it outlives this. `control` is the path of the control socket; empty: none.
  StatusDesks(tunnel::io::Loop& loop, const Gate& gate, Log& log, std::string control);
  StatusDesks(const StatusDesks&) = delete;
  StatusDesks& operator=(const StatusDesks&) = delete;
  // close() is through, or nobody ever came.
  ~StatusDesks();

  // Opens what the configuration names; false, after a line in the log: something of it could not
  // be. A control socket that it does not name may fail.
  bool open();
  // Answers nobody any more; `closed` is called when nobody is there, from the loop or at once.
  void close(std::function<void()> closed);

 private:
  class LocalDoor;
  class Port;

  bool open_control();
  bool open_metrics();
  [[nodiscard]] policy::HttpAnswer answer_control(std::string_view path,
                                                  std::string_view accept) const;
  [[nodiscard]] policy::HttpAnswer answer_metrics(std::string_view path,
                                                  std::string_view accept) const;
  [[nodiscard]] Snapshot snapshot() const;
  bool fail(const std::string& reason);
  void write_textfile();

  tunnel::io::Loop& loop_;
  const Gate& gate_;
  Log& log_;
  const std::string control_path_;
  const std::uint64_t started_;
  HttpDesk control_;
  HttpDesk metrics_;       // of the socket
  HttpDesk port_metrics_;  // that anybody of this host reaches
  std::vector<std::unique_ptr<LocalDoor>> doors_;
  std::unique_ptr<Port> port_;
  tunnel::io::Timer textfile_;
  bool textfile_failed_ = false;
};

// Where the control socket is: what the configuration says; else, in the folder in which gates of
// this user have their sockets, "control" if one of this gate's is there; else the name of its
// first socket with ".control" behind it. Empty: its sockets have no files.
std::string control_path(const conf::Config& config, const std::string& default_folder);

}  // namespace proxy

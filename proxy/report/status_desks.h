// Where a gate says what it does: the control socket, which answers insiders alone and takes orders
// of its own user and root, and metrics on a socket, on a port of this host, and in a file.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conf/values.h"
#include "proxy/gate/gate.h"
#include "proxy/record/log.h"
#include "proxy/report/http_desk.h"
#include "tunnel/io/aside.h"
#include "tunnel/io/loop.h"

namespace proxy {

// The service, as its desks see it.
class StatusService {
 public:
  virtual ~StatusService() = default;
  // Fills in what the gate itself does not know.
  virtual void describe(Snapshot& to) const = 0;
  // What fills in, in a thread, what only files tell.
  [[nodiscard]] virtual std::function<void(Snapshot&)> looks() const = 0;
  // Reads the configuration again, and calls `done` when that is over; it outlives the desks' life
  // up to close().
  virtual void reload(std::function<void(const Reloaded&)> done) = 0;
};

class StatusDesks {
 public:
  // All of it outlives this. `control` is the path of the control socket; empty: none.
  StatusDesks(tunnel::io::Loop& loop, Gate& gate, StatusService& service, Log& log,
              std::string control);
  StatusDesks(const StatusDesks&) = delete;
  StatusDesks& operator=(const StatusDesks&) = delete;
  // close() is through, or nobody ever came.
  ~StatusDesks();

  // Opens what the configuration names. What of it could not be opened is logged, and is among the
  // problems until it can be.
  void open();
  // Opens again what has lost its place in the file system, and with `missing` also what could not
  // be opened before. Says whether the problems are others now.
  bool look(bool missing);
  [[nodiscard]] std::vector<std::string> problems() const;
  // Answers nobody any more; `closed` is called when nobody is there, from the loop or at once.
  void close(std::function<void()> closed);

 private:
  struct Asked {
    Survey survey;
    std::function<void(Snapshot)> taken;
  };
  class LocalDoor;
  class Port;

  void open_missing();
  [[nodiscard]] bool has(const std::string& socket) const;
  void open_control();
  void open_socket();
  void open_port();
  void answer_order(std::string_view path, const tunnel::io::Peer& peer,
                    const HttpDesk::Respond& respond);
  void answer_control(std::string_view path, std::string_view accept,
                      const HttpDesk::Respond& respond);
  void answer_metrics(std::string_view path, std::string_view accept,
                      const HttpDesk::Respond& respond);
  // What a snapshot is shown as.
  enum class Form : std::uint8_t { status, prometheus, openmetrics };
  static policy::HttpAnswer written(Form form, const Snapshot& snapshot);
  void ask(Form form, HttpDesk::Respond respond);
  void write_next();
  void write(Form form, Snapshot snapshot, const std::vector<HttpDesk::Respond>& to);
  // Takes a snapshot in several turns of the loop.
  void survey(std::function<void(Snapshot)> taken);
  void go_on_surveying();
  void opened(std::string_view event, const std::string& name);
  void fail(const std::string& name, const std::string& reason);
  void write_textfile();
  void write_textfile(Snapshot snapshot);
  void have_written_textfile(const std::optional<std::string>& problem);
  void say_textfile_failed(const std::string& why);

  tunnel::io::Loop& loop_;
  Gate& gate_;
  StatusService& service_;
  Log& log_;
  const std::string control_path_;
  const std::uint64_t started_;
  std::vector<std::pair<Form, HttpDesk::Respond>> asked_;  // in order
  bool writing_ = false;
  std::list<Asked> surveys_;
  HttpDesk control_;
  HttpDesk metrics_;       // of the socket
  HttpDesk port_metrics_;  // that anybody of this host reaches
  std::vector<std::unique_ptr<LocalDoor>> doors_;
  std::unique_ptr<Port> port_;
  tunnel::io::Timer survey_;
  tunnel::io::Timer textfile_;
  tunnel::io::Timer textfile_late_;
  bool textfile_failed_ = false;
  bool opened_ = false;
  bool closing_ = false;
  std::map<std::string, std::string> missing_;  // by name, why
  tunnel::io::Aside aside_;
  std::string no_control_;  // why, where nobody has asked for one
};

// Where the control socket is: what the configuration says; else, in the folder in which gates of
// this user have their sockets, "control" if one of this gate's is there; else the name of its
// first socket with ".control" behind it. Empty: its sockets have no files.
std::string control_path(const conf::Config& config, const std::string& default_folder);

}  // namespace proxy

#include "tunnel/io/process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/fd.h"
#include "tunnel/io/callback.h"
#include "tunnel/io/connect.h"
#include "tunnel/io/descriptors.h"
#include "tunnel/io/errands.h"
#include "tunnel/io/lines.h"
#include "tunnel/io/loop_inside.h"
#include "tunnel/io/stream_state.h"

namespace tunnel::io {
namespace {

// How long the end of a child's output and its exit may lie apart.
constexpr Milliseconds kApart{1000};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  all.reserve(texts.size() + 1);
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

// In the variable of "NAME=value" lines, or what execvp(3) takes without it.
std::string path_in(const std::vector<std::string>& environment) {
  constexpr std::string_view kPath = "PATH=";
  for (const std::string& one : environment) {
    if (one.starts_with(kPath)) return one.substr(kPath.size());
  }
  return "/bin:/usr/bin";
}

// Reads the beginning of the program that would be run, so that who runs it does not wait for it.
void look_at_program(const std::string& program, std::string_view path, Whereabouts& whereabouts) {
  const auto look = [&whereabouts](const std::string& file) {
    whereabouts.at(file);
    const base::Fd descriptor(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    std::array<char, 4096> some{};
    return descriptor.ok() && read(descriptor.get(), some.data(), some.size()) >= 0;
  };
  if (program.find('/') != std::string::npos) {
    look(program);
    return;
  }
  while (!path.empty()) {
    std::string file(path.substr(0, path.find(':')));
    path.remove_prefix(std::min(file.size() + 1, path.size()));
    file += '/';
    file += program;
    if (look(file)) return;
  }
}

class ProcessStream final : public Stream, private StreamOwner {
 public:
  ProcessStream(Loop& loop, Command command)
      : loop_(loop),
        command_(std::move(command)),
        lines_(loop.clock(), std::move(command_.on_line)),
        wait_(loop.clock(), [this] { conclude(); }),
        kill_(loop.clock(), [this] { kill_or_leave(); }),
        late_(loop.clock(),
              [this] {
                close({Reason::Kind::timeout, Stage::connect,
                       "cannot run " + name() + ": " + looking_->late(command_.look)});
              }),
        finish_(loop.clock(), [this] { finish_if_done(); }) {}

  void open(StreamOwner& owner) override;
  void write(base::Bytes data) override {
    if (stream_ != nullptr) stream_->write(data);
  }
  [[nodiscard]] std::size_t queued() const override {
    return stream_ == nullptr ? 0 : stream_->queued();
  }
  void end() override {
    if (stream_ != nullptr) stream_->end();
  }
  void pause(unsigned reasons) override;
  void resume(unsigned reasons) override;
  void close(Reason reason) override;

 private:
  // Of the child's standard error.
  struct ErrorOwner final : StreamOwner {
    explicit ErrorOwner(ProcessStream& of) : process(of) {}
    void on_open() override {}
    void on_data(base::Bytes data) override { process.lines_.feed(data); }
    void on_end() override { process.errors_->close({}); }
    void on_drain() override {}
    void on_closed(const Reason&) override { process.errors_ended(); }
    ProcessStream& process;
  };

  void on_open() override;
  void on_data(base::Bytes data) override {
    heard_ = true;
    state_.owner().on_data(data);
  }
  void on_end() override { output_over(); }
  void on_drain() override { state_.owner().on_drain(); }
  void on_closed(const Reason& reason) override;

  [[nodiscard]] std::string name() const {
    return command_.arguments.empty() ? "nothing" : command_.arguments.front();
  }
  void start();
  int spawn();
  int spawn_with(int errors);
  void exited(std::int64_t status, int signal);
  void errors_ended();
  void output_over();
  void conclude();
  void send(int signal);
  void kill_or_leave();
  void close_process();
  void process_closed();
  void fail(const std::string& what, int error) {
    // Of processes, too, the system has so many and no more.
    const auto kind = error == EAGAIN ? Reason::Kind::exhausted : kind_of(error);
    close({kind, Stage::connect, what + ": " + base::system_words(error)});
  }
  [[nodiscard]] Reason exit_reason() const;
  void finish_if_done();

  Loop& loop_;
  Command command_;
  StreamState state_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Stream> errors_;
  ErrorOwner error_owner_{*this};
  Lines lines_;
  Timer wait_;
  Timer kill_;
  Timer late_;
  ErrandHandle looking_;
  Timer finish_;
  base::Fd child_end_{-1};
  uv_process_t process_{};
  std::unique_ptr<Reason> broken_;
  std::int64_t status_ = 0;
  int signal_ = 0;
  bool handle_open_ = false;
  bool running_ = false;
  bool exited_ = false;
  bool heard_ = false;
  bool over_ = false;
  bool end_told_ = false;
  bool killed_ = false;
};

void ProcessStream::open(StreamOwner& owner) {
  state_.open(owner);
  if (state_.closing()) return finish_.start(Milliseconds(0));
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail("cannot make a socket", errno);
  }
  child_end_.reset(ends[1]);
  stream_ = adopt_fd(loop_, ends[0]);
  stream_->pause(state_.pauses());
  stream_->open(*this);
}

void ProcessStream::on_open() {
  state_.owner().on_stage(Stage::connect);
  if (state_.closing()) return;
  late_.start(command_.look);
  looking_ = loop_.errands().run(
      "program " + name(),
      [program = name(), path = path_in(command_.environment)](Whereabouts& whereabouts) {
        look_at_program(program, path, whereabouts);
      },
      [this](int error) {
        looking_.reset();
        late_.stop();
        if (error != 0) return fail("cannot run " + name() + ": no thread to look for it", error);
        start();
      });
}

void ProcessStream::start() {
  const int status = spawn();
  child_end_.reset();
  if (status != 0) return fail("cannot run " + name(), -status);
  running_ = true;
  state_.owner().on_stage(Stage::established);
  if (!state_.closing()) state_.owner().on_open();
}

int ProcessStream::spawn() {
  if (command_.arguments.empty()) return UV_EINVAL;
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return -errno;
  const base::Fd write_end(ends[1]);
  base::Fd read_end(ends[0]);
  if (is_kept(ends[0]) || is_kept(ends[1])) return UV_EMFILE;
  errors_ = adopt_fd(loop_, read_end.release());
  const int status = spawn_with(write_end.get());
  if (status == 0) {
    errors_->open(error_owner_);
  } else {
    errors_.reset();
  }
  return status;
}

int ProcessStream::spawn_with(int errors) {
  std::vector<char*> arguments = pointers(command_.arguments);
  std::vector<char*> environment = pointers(command_.environment);
  std::array<uv_stdio_container_t, 3> stdio{};
  for (uv_stdio_container_t& one : stdio) {
    one.flags = UV_INHERIT_FD;
    one.data.fd = child_end_.get();
  }
  stdio[2].data.fd = errors;
  uv_process_options_t options{};
  options.file = arguments.front();
  options.args = arguments.data();
  options.env = environment.data();
  options.stdio = stdio.data();
  options.stdio_count = static_cast<int>(stdio.size());
  options.flags = command_.new_session ? UV_PROCESS_DETACHED : 0;
  options.exit_cb = callback<&ProcessStream::exited>;
  process_.data = this;
  const int status = uv_spawn(loop_.inside().raw(), &process_, &options);
  // It has to be closed even when nothing was started.
  handle_open_ = true;
  if (status != 0) close_process();
  return status;
}

void ProcessStream::pause(unsigned reasons) {
  state_.pause(reasons);
  if (stream_ != nullptr) stream_->pause(reasons);
}

void ProcessStream::resume(unsigned reasons) {
  state_.resume(reasons);
  if (stream_ != nullptr) stream_->resume(reasons);
}

void ProcessStream::close(Reason reason) {
  if (!state_.close(std::move(reason))) return;
  wait_.stop();
  late_.stop();
  looking_.reset();
  if (stream_ != nullptr) stream_->close({});
  if (errors_ != nullptr) errors_->close({});
  if (running_) {
    send(SIGTERM);
    kill_.start(command_.patience);
  }
  if (state_.has_owner()) finish_.start(Milliseconds(0));
}

void ProcessStream::on_closed(const Reason& reason) {
  stream_.reset();
  if (state_.closing()) return finish_if_done();
  broken_ = std::make_unique<Reason>(reason);
  output_over();
}

void ProcessStream::exited(std::int64_t status, int signal) {
  running_ = false;
  exited_ = true;
  status_ = status;
  signal_ = signal;
  kill_.stop();
  close_process();
  if (!state_.closing() && over_) output_over();
}

void ProcessStream::errors_ended() {
  errors_.reset();
  lines_.finish();
  if (state_.closing()) return finish_if_done();
  if (over_) output_over();
}

// The exit, the end of the output and that of the errors come in any order, and the reason needs
// all.
void ProcessStream::output_over() {
  over_ = true;
  if (state_.closing()) return;
  if (exited_ && errors_ == nullptr) return conclude();
  if (!wait_.running() && (exited_ || !end_told_)) wait_.start(kApart);
}

void ProcessStream::conclude() {
  wait_.stop();
  if (exited_) return close(exit_reason());
  if (broken_ != nullptr) return close(*broken_);
  if (end_told_) return;
  end_told_ = true;
  state_.owner().on_end();
}

void ProcessStream::send(int signal) {
  if (command_.new_session) {
    ::kill(-process_.pid, signal);
  } else {
    uv_process_kill(&process_, signal);
  }
}

void ProcessStream::kill_or_leave() {
  if (killed_) return close_process();
  killed_ = true;
  send(SIGKILL);
  kill_.start(command_.patience);
}

void ProcessStream::close_process() {
  running_ = false;
  uv_close(reinterpret_cast<uv_handle_t*>(&process_), callback<&ProcessStream::process_closed>);
}

void ProcessStream::process_closed() {
  handle_open_ = false;
  if (state_.closing()) finish_if_done();
}

Reason ProcessStream::exit_reason() const {
  const std::string& path = command_.arguments.front();
  std::string text = path.substr(path.rfind('/') + 1);
  if (signal_ != 0) {
    const char* name = sigdescr_np(signal_);
    text += " was ended by signal " + std::to_string(signal_);
    if (name != nullptr) text += std::string(" (") + name + ")";
  } else {
    text += " ended";
    if (status_ != 0) text += " with exit status " + std::to_string(status_);
  }
  if (!lines_.last().empty()) text += ": " + lines_.last();
  const bool orderly = signal_ == 0 && status_ == 0;
  return {orderly ? Reason::Kind::end : Reason::Kind::system,
          heard_ ? Stage::established : Stage::connect, text};
}

void ProcessStream::finish_if_done() {
  if (stream_ != nullptr || errors_ != nullptr || handle_open_ || !state_.has_owner()) return;
  state_.finish();
}

}  // namespace

std::unique_ptr<Stream> run_process(Loop& loop, Command command) {
  return std::make_unique<ProcessStream>(loop, std::move(command));
}

std::vector<std::string> own_environment(std::initializer_list<const char*> names) {
  std::vector<std::string> found;
  for (const char* name : names) {
    const char* value = std::getenv(name);
    if (value != nullptr) found.push_back(std::string(name) + "=" + value);
  }
  return found;
}

}  // namespace tunnel::io

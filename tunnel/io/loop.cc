#include "tunnel/io/loop.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

#include <uv.h>

#include "base/allocate.h"
#include "base/check.h"
#include "tunnel/io/errands.h"
#include "tunnel/io/loop_inside.h"

namespace tunnel::io {
namespace {

constexpr std::size_t kReadBuffer = std::size_t{64} * 1024;

struct Tasks final : Task {
  void run_soon() override {}
};

struct Signal {
  uv_signal_t handle{};
  Loop* loop = nullptr;
  std::function<void()> handler;
};

template <typename T>
uv_handle_t* base_of(T& handle) {
  return reinterpret_cast<uv_handle_t*>(&handle);
}

}  // namespace

struct Loop::State {
  Inside inside{*this};
  uv_loop_t uv{};
  uv_timer_t timer{};
  uv_prepare_t prepare{};
  uv_idle_t idle{};
  std::optional<TurnMeter> meter;
  Clock clock;
  std::optional<Milliseconds> armed;
  bool stopped = false;
  std::vector<std::unique_ptr<Signal>> signals;
  std::unique_ptr<std::array<char, kReadBuffer>> read_buffer;
  Tasks tasks;
  std::optional<Resolver> resolver;
  std::optional<Errands> errands;
  std::size_t descriptors = 0;

  [[nodiscard]] bool has_tasks() const;
  [[nodiscard]] bool owns(const uv_handle_t* handle) const;
  void arm();
  void run_tasks();
  // Runs a piece of the turn, whose name is a literal.
  template <typename Work>
  void measured(std::string_view name, Work work) {
    if (meter) meter->begin_piece();
    work();
    if (meter) meter->end_piece(name);
  }
};

bool Loop::State::has_tasks() const { return tasks.next_ != &tasks; }

void Task::unlink() {
  next_->previous_ = previous_;
  previous_->next_ = next_;
  next_ = this;
  previous_ = this;
}

bool Loop::State::owns(const uv_handle_t* handle) const {
  const auto is = [handle](const auto& own) {
    return handle == reinterpret_cast<const uv_handle_t*>(&own);
  };
  return is(timer) || is(prepare) || is(idle) ||
         std::any_of(signals.begin(), signals.end(), [&](const auto& s) { return is(s->handle); });
}

void Loop::State::arm() {
  const auto next = clock.next();
  if (next == armed) return;
  armed = next;
  if (!next) {
    uv_timer_stop(&timer);
    return;
  }
  const auto now = static_cast<std::int64_t>(uv_now(&uv));
  const std::int64_t delay = std::max<std::int64_t>(0, next->count() - now);
  const auto fire = [](uv_timer_t* handle) {
    auto* loop = static_cast<Loop*>(handle->data);
    State& state = *loop->state_;
    state.armed.reset();
    state.clock.advance(Milliseconds(static_cast<std::int64_t>(uv_now(handle->loop))));
  };
  CHECK(uv_timer_start(&timer, fire, static_cast<std::uint64_t>(delay), 0) == 0);
}

void Loop::State::run_tasks() {
  // What is asked for meanwhile waits for the next turn, so that input is not starved.
  Tasks now;
  if (has_tasks()) {
    now.next_ = std::exchange(tasks.next_, &tasks);
    now.previous_ = std::exchange(tasks.previous_, &tasks);
    now.next_->previous_ = &now;
    now.previous_->next_ = &now;
  }
  while (now.next_ != &now) {
    Task* task = now.next_;
    task->unlink();
    const std::string_view name = typeid(*task).name();
    measured(name, [task] { task->run_soon(); });
  }
  if (!has_tasks()) uv_idle_stop(&idle);
}

Loop::Loop(Resolve resolve, Resolve at_once) : state_(std::make_unique<State>()) {
  State& s = *state_;
  // It would abort, or fail as if the system had refused what it asks.
  CHECK(uv_replace_allocator(base::allocate, base::reallocate, base::allocate_zeros, std::free) ==
        0);
  CHECK(uv_loop_init(&s.uv) == 0);
  s.uv.data = this;
  CHECK(uv_timer_init(&s.uv, &s.timer) == 0);
  CHECK(uv_prepare_init(&s.uv, &s.prepare) == 0);
  CHECK(uv_idle_init(&s.uv, &s.idle) == 0);
  s.timer.data = this;
  s.prepare.data = this;
  s.read_buffer = std::make_unique<std::array<char, kReadBuffer>>();
  const auto prepare = [](uv_prepare_t* handle) {
    auto* loop = static_cast<Loop*>(handle->data);
    loop->inside().touch();
    loop->state_->run_tasks();
    loop->state_->arm();
    if (loop->state_->meter) loop->state_->meter->next_turn();
  };
  CHECK(uv_prepare_start(&s.prepare, prepare) == 0);
  uv_unref(base_of(s.prepare));
  inside().touch();
  s.clock.read_work_from([] {
    return std::chrono::duration_cast<Microseconds>(
        std::chrono::steady_clock::now().time_since_epoch());
  });
  s.resolver.emplace(*this, std::move(resolve), std::move(at_once));
  s.errands.emplace(*this);
}

Loop::~Loop() {
  State& s = *state_;
  CHECK(!s.has_tasks());
  s.resolver.reset();
  s.errands.reset();
  const auto inspect = [](uv_handle_t* handle, void* state) {
    CHECK(uv_is_closing(handle) != 0 || static_cast<State*>(state)->owns(handle));
  };
  uv_walk(&s.uv, inspect, &s);
  uv_close(base_of(s.timer), nullptr);
  uv_close(base_of(s.prepare), nullptr);
  uv_close(base_of(s.idle), nullptr);
  for (const auto& signal : s.signals) uv_close(base_of(signal->handle), nullptr);
  while (uv_loop_close(&s.uv) != 0) uv_run(&s.uv, UV_RUN_ONCE);
}

Clock& Loop::clock() { return state_->clock; }

Errands& Loop::errands() { return *state_->errands; }

std::size_t Loop::descriptors() const { return state_->descriptors; }

Loop::Inside& Loop::inside() { return state_->inside; }

uv_loop_s* Loop::Inside::raw() { return &state_.uv; }

Resolver& Loop::Inside::resolver() { return *state_.resolver; }

void Loop::run() {
  State& s = *state_;
  s.stopped = false;
  do {
    s.arm();
    uv_run(&s.uv, UV_RUN_DEFAULT);
  } while (!s.stopped && (s.has_tasks() || s.clock.next() || uv_loop_alive(&s.uv) != 0));
}

void Loop::stop() {
  state_->stopped = true;
  uv_stop(&state_->uv);
}

void Loop::on_signal(int signal, std::function<void()> handler) {
  auto entry = std::make_unique<Signal>();
  entry->loop = this;
  entry->handler = std::move(handler);
  entry->handle.data = entry.get();
  CHECK(uv_signal_init(&state_->uv, &entry->handle) == 0);
  const auto deliver = [](uv_signal_t* handle, int) {
    const auto* target = static_cast<Signal*>(handle->data);
    target->loop->inside().touch();
    target->loop->state_->measured("a signal", target->handler);
  };
  CHECK(uv_signal_start(&entry->handle, deliver, signal) == 0);
  uv_unref(base_of(entry->handle));
  state_->signals.push_back(std::move(entry));
}

void Loop::Inside::soon(Task& task) {
  if (task.next_ != &task) return;
  Task& end = state_.tasks;
  task.next_ = &end;
  task.previous_ = end.previous_;
  end.previous_->next_ = &task;
  end.previous_ = &task;
  uv_idle_start(&state_.idle, [](uv_idle_t*) {});
}

void Loop::Inside::touch() {
  state_.clock.set(Milliseconds(static_cast<std::int64_t>(uv_now(&state_.uv))));
}

void Loop::measure(Milliseconds most, TurnMeter::Report report) {
  state_->clock.watch(state_->meter.emplace(most, std::move(report)));
}

void Loop::Inside::hold(std::ptrdiff_t more) {
  state_.descriptors += static_cast<std::size_t>(more);
}

TurnMeter* Loop::Inside::meter() { return state_.meter ? &*state_.meter : nullptr; }

std::span<char> Loop::Inside::read_buffer() { return *state_.read_buffer; }

}  // namespace tunnel::io

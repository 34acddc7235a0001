#include "tunnel/io/aside.h"

#include <csignal>
#include <mutex>
#include <utility>
#include <vector>

#include <pthread.h>
#include <uv.h>

#include "base/check.h"
#include "tunnel/io/callback.h"
#include "tunnel/io/loop.h"

namespace tunnel::io {

// What threads share with the loop, which may be gone when they come to it.
struct Aside::Mailbox {
  void put(std::function<void()> done) {
    const std::lock_guard lock(mutex);
    if (bell == nullptr) return;
    letters.push_back(std::move(done));
    uv_async_send(bell);
  }

  std::mutex mutex;
  uv_async_t* bell = nullptr;  // null: nobody listens any more
  std::vector<std::function<void()>> letters;
};

int start_thread(std::function<void()> work) {
  auto* const with = new std::function<void()>(std::move(work));
  const auto run = [](void* raw) -> void* {
    const std::unique_ptr<std::function<void()>> self(static_cast<std::function<void()>*>(raw));
    (*self)();
    return nullptr;
  };
  pthread_attr_t attributes;
  CHECK(pthread_attr_init(&attributes) == 0);
  CHECK(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0);
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
  pthread_t thread{};
  const int status = pthread_create(&thread, &attributes, run, with);
  CHECK(pthread_sigmask(SIG_SETMASK, &before, nullptr) == 0);
  pthread_attr_destroy(&attributes);
  if (status != 0) delete with;
  return status;
}

Aside::Aside(Loop& loop) : mailbox_(std::make_shared<Mailbox>()), bell_(new uv_async_t) {
  CHECK(uv_async_init(loop.inside().raw(), bell_, callback<&Aside::empty_mailbox>) == 0);
  bell_->data = this;
  uv_unref(reinterpret_cast<uv_handle_t*>(bell_));
  mailbox_->bell = bell_;
}

Aside::~Aside() {
  {
    const std::lock_guard lock(mailbox_->mutex);
    mailbox_->bell = nullptr;
  }
  uv_close(reinterpret_cast<uv_handle_t*>(bell_),
           [](uv_handle_t* handle) { delete reinterpret_cast<uv_async_t*>(handle); });
}

int Aside::run(std::function<void()> work, std::function<void()> done) {
  const auto errand = [mailbox = mailbox_, work = std::move(work), done] {
    work();
    mailbox->put(done);
  };
  const int status = start_thread(errand);
  if (status != 0) defer(std::move(done));
  return status;
}

void Aside::defer(std::function<void()> done) { mailbox_->put(std::move(done)); }

void Aside::empty_mailbox() {
  std::vector<std::function<void()>> letters;
  {
    const std::lock_guard lock(mailbox_->mutex);
    letters.swap(mailbox_->letters);
  }
  for (const auto& done : letters) done();
}

}  // namespace tunnel::io

#include "tunnel/io/resolver.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <utility>

#include <netdb.h>
#include <pthread.h>
#include <uv.h>

#include "base/check.h"
#include "base/fd.h"
#include "tunnel/io/loop.h"

namespace tunnel::io {

// What threads share with the loop, which may be gone when they come to it.
struct Resolver::Mailbox {
  struct Letter {
    std::string host;
    Resolved resolved;
  };

  void put(Letter letter) {
    const std::lock_guard lock(mutex);
    if (bell == nullptr) return;
    letters.push_back(std::move(letter));
    uv_async_send(bell);
  }

  const Resolve resolve;
  std::mutex mutex;
  uv_async_t* bell;  // null: nobody listens any more
  std::vector<Letter> letters;
};

struct Resolver::Errand {
  std::shared_ptr<Mailbox> mailbox;
  std::string host;

  static void* run(void* raw) {
    const std::unique_ptr<Errand> self(static_cast<Errand*>(raw));
    self->mailbox->put({self->host, self->mailbox->resolve(self->host)});
    return nullptr;
  }
};

namespace {

// Signals are for the thread of the loop. Returns an errno.
int start_detached(void* (*run)(void*), void* with) {
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
  return status;
}

}  // namespace

Resolved resolve_by_system(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int status = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (status == EAI_SYSTEM) return {{}, base::system_words(errno)};
  if (status != 0) return {{}, gai_strerror(status)};
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, freeaddrinfo);
  Resolved out;
  for (; found != nullptr; found = found->ai_next) {
    if (const auto address = address_of(found->ai_addr, 0)) out.addresses.push_back(*address);
  }
  if (out.addresses.empty()) out.failure = gai_strerror(EAI_NONAME);
  return out;
}

Resolver::Resolver(Loop& loop, Resolve resolve)
    : loop_(loop),
      mailbox_(new Mailbox{std::move(resolve), {}, nullptr, {}}),
      bell_(new uv_async_t) {
  const auto rung = [](uv_async_t* bell) {
    auto* self = static_cast<Resolver*>(bell->data);
    self->loop_.touch();
    self->empty_mailbox();
  };
  CHECK(uv_async_init(loop.raw(), bell_, rung) == 0);
  bell_->data = this;
  uv_unref(reinterpret_cast<uv_handle_t*>(bell_));
  mailbox_->bell = bell_;
}

Resolver::~Resolver() {
  {
    const std::lock_guard lock(mailbox_->mutex);
    mailbox_->bell = nullptr;
  }
  uv_close(reinterpret_cast<uv_handle_t*>(bell_),
           [](uv_handle_t* handle) { delete reinterpret_cast<uv_async_t*>(handle); });
}

Resolver::Question Resolver::ask(const std::string& host, Heard heard) {
  auto question = std::make_shared<Heard>(std::move(heard));
  auto entry = std::ranges::find(entries_, host, &Entry::host);
  if (entry == entries_.end()) entry = entries_.insert(entry, Entry{host, {}});
  std::erase_if(entry->questions, [](const auto& one) { return one.expired(); });
  entry->questions.push_back(question);
  start_some();
  return question;
}

void Resolver::start_some() {
  entries_.remove_if([](const Entry& entry) {
    return !entry.running &&
           std::ranges::all_of(entry.questions, [](const auto& one) { return one.expired(); });
  });
  for (Entry& entry : entries_) {
    if (running_ >= kMostAtOnce) return;
    if (entry.running) continue;
    entry.running = true;
    ++running_;
    begin(entry);
  }
}

void Resolver::begin(const Entry& entry) {
  auto errand = std::make_unique<Errand>(Errand{mailbox_, entry.host});
  const int status = start_detached(Errand::run, errand.get());
  if (status == 0) {
    static_cast<void>(errand.release());
  } else {
    mailbox_->put({entry.host, {{}, "no thread for it: " + base::system_words(status)}});
  }
}

void Resolver::empty_mailbox() {
  std::vector<Mailbox::Letter> letters;
  {
    const std::lock_guard lock(mailbox_->mutex);
    letters.swap(mailbox_->letters);
  }
  for (const Mailbox::Letter& letter : letters) {
    const auto entry = std::ranges::find(entries_, letter.host, &Entry::host);
    CHECK(entry != entries_.end() && entry->running);
    const std::vector<std::weak_ptr<Heard>> questions = std::move(entry->questions);
    entries_.erase(entry);
    --running_;
    for (const std::weak_ptr<Heard>& one : questions) {
      if (const Question question = one.lock()) (*question)(letter.resolved);
    }
  }
  start_some();
}

}  // namespace tunnel::io

#include "tunnel/io/resolver.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <netdb.h>

#include "base/check.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/shortage.h"
#include "base/text.h"
#include "tunnel/io/loop.h"

namespace tunnel::io {

namespace {

// Hosts that took long; more of them are taken for quick ones.
constexpr std::size_t kMostRemembered = 4096;

}  // namespace

Resolved resolve_by_system(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  // What it cannot open it often takes for a name that is not found.
  errno = 0;
  const int status = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  const bool shortage = base::is_shortage(errno) || status == EAI_MEMORY;
  if (status == EAI_SYSTEM || (status != 0 && shortage && errno != 0)) {
    return {{}, base::system_words(errno), shortage};
  }
  if (status != 0) return {{}, gai_strerror(status), shortage};
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, freeaddrinfo);
  Resolved out;
  for (; found != nullptr; found = found->ai_next) {
    if (const auto address = address_of(found->ai_addr, 0)) out.addresses.push_back(*address);
  }
  if (out.addresses.empty()) out.failure = gai_strerror(EAI_NONAME);
  return out;
}

std::vector<Address> addresses_in_hosts(std::string_view text, std::string_view host) {
  constexpr std::string_view kBlanks = " \t\r";
  const auto word = [&](std::string_view& line) {
    line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
    const std::string_view taken = line.substr(0, line.find_first_of(kBlanks));
    line.remove_prefix(taken.size());
    return taken;
  };
  const std::string wanted = base::lower(host);
  std::vector<Address> found;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    line = line.substr(0, line.find('#'));
    const std::string_view literal = word(line);
    for (std::string_view name = word(line); !name.empty(); name = word(line)) {
      if (base::lower(name) != wanted) continue;
      if (const auto one = address_literal(std::string(literal), 0)) found.push_back(*one);
      break;
    }
  }
  return found;
}

Resolved resolve_by_hosts_file(const std::string& host) {
  constexpr std::size_t kLargest = std::size_t{256} * 1024;
  auto text = base::read_file("/etc/hosts", kLargest);
  if (!text) return {};
  return {addresses_in_hosts(text->text.text(), host), {}, false};
}

Resolver::Resolver(Loop& loop, Resolve resolve, Resolve at_once)
    : loop_(loop), aside_(loop), resolve_(std::move(resolve)), at_once_(std::move(at_once)) {}

Resolver::Question Resolver::ask(const std::string& host,
                                 std::function<void(const Resolved&)> heard) {
  auto question = std::make_shared<Asker>(Asker{std::move(heard), std::nullopt});
  auto entry = find(host);
  if (entry == entries_.end()) {
    entry = entries_.insert(entry, Entry{host, {}});
    entry->slow = slow_.contains(host);
  }
  if (entry->running) question->since = loop_.clock().now();
  std::erase_if(entry->questions, [](const auto& one) { return one.expired(); });
  entry->questions.push_back(question);
  start_some();
  return question;
}

std::list<Resolver::Entry>::iterator Resolver::find(const std::string& host) {
  return std::ranges::find(entries_, host, &Entry::host);
}

void Resolver::start_some() {
  entries_.remove_if([](const Entry& entry) {
    return !entry.running &&
           std::ranges::all_of(entry.questions, [](const auto& one) { return one.expired(); });
  });
  start_of(false);
  start_of(true);
  look_at_once();
}

void Resolver::start_of(bool slow) {
  for (Entry& entry : entries_) {
    if (running_ >= kMostAtOnce || (slow && slow_running_ >= kMostSlow)) return;
    if (!entry.running && entry.slow == slow) begin(entry);
  }
}

void Resolver::look_at_once() {
  for (Entry& entry : entries_) {
    if (entry.running || std::exchange(entry.looked_at_once, true)) continue;
    Resolved known = at_once_(entry.host);
    if (known.addresses.empty()) continue;
    aside_.defer([this, host = entry.host, known = std::move(known)] { answer(host, known); });
  }
}

void Resolver::begin(Entry& entry) {
  entry.running = true;
  entry.since = loop_.clock().now();
  ++running_;
  if (entry.slow) ++slow_running_;
  for (const std::weak_ptr<Asker>& one : entry.questions) {
    if (const Question question = one.lock()) question->since = entry.since;
  }
  const auto resolved = std::make_shared<Resolved>();
  const int status =
      aside_.run([resolve = resolve_, resolved, host = entry.host] { *resolved = resolve(host); },
                 [this, resolved, host = entry.host] { ended(host, *resolved); });
  if (status == 0) return;
  resolved->failure = "no thread for it: " + base::system_words(status);
  resolved->shortage = true;
}

void Resolver::ended(const std::string& host, const Resolved& resolved) {
  const auto entry = find(host);
  CHECK(entry != entries_.end() && entry->running);
  const auto questions = std::exchange(entry->questions, {});
  end(entry);
  tell(questions, resolved);
}

void Resolver::answer(const std::string& host, const Resolved& resolved) {
  const auto entry = find(host);
  if (entry != entries_.end()) tell(std::exchange(entry->questions, {}), resolved);
}

void Resolver::tell(const Questions& questions, const Resolved& resolved) {
  for (const std::weak_ptr<Asker>& one : questions) {
    if (const Question question = one.lock()) question->heard(resolved);
  }
  start_some();
}

void Resolver::end(std::list<Entry>::iterator entry) {
  --running_;
  if (entry->slow) --slow_running_;
  if (loop_.clock().now() - entry->since < kLong) {
    slow_.erase(entry->host);
  } else if (slow_.size() < kMostRemembered) {
    slow_.insert(entry->host);
  }
  entries_.erase(entry);
}

}  // namespace tunnel::io

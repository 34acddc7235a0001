#include "proxy/record/references.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <iterator>

namespace proxy {

std::string References::refer(uid_t uid, std::string_view about, std::string_view text,
                              tunnel::io::Milliseconds now) {
  auto entry = std::ranges::find_if(
      entries_, [&](const Entry& one) { return one.uid == uid && one.about == about; });
  if (entry == entries_.end()) {
    // The seed differs after each restart, and depends on nothing but the clock, which a simulation
    // turns.
    if (entries_.empty()) random_.seed(static_cast<std::mt19937::result_type>(now.count()));
    make_room(uid);
    entry = entries_.insert(entry, {fresh(), uid, std::string(about), {}, now, 0});
  }
  entry->text = text;
  entry->last = now;
  ++entry->times;
  entries_.splice(entries_.begin(), entries_, entry);
  return entry->reference;
}

void References::make_room(uid_t uid) {
  const auto of_user = [uid](const Entry& one) { return one.uid == uid; };
  const auto count = std::ranges::count_if(entries_, of_user);
  const bool user_full = static_cast<std::size_t>(count) >= kMostOfUser;
  if (!user_full && entries_.size() < kMost) return;
  const auto oldest =
      user_full ? std::find_if(entries_.rbegin(), entries_.rend(), of_user) : entries_.rbegin();
  entries_.erase(std::next(oldest).base());
}

std::string References::fresh() {
  for (;;) {
    std::array<char, 7> text{};
    std::snprintf(text.data(), text.size(), "%06x", static_cast<unsigned>(random_() & 0xffffffU));
    if (std::ranges::find(entries_, text.data(), &Entry::reference) == entries_.end()) {
      return text.data();
    }
  }
}

}  // namespace proxy

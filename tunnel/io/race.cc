#include "tunnel/io/race.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace tunnel::io {
namespace {

std::vector<Address> in_turns(const std::vector<Address>& addresses) {
  std::vector<Address> lead;
  std::vector<Address> other;
  for (const Address& a : addresses) {
    (a.family() == addresses.front().family() ? lead : other).push_back(a);
  }
  std::vector<Address> mixed;
  for (std::size_t i = 0; i < std::max(lead.size(), other.size()); ++i) {
    if (i < lead.size()) mixed.push_back(lead[i]);
    if (i < other.size()) mixed.push_back(other[i]);
  }
  return mixed;
}

}  // namespace

Race::Race(Clock& clock, const std::vector<Address>& addresses, RaceOwner& owner)
    : owner_(owner), timer_(clock, [this] { turn(); }) {
  for (const Address& address : in_turns(addresses)) {
    if (entries_.size() < kMaxAddresses) entries_.push_back({address, false, {}});
  }
}

void Race::failed(std::size_t index, std::string why) {
  CHECK(index < begun_ && !entries_[index].over);
  entries_[index].over = true;
  entries_[index].why = std::move(why);
  ++over_;
  if (begun_ < entries_.size() || over_ == begun_) timer_.start(Milliseconds(0));
}

const Address& Race::address(std::size_t index) const {
  CHECK(index < entries_.size());
  return entries_[index].address;
}

std::string Race::account() const {
  std::string text;
  for (std::size_t i = 0; i < begun_; ++i) {
    const Entry& entry = entries_[i];
    text += (i == 0 ? "" : "; ") + entry.address.text() + ": ";
    text += entry.over ? entry.why : "no answer";
  }
  return text;
}

void Race::turn() {
  if (begun_ == entries_.size()) {
    owner_.on_all_failed();
    return;
  }
  const std::size_t index = begun_++;
  if (begun_ < entries_.size()) timer_.start(kStagger);
  owner_.on_attempt(index);
}

}  // namespace tunnel::io

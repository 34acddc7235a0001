#include "tests/unit/support/ssh_fault.h"

#include <algorithm>

namespace test {

namespace {

void flip(base::Buffer& data, std::size_t start, std::optional<std::size_t> at) {
  if (at && *at >= start && *at - start < data.size()) data[*at - start] ^= 0x10;
}

}  // namespace

void FaultyStream::write(base::Bytes data) {
  base::Buffer copy(data.begin(), data.end());
  flip(copy, sent_, fault_.flip_sent);
  sent_ += copy.size();
  below_->write(copy);
}

void FaultyStream::on_data(base::Bytes data) {
  base::Buffer copy(data.begin(), data.end());
  flip(copy, received_, fault_.flip_received);
  const std::size_t start = received_;
  received_ += copy.size();
  if (fault_.heard != nullptr) *fault_.heard = received_;
  base::Bytes rest = copy;
  for (const auto limit : {fault_.silent_after, fault_.end_after}) {
    if (limit) rest = rest.first(std::min(rest.size(), *limit - std::min(*limit, start)));
  }
  while (!rest.empty()) {
    const std::size_t size = fault_.piece == 0 ? rest.size() : std::min(fault_.piece, rest.size());
    owner_->on_data(rest.first(size));
    rest = rest.subspan(size);
  }
  if (fault_.end_after && received_ >= *fault_.end_after && !ended_) {
    ended_ = true;
    owner_->on_end();
  }
}

}  // namespace test

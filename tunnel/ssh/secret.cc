#include "tunnel/ssh/secret.h"

#include <cstring>

#include "base/check.h"

namespace tunnel::ssh {

Secret::~Secret() {
  if (bytes_ != nullptr) explicit_bzero(bytes_.get(), capacity_);
}

void Secret::shrink(std::size_t size) {
  CHECK(size <= size_);
  if (size == size_) return;
  size_ = size;
  bytes_[size] = 0;
}

}  // namespace tunnel::ssh

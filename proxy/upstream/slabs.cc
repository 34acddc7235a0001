#include "proxy/upstream/slabs.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <utility>

namespace proxy {
namespace {

// Replies about the same thing differ by a few bytes, and one block is to do for all of them.
std::size_t rounded(std::size_t size) {
  const std::size_t step = std::max<std::size_t>(std::bit_floor(size) / 8, 1);
  return (size + step - 1) / step * step;
}

}  // namespace

std::shared_ptr<std::uint8_t[]> Slabs::take(std::size_t size) {
  auto loan = std::make_shared<Loan>(store_, store_->take(size));
  std::uint8_t* bytes = loan->slab.bytes.get();
  return {std::move(loan), bytes};
}

Slabs::Loan::~Loan() {
  if (const auto alive = store.lock()) alive->give(std::move(slab));
}

Slabs::Slab Slabs::Store::take(std::size_t size) {
  const std::size_t wanted = rounded(size);
  const auto fits = [&](const Slab& slab) {
    return slab.size >= wanted && slab.size - slab.size / 8 <= wanted;
  };
  // The last one is the likeliest to be in the processor's cache.
  const auto found = std::find_if(slabs.rbegin(), slabs.rend(), fits);
  if (found == slabs.rend()) {
    return {std::make_unique_for_overwrite<std::uint8_t[]>(wanted), wanted};
  }
  Slab slab = std::move(*found);
  slabs.erase(std::next(found).base());
  kept -= slab.size;
  return slab;
}

void Slabs::Store::give(Slab slab) {
  if (slab.size > kLongestKept || kept + slab.size > kMostKept) return;
  kept += slab.size;
  slabs.push_back(std::move(slab));
  if (!timer.running()) timer.start(kIdle);
}

void Slabs::Store::drop_idle() {
  std::erase_if(slabs, [this](const Slab& slab) {
    if (slab.idle) kept -= slab.size;
    return slab.idle;
  });
  for (Slab& slab : slabs) slab.idle = true;
  if (!slabs.empty()) timer.start(kIdle);
}

}  // namespace proxy

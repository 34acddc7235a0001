// Arguments from a seed: in order, loosely written as real clients do, or damaged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>

#include "base/bytes.h"
#include "policy/procedures.h"

namespace test {

class RandomBodies {
 public:
  explicit RandomBodies(std::uint64_t seed) : source_(seed) {}

  // Of a procedure that is not denied: within the bounds of its signature, encoded as it must be.
  base::Buffer strict(const policy::Procedure& procedure) { return body(procedure, false); }
  // The same with any padding, and with any word but 0 before an optional that is there.
  base::Buffer loose(const policy::Procedure& procedure) { return body(procedure, true); }
  // With something changed, taken away or put in somewhere.
  base::Buffer damaged(base::Buffer body);

  // Below `bound`.
  std::uint64_t below(std::uint64_t bound) { return source_() % bound; }

 private:
  base::Buffer body(const policy::Procedure& procedure, bool loosely);
  void value(const policy::ArgumentSpec& spec, bool loosely, base::Buffer& to);
  std::int64_t number(const policy::ArgumentSpec& spec);
  std::uint32_t odd_word();
  std::string text(bool document);
  void string(const std::string& text, bool loosely, base::Buffer& to);
  bool chance(unsigned one_in) { return below(one_in) == 0; }

  std::mt19937_64 source_;
};

}  // namespace test

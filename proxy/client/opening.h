// What a client has asked to open, until it is open or has failed.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/access.h"
#include "policy/message.h"

namespace proxy {

// A target that a client may see, and what it may do there.
struct Candidate {
  std::string target;
  policy::Grant grant;
};

class Opening {
 public:
  Opening(const policy::Header& call, std::optional<std::string> name)
      : call_(call), name_(std::move(name)) {}

  // The call that is to be answered.
  [[nodiscard]] const policy::Header& call() const { return call_; }
  [[nodiscard]] std::optional<std::string_view> name() const { return name_; }

  // The targets to try are these, and none of them has been tried. Grants of before are forgotten.
  void begin(std::vector<Candidate> candidates) {
    candidates_ = std::move(candidates);
    next_ = 0;
  }
  // Null when all have been tried. Good until begin().
  [[nodiscard]] const Candidate* next() {
    return next_ < candidates_.size() ? &candidates_[next_++] : nullptr;
  }

 private:
  const policy::Header call_;
  const std::optional<std::string> name_;
  std::vector<Candidate> candidates_;  // best first
  std::size_t next_ = 0;
};

}  // namespace proxy

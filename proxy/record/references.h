// What clients were refused or could not have, for those who may know why: a client that may not
// is told a reference, under which the administrator finds the whole in the log and in `status`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <random>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "tunnel/io/clock.h"

namespace proxy {

class References {
 public:
  // The latest are kept, and of one user no more than those, so that nobody pushes out what others
  // were told.
  static constexpr std::size_t kMost = 256;
  static constexpr std::size_t kMostOfUser = 32;

  struct Entry {
    std::string reference;  // six hexadecimal digits
    uid_t uid = 0;
    std::string about;
    std::string text;  // the latest
    tunnel::io::Milliseconds last{0};
    std::uint64_t times = 0;
  };

  // The reference for `text`, which is what this user may not hear. It is the same for equal
  // `about` as long as it is kept, so that records of the same failure are alike: nothing may be in
  // `about` that the user must not learn by comparing references.
  std::string refer(uid_t uid, std::string_view about, std::string_view text,
                    tunnel::io::Milliseconds now);
  // The latest first.
  [[nodiscard]] const std::list<Entry>& entries() const { return entries_; }

 private:
  void make_room(uid_t uid);
  std::string fresh();

  std::list<Entry> entries_;
  std::mt19937 random_;  // from when the first was asked for: they name records and guard nothing
};

}  // namespace proxy

// What the commands have to say on standard error.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "conf/mistake.h"
#include "proxy/record/log.h"

namespace proxy {

// The exit status of a command that was used wrongly: 1 means that it failed.
inline constexpr int kUsedWrongly = 2;

// "virtgate: TEXT", with foreign text made printable. With a Discretion standard error has a short
// sentence in its place.
void complain(std::string_view text);

// The same of what goes on all the same; with a Discretion standard error has nothing.
void remark(std::string_view text);

// What anybody may hear, such as that they used a command wrongly: never withheld.
void say(std::string_view text);

// Complains, for a command that was asked for what there is not.
int wrong_choice(const std::string& text);

// As long as it lives, standard error is read by somebody who may not hear of files, keys and
// targets: what is complained of goes to `log` under a reference, which is all that is said here,
// and once. One at a time.
class Discretion {
 public:
  explicit Discretion(Log& log);
  Discretion(const Discretion&) = delete;
  Discretion& operator=(const Discretion&) = delete;
  ~Discretion();

  [[nodiscard]] Log& log() const { return log_; }
  void note(std::string_view event, std::string_view text);
  void withhold(std::string_view text);

 private:
  Log& log_;
  const std::string reference_;
  bool said_ = false;
};

// Each on a line of its own; false: there was none.
bool complain(const std::vector<conf::Mistake>& mistakes);

}  // namespace proxy

// A terminal that is drawn on as a whole, and is afterwards as it was.
#pragma once

#include <cstddef>
#include <string>

#include <termios.h>

namespace proxy {

class Screen {
 public:
  // `out` is a terminal and stays open. Where `in` is one too, what is typed is not shown.
  Screen(int in, int out);
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  // Leaves it.
  ~Screen();

  // Any number of times, in turn: what was there comes back while it is left.
  void enter();
  void leave();

  struct Size {
    std::size_t rows;
    std::size_t columns;
  };
  [[nodiscard]] Size size() const;
  // False: the terminal is gone.
  bool draw(const std::string& text) const;

 private:
  const int in_;
  const int out_;
  bool entered_ = false;
  bool quiet_ = false;
  termios before_{};
};

}  // namespace proxy

#include "proxy/command/screen.h"

#include <cerrno>

#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fd.h"

namespace proxy {
namespace {

// The alternate screen, without a cursor, and without going on in the next line where one is full.
constexpr const char* kEnter = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
constexpr const char* kLeave = "\x1b[?7h\x1b[?25h\x1b[?1049l";

}  // namespace

Screen::Screen(int in, int out) : in_(in), out_(out) { enter(); }

Screen::~Screen() { leave(); }

void Screen::enter() {
  if (entered_) return;
  entered_ = true;
  if (::isatty(in_) == 1 && ::tcgetattr(in_, &before_) == 0) {
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO | ICANON);
    quiet_ = ::tcsetattr(in_, TCSANOW, &quiet) == 0;
  }
  base::write_all(out_, kEnter);
}

void Screen::leave() {
  if (!entered_) return;
  entered_ = false;
  base::write_all(out_, kLeave);
  if (quiet_) ::tcsetattr(in_, TCSAFLUSH, &before_);
  quiet_ = false;
}

Screen::Size Screen::size() const {
  winsize size{};
  if (::ioctl(out_, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) {
    return {24, 80};
  }
  return {size.ws_row, size.ws_col};
}

bool Screen::draw(const std::string& text) const { return base::write_all(out_, text); }

}  // namespace proxy

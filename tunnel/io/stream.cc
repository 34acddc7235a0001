#include "tunnel/io/stream.h"

#include "base/shortage.h"

namespace tunnel::io {

std::string_view stage_name(Stage stage) {
  switch (stage) {
    case Stage::look_up:
      return "look-up";
    case Stage::connect:
      return "connect";
    case Stage::handshake:
      return "handshake";
    case Stage::login:
      return "login";
    case Stage::channel:
      return "channel";
    case Stage::authentication:
      return "authentication";
    case Stage::open:
      return "open";
    case Stage::established:
      return "established";
  }
  return "unknown";
}

std::string_view kind_name(Reason::Kind kind) {
  switch (kind) {
    case Reason::Kind::requested:
      return "requested";
    case Reason::Kind::end:
      return "end";
    case Reason::Kind::system:
      return "system";
    case Reason::Kind::timeout:
      return "timeout";
    case Reason::Kind::refused:
      return "refused";
    case Reason::Kind::protocol:
      return "protocol";
    case Reason::Kind::exhausted:
      return "exhausted";
  }
  return "";
}

Reason::Kind kind_of(int error) { return kind_of(base::is_shortage(error), Reason::Kind::system); }

}  // namespace tunnel::io

#include "tunnel/io/stream.h"

namespace tunnel::io {

std::string_view stage_name(Stage stage) {
  switch (stage) {
    case Stage::look_up:
      return "look-up";
    case Stage::connect:
      return "connect";
    case Stage::handshake:
      return "handshake";
    case Stage::authentication:
      return "authentication";
    case Stage::channel:
      return "channel";
    case Stage::open:
      return "open";
    case Stage::established:
      return "established";
  }
  return "unknown";
}

}  // namespace tunnel::io

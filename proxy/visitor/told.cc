#include "proxy/visitor/told.h"

#include <string_view>

#include "base/text.h"
#include "tunnel/tls/own_files.h"

namespace proxy {
namespace {

using tunnel::io::Reason;
using tunnel::io::Stage;

constexpr std::string_view kOwnFiles = "the gate's own certificates cannot be used";

std::string_view words_of(const Reason& reason) {
  if (reason.kind == Reason::Kind::exhausted) return "the gate's host has too little left for it";
  const bool refused = reason.kind == Reason::Kind::refused;
  const bool cut = reason.kind == Reason::Kind::end;
  switch (reason.stage) {
    case Stage::look_up:
      return "its host's name was not found";
    case Stage::connect:
      return "nothing answers at its address";
    case Stage::handshake:
      if (tunnel::is_of_own_files(reason)) return kOwnFiles;
      if (cut) return "it closed the connection before that was secured";
      return refused ? "its host key or certificate was not accepted"
                     : "the connection could not be secured";
    case Stage::login:
    case Stage::authentication:
      if (tunnel::is_of_own_files(reason)) return kOwnFiles;
      if (cut) return "it closed the connection during the gate's login";
      return refused ? "it did not accept the gate's login" : "the gate's login failed";
    case Stage::channel:
      return "its ssh server has no way to the libvirt daemon";
    case Stage::open:
      return "its libvirt daemon did not open the connection";
    case Stage::established:
      break;
  }
  return "the connection was lost";
}

}  // namespace

std::string plain_failure(const std::string& target, const Reason& reason) {
  return "target '" + base::printable(target) +
         "' cannot be reached: " + std::string(words_of(reason));
}

}  // namespace proxy

// The table of procedures: which there are, what they are called, and what the gate does with a
// call of each.
#pragma once

#include <cstdint>
#include <string_view>

#include "policy/error.h"

namespace policy {

// The procedures of the remote program by libvirt's names and numbers (remote_protocol.x).
enum class Remote : std::int32_t;

// What becomes of a call.
enum class Rule : std::uint8_t {
  pass,   // it reads: forwarded once its arguments are decoded and within bounds
  check,  // it reads or not depending on its arguments: a checker decides
  local,  // the gate answers it itself
  deny,   // it writes, reveals secrets, opens a stream or passes file descriptors
  event,  // comes from the daemon only; nobody can call it
};

struct Procedure {
  std::uint32_t program;
  std::int32_t number;
  std::string_view name;  // "DOMAIN_GET_XML_DESC"
  Rule rule;
  ErrorDomain domain;  // of refusals, as libvirtd has it for the object concerned
  std::string_view
      signature;          // the arguments; the grammar is in arguments.h. Empty for denied ones
  std::string_view note;  // why, where it is not obvious
};

// The row of a procedure; null when the program or the number is unknown.
const Procedure* find_procedure(std::uint32_t program, std::int32_t number);

}  // namespace policy

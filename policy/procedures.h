// The table of procedures: which there are, what they are called, and what the gate does with a
// call of each. People write it, in procedures.def; the enum, the names and the look-up come from
// there.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "policy/error.h"
#include "policy/redact/carried.h"
#include "policy/reply_signature.h"
#include "policy/signature.h"
#include "policy/subject.h"

namespace policy {

// The procedures of the remote program by libvirt's names and numbers (remote_protocol.x).
enum class Remote : std::int32_t {
#define REMOTE(number, name, ...) name = (number),
#include "policy/procedures.def"
};

// As it is on the wire.
constexpr std::int32_t number(Remote procedure) { return static_cast<std::int32_t>(procedure); }

// What becomes of a call.
enum class Rule : std::uint8_t {
  pass,   // it reads: forwarded once its arguments are decoded and within bounds
  check,  // it reads or not depending on its arguments: forwarded when their values say that it
          // reads
  local,  // the gate answers it itself
  deny,   // it writes, reveals secrets, opens a stream or passes file descriptors
  event,  // comes from the daemon only; nobody can call it
};

// What a signature cannot say because it concerns several arguments.
enum class Checker : std::uint8_t {
  none,
  cpu_maps,    // arguments 1 and 2: a number of processor maps, and the bytes of each
  free_pages,  // arguments 0 and 2: page sizes, and a number of cells
};

struct Procedure {
  std::uint32_t program;
  std::int32_t number;
  std::string_view name;  // "DOMAIN_GET_XML_DESC"
  Rule rule;
  ErrorDomain domain;             // of refusals, as libvirtd has it for the object concerned
  std::string_view signature;     // the arguments; empty for those denied. The grammar: signature.h
  std::string_view reply_text;    // what comes back; empty for those denied: reply_signature.h
  std::string_view carried_text;  // what of that can be hidden: redact/carried.h
  Checker checker;
  std::string_view note;  // why, where it is not obvious
  Signature arguments;    // what `signature` says
  ReplySignature reply;   // what `reply_text` says
  Carried carried;        // what `carried_text` says
  SubjectSpec subject;    // the form: subject.h
};

// The row of a procedure; null when the program or the number is unknown.
const Procedure* find_procedure(std::uint32_t program, std::int32_t number);
const Procedure& find_procedure(Remote procedure);

// The row with that name, of whichever program; null when there is none.
const Procedure* find_procedure(std::string_view name);

// All rows of a program, in the order of their numbers; the first has number 1. Empty when the
// program is unknown.
std::span<const Procedure> procedures_of(std::uint32_t program);

}  // namespace policy

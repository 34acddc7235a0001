// What a call is about, so that what is stuck holds up nothing else: one machine, another object of
// the daemon, every machine, or the host.
//
//   subject := "none" | "host" | "sweep" | kind "(" argument ")"
//
// The kinds are those of SubjectKind. "machines" is for an array of domains: without an element the
// call visits every machine, with one it is about that machine, and with more it counts as a sweep.
// A row of the table says it in this form, and the name of an argument is checked against the row's
// signature while the table is compiled.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "policy/signature.h"

namespace policy {

struct Arguments;
struct Procedure;

enum class SubjectKind : std::uint8_t {
  none,   // never sent to a daemon
  host,   // each procedure on its own
  sweep,  // touches every machine; each procedure on its own
  machine,
  network,
  pool,
  volume,
  device,
  interface,
  filter,
  secret,
};

// As a row of the table says it.
struct SubjectSpec {
  SubjectKind kind = SubjectKind::none;
  std::size_t argument = 0;  // of an object
  bool several = false;      // that argument is an array
  bool sound = false;        // what the row says has a meaning
};

constexpr SubjectSpec read_subject(std::string_view text, const Signature& signature) {
  constexpr std::array<std::string_view, 11> kWords = {"none",      "host",   "sweep",  "machine",
                                                       "network",   "pool",   "volume", "device",
                                                       "interface", "filter", "secret"};
  const std::size_t open = text.find('(');
  std::string_view word = text.substr(0, open);
  SubjectSpec spec;
  spec.several = word == "machines";
  if (spec.several) word = "machine";
  for (std::size_t i = 0; i < kWords.size(); ++i) {
    if (kWords[i] == word) {
      spec.kind = static_cast<SubjectKind>(i);
      spec.sound = true;
    }
  }
  if (open == std::string_view::npos) {
    spec.sound = spec.sound && spec.kind <= SubjectKind::sweep;
    return spec;
  }
  bool found = false;
  for (std::size_t i = 0; i < signature.count; ++i) {
    const ArgumentSpec& argument = signature.arguments[i];
    if (text.substr(open) != std::string_view("()") &&
        text.size() == open + argument.name.size() + 2 &&
        text.substr(open + 1, argument.name.size()) == argument.name && text.back() == ')' &&
        argument.shape == (spec.several ? Shape::array : Shape::single)) {
      spec.argument = i;
      found = true;
    }
  }
  spec.sound = spec.sound && found && spec.kind > SubjectKind::sweep;
  return spec;
}

// Of one call.
struct Subject {
  SubjectKind kind = SubjectKind::none;
  // What a daemon compares of the object (a machine's UUID), or the procedure for hosts and sweeps.
  // Equal for calls about the same, and for no others of the same kind.
  std::string key;
  std::string name;  // of the object, in the words of the client; may be empty

  [[nodiscard]] bool is(const Subject& other) const {
    return kind == other.kind && key == other.key;
  }
};

// Of a call whose arguments were decoded by the row of `procedure`.
Subject subject_of(const Procedure& procedure, const Arguments& arguments);

// For people: "machine 'web' (0a0b...)", "pool 'default'" or the name of a procedure. Safe to show.
std::string describe(const Subject& subject);

}  // namespace policy

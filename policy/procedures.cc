#include "policy/procedures.h"

#include <array>

#include "base/check.h"
#include "policy/message.h"

namespace policy {
namespace {

#define ROW(program, number, name, rule, domain, text, answer, hidden, about, checker, note) \
  Procedure{program,                                                                         \
            number,                                                                          \
            #name,                                                                           \
            Rule::rule,                                                                      \
            ErrorDomain::domain,                                                             \
            text,                                                                            \
            answer,                                                                          \
            hidden,                                                                          \
            Checker::checker,                                                                \
            note,                                                                            \
            compile_signature(text),                                                         \
            compile_reply(answer),                                                           \
            compile_carried(hidden, compile_reply(answer)),                                  \
            read_subject(#about, compile_signature(text))},

constexpr std::array<Procedure, 453> kRemote = {{
#define REMOTE(...) ROW(kRemoteProgram, __VA_ARGS__)
#include "policy/procedures.def"
}};

constexpr std::array<Procedure, 7> kQemu = {{
#define QEMU(...) ROW(kQemuProgram, __VA_ARGS__)
#include "policy/procedures.def"
}};

constexpr std::array<Procedure, 1> kLxc = {{
#define LXC(...) ROW(kLxcProgram, __VA_ARGS__)
#include "policy/procedures.def"
}};

#undef ROW

// With the sizes above, this leaves no gap and no number that is missing at the end.
constexpr bool is_in_order(std::span<const Procedure> rows) {
  std::int32_t number = 0;
  for (const Procedure& row : rows) {
    if (row.number != ++number) return false;
  }
  return true;
}

constexpr bool is_number(const Procedure& row, std::size_t i) {
  if (i >= row.arguments.count) return false;
  const ArgumentType type = row.arguments.arguments[i].type;
  return type == ArgumentType::int_ || type == ArgumentType::uint;
}

constexpr bool suits(Checker checker, const Procedure& row) {
  switch (checker) {
    case Checker::none:
      return true;
    case Checker::cpu_maps:
      return is_number(row, 1) && is_number(row, 2);
    case Checker::free_pages:
      return is_number(row, 0) && row.arguments.arguments[0].shape == Shape::array &&
             is_number(row, 2);
  }
  return false;
}

constexpr bool decides_by_values(const Procedure& row) {
  for (const ArgumentSpec& spec : row.arguments.specs()) {
    if (spec.values != Values::any) return true;
  }
  return row.checker != Checker::none;
}

constexpr bool flags_are_masked(const Procedure& row) {
  for (const ArgumentSpec& spec : row.arguments.specs()) {
    if (spec.name == "flags" && spec.values == Values::any) return false;
  }
  return true;
}

constexpr bool has_subject(const Procedure& row) {
  if (!row.subject.sound) return false;
  switch (row.rule) {
    case Rule::pass:
    case Rule::check:
      return row.subject.kind != SubjectKind::none;
    case Rule::local:
      return row.subject.kind <= SubjectKind::host;
    case Rule::deny:
    case Rule::event:
      return row.subject.kind == SubjectKind::none;
  }
  return false;
}

// Of those denied nothing comes back.
constexpr bool has_reply(const Procedure& row) {
  return row.reply_text.empty() == (row.rule == Rule::deny);
}

// A text that comes from a daemon is of a class, or somebody has said that it is of none.
constexpr bool says_what_it_carries(const Procedure& row) {
  return row.carried.said == (row.rule != Rule::local && holds_text(row.reply));
}

constexpr bool is_sound(const Procedure& row) {
  if (!has_subject(row) || !has_reply(row) || !says_what_it_carries(row)) return false;
  switch (row.rule) {
    case Rule::pass:
      return flags_are_masked(row) && suits(row.checker, row);
    case Rule::check:
      return flags_are_masked(row) && suits(row.checker, row) && decides_by_values(row) &&
             !row.note.empty();
    case Rule::local:
      return row.checker == Checker::none;
    case Rule::deny:
      return row.signature.empty() && row.checker == Checker::none && !row.note.empty();
    case Rule::event:
      return row.signature.empty() && row.checker == Checker::none;
  }
  return false;
}

constexpr bool are_sound(std::span<const Procedure> rows) {
  for (const Procedure& row : rows) {
    if (!is_sound(row)) return false;
  }
  return true;
}

static_assert(is_in_order(kRemote) && is_in_order(kQemu) && is_in_order(kLxc));
static_assert(are_sound(kRemote) && are_sound(kQemu) && are_sound(kLxc));

}  // namespace

std::span<const Procedure> procedures_of(std::uint32_t program) {
  switch (program) {
    case kRemoteProgram:
      return kRemote;
    case kQemuProgram:
      return kQemu;
    case kLxcProgram:
      return kLxc;
    default:
      return {};
  }
}

const Procedure* find_procedure(std::uint32_t program, std::int32_t number) {
  const std::span<const Procedure> rows = procedures_of(program);
  if (number < 1 || static_cast<std::size_t>(number) > rows.size()) return nullptr;
  return &rows[static_cast<std::size_t>(number) - 1];
}

const Procedure& find_procedure(Remote procedure) {
  const Procedure* row = find_procedure(kRemoteProgram, static_cast<std::int32_t>(procedure));
  CHECK(row != nullptr);
  return *row;
}

const Procedure* find_procedure(std::string_view name) {
  for (const std::uint32_t program : {kRemoteProgram, kQemuProgram, kLxcProgram}) {
    for (const Procedure& row : procedures_of(program)) {
      if (row.name == name) return &row;
    }
  }
  return nullptr;
}

}  // namespace policy

#include "policy/arguments.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "policy/document.h"
#include "policy/xdr.h"

namespace policy {
namespace {

constexpr std::int64_t kMaxCpuMaps = 8388608;  // REMOTE_CPUMAPS_MAX
constexpr std::int64_t kMaxFreePages = 1024;   // REMOTE_NODE_MAX_CELLS

using Words = std::initializer_list<std::string_view>;

std::string join(Words parts) {
  std::string text;
  for (const std::string_view part : parts) text += part;
  return text;
}

std::string decimal(std::int64_t value) { return std::to_string(value); }

std::string hexadecimal(std::int64_t value) {
  std::array<char, 16> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return join(
      {"0x", std::string_view(digits.data(), static_cast<std::size_t>(end.ptr - digits.data()))});
}

std::string allowed_values(const ArgumentSpec& spec) {
  if (spec.values == Values::range) {
    return join({decimal(spec.number[0]), " to ", decimal(spec.number[1])});
  }
  std::string list;
  for (std::size_t i = 0; i < spec.set_size; ++i) {
    list += join({i == 0 ? "" : ", ", decimal(spec.number[i])});
  }
  return list;
}

class Walker {
 public:
  Walker(const Procedure& row, base::Bytes body, base::Buffer& encoded)
      : row_(row), in_(body), encoded_(encoded), out_(encoded) {}

  bool walk(Arguments& arguments);
  Fault take_fault() { return std::move(fault_); }

 private:
  bool argument(const ArgumentSpec& spec, Argument& to);
  bool elements(const ArgumentSpec& spec, std::uint32_t count, Argument& to);
  bool value(const ArgumentSpec& spec, Argument& to);
  bool number(const ArgumentSpec& spec, Field field, Argument& to);
  bool string(const ArgumentSpec& spec, Field field, std::string_view& text);
  bool string_fits(const ArgumentSpec& spec, Field field, std::string_view text);
  bool check(const Arguments& arguments);

  bool malformed(Words what);
  bool ends_in(const ArgumentSpec& spec);
  bool refused(Words what);
  bool refused(Words what, std::string_view note);
  bool value_refused(const ArgumentSpec& spec, std::int64_t value);

  const Procedure& row_;
  Amendment amendment_ = Amendment::none;
  XdrReader in_;
  base::Buffer& encoded_;
  XdrWriter out_;
  Fault fault_;
};

bool Walker::walk(Arguments& arguments) {
  for (const ArgumentSpec& spec : row_.arguments.specs()) {
    if (!argument(spec, arguments.values[arguments.count++])) return false;
  }
  // Daemons ignore them today, and a later version may give them a meaning.
  if (in_.left() != 0) {
    return malformed({std::to_string(in_.left()), " bytes are left over after the last argument"});
  }
  arguments.amendment = amendment_;
  return check(arguments);
}

bool Walker::argument(const ArgumentSpec& spec, Argument& to) {
  to = {};
  const std::size_t start = encoded_.size();
  std::uint32_t count = 1;
  if (spec.shape == Shape::optional) {
    if (!in_.optional(to.present)) return ends_in(spec);
    out_.optional(to.present);
    count = to.present ? 1 : 0;
  } else if (spec.shape == Shape::array) {
    if (!in_.word(count)) return ends_in(spec);
    if (count > spec.max_count) {
      return refused(
          {spec.name, " has ", decimal(count), " elements, allowed are ", decimal(spec.max_count)});
    }
    out_.word(count);
  }
  if (!elements(spec, count, to)) return false;
  to.encoded = base::Bytes(encoded_).subspan(start);
  return true;
}

bool Walker::elements(const ArgumentSpec& spec, std::uint32_t count, Argument& to) {
  // Hosts may well have equal processors, and what the gate answers itself costs no daemon
  // anything.
  const bool once =
      spec.shape == Shape::array && spec.type != ArgumentType::document && row_.rule != Rule::local;
  std::vector<std::string_view> keys;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!value(spec, to)) return false;
    if (once) keys.push_back(base::text_of(to.key));
  }
  if (spec.shape != Shape::array) return true;
  std::ranges::sort(keys);
  if (std::ranges::adjacent_find(keys) != keys.end()) {
    return refused({spec.name, " names something twice"});
  }
  to.number = count;
  to.text = {};
  // A call about several objects is about none of them in particular.
  if (count == 1) return true;
  to.key = {};
  to.owner = {};
  return true;
}

bool Walker::value(const ArgumentSpec& spec, Argument& to) {
  const Layout& layout = layout_of(spec.type);
  std::size_t key = encoded_.size();
  for (std::size_t i = 0; i < layout.count; ++i) {
    if (i == layout.key) key = encoded_.size();
    const Field field = layout.fields[i];
    bool good = false;
    switch (field) {
      case Field::int_:
      case Field::uint:
        good = number(spec, field, to);
        break;
      case Field::string:
      case Field::document: {
        std::string_view text;
        good = string(spec, field, text);
        if (i == layout.title) to.text = text;
        if (i == layout.owner) to.owner = text;
        break;
      }
      case Field::uuid: {
        base::Bytes uuid;
        good = in_.fixed(16, uuid) || ends_in(spec);
        if (good) out_.fixed(uuid);
        break;
      }
    }
    if (!good) return false;
    if (i + 1 == layout.key + layout.key_size) to.key = base::Bytes(encoded_).subspan(key);
  }
  return true;
}

bool Walker::number(const ArgumentSpec& spec, Field field, Argument& to) {
  std::uint32_t word = 0;
  if (!in_.word(word)) return ends_in(spec);
  // A domain's id is part of its name, and any of them reads.
  if (layout_of(spec.type).count != 1) {
    out_.word(word);
    return true;
  }
  const std::int64_t asked =
      field == Field::int_ ? std::int64_t{static_cast<std::int32_t>(word)} : std::int64_t{word};
  if (!spec.takes(asked)) return value_refused(spec, asked);
  to.number = spec.sent_for(asked);
  if (to.number != asked) {
    amendment_ =
        spec.values == Values::mask ? Amendment::secure_omitted : Amendment::statistics_kept;
  }
  out_.word(static_cast<std::uint32_t>(to.number));
  return true;
}

bool Walker::string(const ArgumentSpec& spec, Field field, std::string_view& text) {
  if (!in_.string(text)) return ends_in(spec);
  if (!string_fits(spec, field, text)) return false;
  out_.string(text);
  return true;
}

bool Walker::string_fits(const ArgumentSpec& spec, Field field, std::string_view text) {
  // For the daemon the string ends there, so it would do another thing than what was judged here.
  if (text.find('\0') != std::string_view::npos) {
    return malformed({"a string in ", spec.name, " has a NUL inside"});
  }
  if (field == Field::string) {
    if (text.size() <= kMaxString) return true;
    return refused({spec.name, " has ", std::to_string(text.size()), " bytes, allowed are ",
                    std::to_string(kMaxString)});
  }
  if (text.size() > kMaxDocument) {
    return refused({spec.name, " has more than ", std::to_string(kMaxDocument), " bytes"});
  }
  const std::string_view objection = objection_to(text);
  return objection.empty() || refused({spec.name, " ", objection});
}

bool Walker::check(const Arguments& arguments) {
  // In 64 bits: in the daemon's 32 the product of two large numbers can come out small.
  switch (row_.checker) {
    case Checker::none:
      return true;
    case Checker::cpu_maps: {
      const std::int64_t bytes = arguments[1].number * arguments[2].number;
      return bytes <= kMaxCpuMaps ||
             refused({decimal(arguments[1].number), " maps of ", decimal(arguments[2].number),
                      " bytes are more than ", decimal(kMaxCpuMaps), " bytes"});
    }
    case Checker::free_pages: {
      const std::int64_t counts = arguments[0].number * arguments[2].number;
      return (counts >= 1 && counts <= kMaxFreePages) ||
             refused({decimal(arguments[0].number), " page sizes of ", decimal(arguments[2].number),
                      " cells are not 1 to ", decimal(kMaxFreePages), " counts"});
    }
  }
  return false;
}

bool Walker::malformed(Words what) {
  fault_ = {ErrorCode::rpc, ErrorDomain::rpc,
            join({"malformed call of ", row_.name, ": ", join(what)})};
  return false;
}

bool Walker::ends_in(const ArgumentSpec& spec) {
  return malformed({"the message ends inside ", spec.name});
}

// Where arguments decide, the note says why; elsewhere it says something else.
bool Walker::refused(Words what) {
  return refused(what, row_.rule == Rule::check ? row_.note : "");
}

bool Walker::refused(Words what, std::string_view note) {
  std::string text = join({"virtgate refuses ", row_.name, ": ", join(what)});
  if (!note.empty()) text += join({" (", note, ")"});
  fault_ = {ErrorCode::operation_denied, row_.domain, std::move(text)};
  return false;
}

bool Walker::value_refused(const ArgumentSpec& spec, std::int64_t value) {
  if (spec.values == Values::mask) {
    for (const NamedFlag& flag : spec.flags) {
      if (flag.omitted || (value & flag.bit) == 0) continue;
      fault_ = refusal_of(row_, flag);
      return false;
    }
    // The note is about bits that have names.
    return refused({"bits ", hexadecimal(value & ~(spec.number[0] | spec.omitted())), " of ",
                    spec.name, " are no flags that it knows, so they may do more than read"},
                   "");
  }
  return refused({spec.name, " is ", decimal(value), ", allowed is ", allowed_values(spec)});
}

std::string_view harm_of(std::string_view flag) {
  return flag == "GUEST" ? "it asks the guest agent" : "it reveals passwords";
}

// What is decoded is encoded in as many bytes, so that the views into `encoded` stay good.
void make_room(base::Buffer& encoded, std::size_t size) {
  if (size <= encoded.capacity() - encoded.size()) return;
  encoded.reserve(std::max(encoded.size() + size, 2 * encoded.capacity()));
}

}  // namespace

const Argument& Arguments::operator[](std::size_t i) const {
  CHECK(i < count);
  return values[i];
}

std::optional<Fault> decode_arguments(const Procedure& procedure, base::Bytes body,
                                      base::Buffer& encoded, Arguments& arguments) {
  CHECK(procedure.rule != Rule::deny && procedure.rule != Rule::event);
  const std::size_t before = encoded.size();
  make_room(encoded, body.size());
  arguments.count = 0;
  arguments.amendment = Amendment::none;
  Walker walker(procedure, body, encoded);
  if (walker.walk(arguments)) {
    CHECK(encoded.size() - before == body.size());
    return std::nullopt;
  }
  encoded.resize(before);
  arguments.count = 0;
  return walker.take_fault();
}

Fault refusal_of(const Procedure& procedure, const NamedFlag& flag) {
  return {ErrorCode::operation_denied, procedure.domain,
          join({"virtgate is read-only: flag ", flag.name, " is refused: ", harm_of(flag.name)})};
}

}  // namespace policy

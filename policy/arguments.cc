#include "policy/arguments.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"
#include "policy/document.h"
#include "policy/xdr.h"

namespace policy {
namespace {

constexpr std::int64_t kMaxCpuMaps = 8388608;  // REMOTE_CPUMAPS_MAX
constexpr std::int64_t kMaxFreePages = 1024;   // REMOTE_NODE_MAX_CELLS

// The note of a row whose arguments decide says why; elsewhere it says something else.
std::string reason(const Procedure& row) {
  return row.rule == Rule::check ? fmt::format(" ({})", row.note) : std::string();
}

std::string allowed_values(const ArgumentSpec& spec) {
  if (spec.values == Values::range) return fmt::format("{} to {}", spec.number[0], spec.number[1]);
  std::string list;
  for (std::size_t i = 0; i < spec.set_size; ++i) {
    list += fmt::format("{}{}", i == 0 ? "" : ", ", spec.number[i]);
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
  bool value(const ArgumentSpec& spec, Argument& to);
  bool number(const ArgumentSpec& spec, Field field, Argument& to);
  bool string(const ArgumentSpec& spec, Field field, bool title, Argument& to);
  bool string_fits(const ArgumentSpec& spec, Field field, std::string_view text);
  bool check(const Arguments& arguments);

  bool malformed(std::string what);
  bool ends_in(const ArgumentSpec& spec);
  bool refused(std::string what);
  bool value_refused(const ArgumentSpec& spec, std::int64_t value);

  const Procedure& row_;
  XdrReader in_;
  base::Buffer& encoded_;
  XdrWriter out_;
  std::size_t document_bytes_ = 0;
  Fault fault_;
};

bool Walker::walk(Arguments& arguments) {
  for (const ArgumentSpec& spec : row_.arguments.specs()) {
    if (!argument(spec, arguments.values[arguments.count++])) return false;
  }
  if (in_.left() != 0) {
    return malformed(fmt::format("{} bytes are left over after the last argument", in_.left()));
  }
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
          fmt::format("{} has {} elements, allowed are {}", spec.name, count, spec.max_count));
    }
    out_.word(count);
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!value(spec, to)) return false;
  }
  if (spec.shape == Shape::array) {
    to.number = count;
    to.text = {};
  }
  to.encoded = base::Bytes(encoded_).subspan(start);
  return true;
}

bool Walker::value(const ArgumentSpec& spec, Argument& to) {
  const Layout& layout = layout_of(spec.type);
  for (std::size_t i = 0; i < layout.count; ++i) {
    const Field field = layout.fields[i];
    bool good = false;
    switch (field) {
      case Field::int_:
      case Field::uint:
        good = number(spec, field, to);
        break;
      case Field::string:
      case Field::document:
        good = string(spec, field, i == layout.title, to);
        break;
      case Field::uuid: {
        base::Bytes uuid;
        good = in_.fixed(16, uuid) || ends_in(spec);
        if (good) out_.fixed(uuid);
        break;
      }
    }
    if (!good) return false;
  }
  return true;
}

bool Walker::number(const ArgumentSpec& spec, Field field, Argument& to) {
  std::uint32_t word = 0;
  if (!in_.word(word)) return ends_in(spec);
  out_.word(word);
  if (layout_of(spec.type).count != 1) return true;
  to.number =
      field == Field::int_ ? std::int64_t{static_cast<std::int32_t>(word)} : std::int64_t{word};
  return spec.takes(to.number) || value_refused(spec, to.number);
}

bool Walker::string(const ArgumentSpec& spec, Field field, bool title, Argument& to) {
  std::string_view text;
  if (!in_.string(text)) return ends_in(spec);
  if (!string_fits(spec, field, text)) return false;
  out_.string(text);
  if (title) to.text = text;
  return true;
}

bool Walker::string_fits(const ArgumentSpec& spec, Field field, std::string_view text) {
  if (text.find('\0') != std::string_view::npos) {
    return malformed(fmt::format("a string in {} has a NUL inside", spec.name));
  }
  if (field == Field::string) {
    if (text.size() <= kMaxString) return true;
    return refused(
        fmt::format("{} has {} bytes, allowed are {}", spec.name, text.size(), kMaxString));
  }
  if (text.size() > kMaxDocument - document_bytes_) {
    return refused(fmt::format("{} has more than {} bytes", spec.name, kMaxDocument));
  }
  document_bytes_ += text.size();
  const std::string_view objection = objection_to(text);
  return objection.empty() || refused(fmt::format("{} {}", spec.name, objection));
}

bool Walker::check(const Arguments& arguments) {
  switch (row_.checker) {
    case Checker::none:
      return true;
    case Checker::cpu_maps: {
      const std::int64_t bytes = arguments[1].number * arguments[2].number;
      return bytes <= kMaxCpuMaps ||
             refused(fmt::format("{} maps of {} bytes are more than {} bytes", arguments[1].number,
                                 arguments[2].number, kMaxCpuMaps));
    }
    case Checker::free_pages: {
      const std::int64_t counts = arguments[0].number * arguments[2].number;
      return (counts >= 1 && counts <= kMaxFreePages) ||
             refused(fmt::format("{} page sizes of {} cells are not 1 to {} counts",
                                 arguments[0].number, arguments[2].number, kMaxFreePages));
    }
  }
  return false;
}

bool Walker::malformed(std::string what) {
  fault_ = {ErrorCode::rpc, ErrorDomain::rpc,
            fmt::format("malformed call of {}: {}", row_.name, what)};
  return false;
}

bool Walker::ends_in(const ArgumentSpec& spec) {
  return malformed(fmt::format("the message ends inside {}", spec.name));
}

bool Walker::refused(std::string what) {
  fault_ = {ErrorCode::operation_denied, row_.domain,
            fmt::format("virtgate refuses {}: {}{}", row_.name, what, reason(row_))};
  return false;
}

bool Walker::value_refused(const ArgumentSpec& spec, std::int64_t value) {
  if (spec.values == Values::mask) {
    return refused(
        fmt::format("bits {:#x} of {} are not known to read", value & ~spec.number[0], spec.name));
  }
  return refused(fmt::format("{} is {}, allowed is {}", spec.name, value, allowed_values(spec)));
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
  Walker walker(procedure, body, encoded);
  if (walker.walk(arguments)) {
    CHECK(encoded.size() - before == body.size());
    return std::nullopt;
  }
  encoded.resize(before);
  arguments.count = 0;
  return walker.take_fault();
}

}  // namespace policy

#include "policy/reply.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>

#include "base/check.h"
#include "policy/xdr.h"

namespace policy {
namespace {

// virTypedParameterType.
enum class ParamType : std::uint32_t { int_ = 1, uint, llong, ullong, double_, boolean, string };

// What a call says of its reply.
struct Asked {
  std::optional<std::uint32_t> most;  // elements of the first array
  base::Bytes uuid;                   // of the object that is looked up
  std::optional<std::string_view> name;
  std::optional<std::uint32_t> id;
  base::Bytes listed;  // encoded domains, one after the other; empty: any may come
};

bool limits_a_list(std::string_view argument) {
  constexpr std::array<std::string_view, 7> kLimits{"maxnames",  "maxids",    "maxuuids", "maxinfo",
                                                    "max_stats", "max_cells", "maxerrors"};
  return std::ranges::find(kLimits, argument) != kLimits.end();
}

// Reads the body of a call that the gate has encoded itself.
class CallReader {
 public:
  CallReader(const Procedure& row, base::Bytes call)
      : row_(row),
        is_look_up_(row.name.find("LOOKUP_BY_") != std::string_view::npos),
        call_(call),
        in_(call) {}

  Asked read() {
    for (const ArgumentSpec& spec : row_.arguments.specs()) {
      if (!argument(spec)) return {};
    }
    return asked_;
  }

 private:
  bool argument(const ArgumentSpec& spec) {
    std::uint32_t count = 1;
    bool present = true;
    if (spec.shape == Shape::array && !in_.word(count)) return false;
    if (spec.shape == Shape::optional && !in_.optional(present)) return false;
    if (!present) count = 0;
    const std::size_t begin = call_.size() - in_.left();
    for (std::uint32_t i = 0; i < count; ++i) {
      if (!value(spec)) return false;
    }
    if (spec.shape == Shape::array && spec.type == ArgumentType::domain) {
      asked_.listed = call_.subspan(begin, call_.size() - in_.left() - begin);
      if (count != 0) asked_.most = count;
    }
    return true;
  }

  bool value(const ArgumentSpec& spec) {
    const Layout& layout = layout_of(spec.type);
    for (std::size_t i = 0; i < layout.count; ++i) {
      std::uint32_t word = 0;
      std::string_view text;
      base::Bytes uuid;
      switch (layout.fields[i]) {
        case Field::int_:
        case Field::uint:
          if (!in_.word(word)) return false;
          break;
        case Field::string:
        case Field::document:
          if (!in_.string(text)) return false;
          break;
        case Field::uuid:
          if (!in_.fixed(16, uuid)) return false;
          break;
      }
      if (layout.count == 1) note(spec, word, text, uuid);
    }
    return true;
  }

  void note(const ArgumentSpec& spec, std::uint32_t word, std::string_view text, base::Bytes uuid) {
    if (limits_a_list(spec.name)) asked_.most = word;
    if (spec.name == "need_results" && word == 0) asked_.most = 0;
    if (!is_look_up_) return;
    if (spec.name == "name") asked_.name = text;
    if (spec.name == "uuid") asked_.uuid = uuid;
    if (spec.name == "id") asked_.id = word;
  }

  const Procedure& row_;
  const bool is_look_up_;
  base::Bytes call_;
  XdrReader in_;
  Asked asked_;
};

// Whether a UUID is one of those in a list of domains. Daemons answer in the order of the list, so
// each search begins behind the last hit; a list of at most 256 bounds one that does not.
class Named {
 public:
  explicit Named(base::Bytes list) : list_(list), rest_(list) {}

  bool has(base::Bytes uuid) {
    if (list_.empty()) return true;
    const std::size_t begun = rest_.left();
    bool again = false;
    while (!again || rest_.left() > begun) {
      if (rest_.left() == 0) {
        if (again) return false;
        rest_ = XdrReader(list_);
        again = true;
      }
      std::string_view name;
      base::Bytes one;
      std::uint32_t id = 0;
      const bool read = rest_.string(name) && rest_.fixed(16, one) && rest_.word(id);
      CHECK(read);
      if (std::ranges::equal(one, uuid)) return true;
    }
    return false;
  }

 private:
  base::Bytes list_;
  XdrReader rest_;
};

class ReplyWalker {
 public:
  ReplyWalker(const Procedure& row, const Asked& asked, base::Bytes body)
      : row_(row), asked_(asked), named_(asked.listed), in_(body) {}

  std::string walk() {
    if (!items(row_.reply.all(), 0)) return sentence();
    if (in_.left() == 0) return {};
    what_ = {"with ", "", " bytes left over"};
    number_ = in_.left();
    return sentence();
  }

 private:
  bool items(std::span<const ReplyItem> all, std::size_t depth) {
    for (std::size_t i = 0; i < all.size(); i += 1U + all[i].members) {
      if (!item(all[i], all.subspan(i + 1, all[i].members), depth)) return false;
    }
    return true;
  }

  bool item(const ReplyItem& item, std::span<const ReplyItem> members, std::size_t depth) {
    std::uint32_t count = item.bound;
    switch (item.shape) {
      case ReplyShape::single:
      case ReplyShape::fixed:
        break;
      case ReplyShape::optional:
        if (!in_.word(count)) return ends_in(item);
        if (count > 1) return wrong("with neither 0 nor 1 before ", item);
        break;
      case ReplyShape::counted:
        if (!counted(item, depth, count)) return false;
        if (item.type == ReplyType::opaque) return opaque(item, count);
        break;
    }
    for (std::uint32_t i = 0; i < count; ++i) {
      const bool good =
          item.type == ReplyType::group ? items(members, depth + 1) : value(item, depth);
      if (!good) return false;
    }
    return true;
  }

  bool counted(const ReplyItem& item, std::size_t depth, std::uint32_t& count) {
    if (!in_.word(count)) return ends_in(item);
    if (count > item.bound) return wrong("with too many ", item);
    if (depth != 0 || listed_) return true;
    listed_ = true;
    return !asked_.most || count <= *asked_.most || wrong("with more than was asked for in ", item);
  }

  bool value(const ReplyItem& item, std::size_t depth) {
    std::uint32_t word = 0;
    base::Bytes bytes;
    switch (item.type) {
      case ReplyType::int_:
      case ReplyType::uint:
        return in_.word(word) || ends_in(item);
      case ReplyType::hyper:
      case ReplyType::uhyper:
        return in_.fixed(8, bytes) || ends_in(item);
      case ReplyType::char_:
        return small(item, -128, 255);
      case ReplyType::uchar:
        return small(item, 0, 255);
      case ReplyType::ushort:
        return small(item, 0, 65535);
      case ReplyType::string: {
        std::string_view text;
        return string(item, text);
      }
      case ReplyType::param:
        return param(item);
      case ReplyType::object:
        return object(item, depth);
      case ReplyType::opaque:
      case ReplyType::group:
        break;
    }
    return false;
  }

  bool small(const ReplyItem& item, std::int32_t low, std::int32_t high) {
    std::uint32_t word = 0;
    if (!in_.word(word)) return ends_in(item);
    const auto number = static_cast<std::int32_t>(word);
    return (number >= low && number <= high) || wrong("with a number that is too large in ", item);
  }

  bool bytes(const ReplyItem& item, std::size_t size, base::Bytes& value) {
    if (!in_.fixed(size, value)) return ends_in(item);
    base::Bytes padding;
    if (!in_.fixed((4 - size % 4) % 4, padding)) return ends_in(item);
    for (const std::uint8_t one : padding) {
      if (one != 0) return wrong("with padding that is not zero in ", item);
    }
    return true;
  }

  bool string(const ReplyItem& item, std::string_view& text) {
    std::uint32_t size = 0;
    if (!in_.word(size)) return ends_in(item);
    if (size > kMaxReplyString) return wrong("with a string that is too long in ", item);
    base::Bytes value;
    if (!bytes(item, size, value)) return false;
    text = base::text_of(value);
    return text.empty() || text.back() != '\0' || wrong("with a string that ends in NUL in ", item);
  }

  bool opaque(const ReplyItem& item, std::uint32_t size) {
    base::Bytes value;
    return bytes(item, size, value);
  }

  bool param(const ReplyItem& item) {
    std::string_view text;
    std::uint32_t type = 0;
    if (!string(item, text)) return false;
    if (!in_.word(type)) return ends_in(item);
    std::uint32_t word = 0;
    base::Bytes value;
    switch (static_cast<ParamType>(type)) {
      case ParamType::int_:
      case ParamType::uint:
      case ParamType::boolean:
        return in_.word(word) || ends_in(item);
      case ParamType::llong:
      case ParamType::ullong:
      case ParamType::double_:
        return in_.fixed(8, value) || ends_in(item);
      case ParamType::string:
        return string(item, text);
    }
    return wrong("with a parameter of no known type in ", item);
  }

  bool object(const ReplyItem& item, std::size_t depth) {
    const Layout& layout = layout_of(item.object);
    bool asked_for = true;
    base::Bytes uuid;  // its own comes last: a port has that of its network before it
    for (std::size_t i = 0; i < layout.count; ++i) {
      std::string_view text;
      std::uint32_t word = 0;
      switch (layout.fields[i]) {
        case Field::int_:
        case Field::uint:
          if (!in_.word(word)) return ends_in(item);
          if (asked_.id) asked_for = asked_for && word == *asked_.id;
          break;
        case Field::string:
        case Field::document:
          if (!string(item, text)) return false;
          if (asked_.name && i == layout.title) asked_for = asked_for && text == *asked_.name;
          break;
        case Field::uuid:
          if (!in_.fixed(16, uuid)) return ends_in(item);
          break;
      }
    }
    if (!asked_.uuid.empty()) asked_for = asked_for && std::ranges::equal(uuid, asked_.uuid);
    if (depth != 0 && !uuid.empty()) asked_for = asked_for && named_.has(uuid);
    return asked_for || wrong("with something else than was asked for in ", item);
  }

  bool ends_in(const ReplyItem& item) { return wrong("that ends inside ", item); }

  bool wrong(std::string_view how, const ReplyItem& item) {
    what_ = {how, item.name, ""};
    return false;
  }

  [[nodiscard]] std::string sentence() const {
    std::string text = row_.rule == Rule::event ? "sent an event " : "sent a reply to ";
    text += row_.name;
    text += ' ';
    text += what_[0];
    text += number_ != 0 ? std::to_string(number_) : std::string(what_[1]);
    text += what_[2];
    return text;
  }

  const Procedure& row_;
  const Asked& asked_;
  Named named_;
  XdrReader in_;
  bool listed_ = false;  // the first array has been counted
  std::array<std::string_view, 3> what_;
  std::size_t number_ = 0;
};

}  // namespace

std::string objection_to_reply(const Procedure& procedure, base::Bytes call, base::Bytes body) {
  const Asked asked = procedure.rule == Rule::event ? Asked{} : CallReader(procedure, call).read();
  return ReplyWalker(procedure, asked, body).walk();
}

}  // namespace policy

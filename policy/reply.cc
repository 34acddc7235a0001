#include "policy/reply.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace policy {
namespace {

// virTypedParameterType.
enum class ParamType : std::uint32_t { int_ = 1, uint, llong, ullong, double_, boolean, string };

}  // namespace

ReplyDecoder::ReplyDecoder(const Procedure& procedure, base::Bytes call, base::Bytes body)
    : row_(procedure),
      asked_(procedure.rule == Rule::event ? Asked{} : asked_by(procedure, call)),
      machines_(asked_.machines),
      size_(body.size()),
      in_(body) {
  levels_[0].items = row_.reply.all();
}

bool ReplyDecoder::run(std::size_t steps) {
  while (depth_ != 0 && steps != 0) {
    if (!step(steps)) depth_ = 0;
  }
  return depth_ == 0;
}

void ReplyDecoder::move_to(base::Bytes body) {
  CHECK(body.size() == size_);
  in_ = XdrReader(body.last(in_.left()));
}

bool ReplyDecoder::step(std::size_t& steps) {
  Level& level = levels_[depth_ - 1];
  --steps;
  if (level.left == 0) {
    if (level.next < level.items.size()) return begin(level);
    --depth_;
    return true;
  }
  const ReplyItem& item = level.items[level.item];
  --level.left;
  if (item.type == ReplyType::group) {
    levels_[depth_++] = {level.items.subspan(level.item + 1, item.members)};
    return true;
  }
  if (item.type == ReplyType::param) return params(item, level, steps);
  return value(item, level.left);
}

bool ReplyDecoder::begin(Level& level) {
  const ReplyItem& item = level.items[level.next];
  level.item = level.next;
  level.next += 1U + item.members;
  std::uint32_t count = item.bound;
  switch (item.shape) {
    case ReplyShape::single:
      return value(item, 0);
    case ReplyShape::fixed:
      break;
    case ReplyShape::optional:
      if (!in_.word(count)) return ends_in(item);
      if (count > 1) return wrong("with neither 0 nor 1 before ", item);
      break;
    case ReplyShape::counted:
      if (!counted(item, count)) return false;
      if (item.type == ReplyType::opaque) return opaque(item, count);
      break;
  }
  level.left = count;
  return true;
}

bool ReplyDecoder::counted(const ReplyItem& item, std::uint32_t& count) {
  if (!in_.word(count)) return ends_in(item);
  if (count > item.bound) return wrong("with too many ", item);
  if (depth_ != 1 || listed_) return true;
  listed_ = true;
  list_ = count;
  return !asked_.most || count <= *asked_.most || wrong("with more than was asked for in ", item);
}

// `left` elements of the same item follow.
bool ReplyDecoder::value(const ReplyItem& item, std::uint32_t left) {
  base::Bytes bytes;
  std::string_view text;
  std::uint32_t word = 0;
  switch (item.type) {
    case ReplyType::int_:
    case ReplyType::uint:
      return number(item);
    case ReplyType::hyper:
    case ReplyType::uhyper:
      return in_.fixed(8, bytes) || ends_in(item);
    case ReplyType::char_:
      return character(item, left);
    case ReplyType::uchar:
      return small(item, 0, 255, word);
    case ReplyType::ushort:
      return small(item, 0, 65535, word);
    case ReplyType::string:
      return string(item, kMaxReplyString, text);
    case ReplyType::param:
      return param(item);
    case ReplyType::object:
      return object(item);
    case ReplyType::opaque:
    case ReplyType::group:
      break;
  }
  return false;
}

bool ReplyDecoder::number(const ReplyItem& item) {
  std::uint32_t word = 0;
  if (!in_.word(word)) return ends_in(item);
  return item.total == ReplyTotal::nothing || total(item, word) ||
         wrong("with a number that does not fit its list in ", item);
}

// Clients give it to programs as the length of what came, or divide by it.
bool ReplyDecoder::total(const ReplyItem& item, std::uint32_t word) {
  // To clients it is a failure; libvirtd 9.0.0 sends -1 for labels of a machine that has none.
  if (word > std::uint32_t{std::numeric_limits<std::int32_t>::max()}) return list_ == 0;
  if (!asked_.list) return true;
  if (item.total == ReplyTotal::bits) return list_ == (word + 7) / 8;
  if (item.total == ReplyTotal::each) return word != 0 && word <= asked_.each && list_ % word == 0;
  return list_ == word;
}

bool ReplyDecoder::small(const ReplyItem& item, std::int32_t low, std::int32_t high,
                         std::uint32_t& word) {
  if (!in_.word(word)) return ends_in(item);
  const auto number = static_cast<std::int32_t>(word);
  return (number >= low && number <= high) || wrong("with a number that is too large in ", item);
}

// Clients read a text up to its NUL.
bool ReplyDecoder::character(const ReplyItem& item, std::uint32_t left) {
  std::uint32_t word = 0;
  if (!small(item, -128, 255, word)) return false;
  return item.shape == ReplyShape::single || left != 0 || word == 0 ||
         wrong("with a text that does not end in NUL in ", item);
}

bool ReplyDecoder::bytes(const ReplyItem& item, std::size_t size, base::Bytes& value) {
  if (!in_.fixed(size, value)) return ends_in(item);
  base::Bytes padding;
  if (!in_.fixed((4 - size % 4) % 4, padding)) return ends_in(item);
  for (const std::uint8_t one : padding) {
    if (one != 0) return wrong("with padding that is not zero in ", item);
  }
  return true;
}

bool ReplyDecoder::string(const ReplyItem& item, std::size_t most, std::string_view& text) {
  std::uint32_t size = 0;
  if (!in_.word(size)) return ends_in(item);
  if (size > most) return wrong("with a string that is too long in ", item);
  base::Bytes value;
  if (!bytes(item, size, value)) return false;
  text = base::text_of(value);
  return text.empty() || text.back() != '\0' || wrong("with a string that ends in NUL in ", item);
}

bool ReplyDecoder::opaque(const ReplyItem& item, std::uint32_t size) {
  base::Bytes value;
  return bytes(item, size, value);
}

// There can be more of them than of anything else, so they are not asked for their type each time.
bool ReplyDecoder::params(const ReplyItem& item, Level& level, std::size_t& steps) {
  const std::size_t count = std::min<std::size_t>(level.left, steps);
  level.left -= static_cast<std::uint32_t>(count);
  steps -= count;
  for (std::size_t i = 0; i <= count; ++i) {
    if (!param(item)) return false;
  }
  return true;
}

bool ReplyDecoder::param(const ReplyItem& item) {
  std::string_view text;
  std::uint32_t word = 0;
  if (!string(item, kMaxParamName, text)) return false;
  if (!in_.word(word)) return ends_in(item);
  base::Bytes value;
  switch (static_cast<ParamType>(word)) {
    case ParamType::int_:
    case ParamType::uint:
      return in_.word(word) || ends_in(item);
    case ParamType::boolean:
      // Clients keep it in a char, in which another number could be none.
      return small(item, -128, 255, word);
    case ParamType::llong:
    case ParamType::ullong:
    case ParamType::double_:
      return in_.fixed(8, value) || ends_in(item);
    case ParamType::string:
      return string(item, kMaxReplyString, text);
  }
  return wrong("with a parameter of no known type in ", item);
}

bool ReplyDecoder::object(const ReplyItem& item) {
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
        if (!string(item, kMaxReplyString, text)) return false;
        if (asked_.name && i == layout.title) asked_for = asked_for && text == *asked_.name;
        break;
      case Field::uuid:
        if (!in_.fixed(16, uuid)) return ends_in(item);
        break;
    }
  }
  if (!asked_.uuid.empty()) asked_for = asked_for && std::ranges::equal(uuid, asked_.uuid);
  if (depth_ != 1 && !uuid.empty()) asked_for = asked_for && machines_.take(uuid);
  return asked_for || wrong("with something else than was asked for in ", item);
}

bool ReplyDecoder::ends_in(const ReplyItem& item) { return wrong("that ends inside ", item); }

bool ReplyDecoder::wrong(std::string_view how, const ReplyItem& item) {
  wrong_ = how;
  where_ = item.name;
  return false;
}

std::string ReplyDecoder::objection() const {
  CHECK(depth_ == 0);
  if (wrong_.empty() && in_.left() == 0) return {};
  std::string text = row_.rule == Rule::event ? "sent an event " : "sent a reply to ";
  text += row_.name;
  text += ' ';
  if (wrong_.empty()) return text += "with " + std::to_string(in_.left()) + " bytes left over";
  text += wrong_;
  return text += where_;
}

std::string objection_to_reply(const Procedure& procedure, base::Bytes call, base::Bytes body) {
  ReplyDecoder decoder(procedure, call, body);
  while (!decoder.run(std::numeric_limits<std::size_t>::max())) {
  }
  return decoder.objection();
}

}  // namespace policy

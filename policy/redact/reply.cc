#include "policy/redact/reply.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "policy/redact/description.h"
#include "policy/redact/places.h"
#include "policy/reply.h"
#include "policy/xdr.h"

namespace policy {
namespace {

constexpr std::uint32_t kStringParameter = 7;  // VIR_TYPED_PARAM_STRING
constexpr std::size_t kIdOfSecretUsage = 2;
constexpr std::size_t kKeyOfVolume = 2;

// Typed parameters by their names, in which # stands for a number.
struct HiddenParameter {
  std::string_view name;
  Hidden hidden;
};

constexpr std::array<HiddenParameter, 8> kParameters = {{
    {"block.#.path", Hidden::paths},
    {"net.#.name", Hidden::network},
    {"device_weight", Hidden::paths},
    {"device_read_iops_sec", Hidden::paths},
    {"device_write_iops_sec", Hidden::paths},
    {"device_read_bytes_sec", Hidden::paths},
    {"device_write_bytes_sec", Hidden::paths},
    {"errmsg", Hidden::paths},
}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The number that stands for #, or an empty one without it; nothing: the name is another.
std::optional<std::string_view> number_in(std::string_view pattern, std::string_view name) {
  const std::size_t hash = pattern.find('#');
  if (hash == std::string_view::npos) {
    return name == pattern ? std::optional(std::string_view()) : std::nullopt;
  }
  const std::string_view behind = pattern.substr(hash + 1);
  if (!name.starts_with(pattern.substr(0, hash)) || !name.ends_with(behind)) return std::nullopt;
  if (name.size() <= pattern.size() - 1) return std::nullopt;
  const std::string_view number = name.substr(hash, name.size() - (pattern.size() - 1));
  if (!std::ranges::all_of(number, is_digit)) return std::nullopt;
  return number;
}

// Of several of a reply, so that programs can tell them apart as they could before.
std::string numbered(std::string_view instead, std::string_view number) {
  std::string text(instead);
  if (!number.empty()) (text += '-') += number;
  return text;
}

Fault refused(const Procedure& row, std::string_view why) {
  std::string text = "what the target answers to ";
  text += row.name;
  text += ' ';
  text += why;
  return {ErrorCode::operation_denied, row.domain, std::move(text)};
}

Fault not_shown(const Procedure& row, HiddenSet hidden) {
  // As libvirt has it of what is not there, which programs take for an answer.
  const bool none = hidden.has(Hidden::metadata);
  return {none ? ErrorCode::no_domain_metadata : ErrorCode::operation_denied, row.domain,
          std::string(row.name) + " tells of what is hidden (" + names_of(hidden) + ")"};
}

// Copies what it reads of a reply but for what is put in the place of some of it.
class Rewriter {
 public:
  explicit Rewriter(base::Bytes body) : body_(body), in_(body) {}

  [[nodiscard]] XdrReader& in() { return in_; }
  [[nodiscard]] std::size_t at() const { return body_.size() - in_.left(); }
  [[nodiscard]] bool changed() const { return kept_ != 0; }

  // What was read since `begin` is left out; what belongs there is written to the result.
  XdrWriter in_place_since(std::size_t begin) {
    base::append(out_, body_.subspan(kept_, begin - kept_));
    kept_ = at();
    return XdrWriter(out_);
  }
  base::Buffer finish() {
    base::append(out_, body_.subspan(kept_));
    return std::move(out_);
  }

 private:
  base::Bytes body_;
  XdrReader in_;
  base::Buffer out_;
  std::size_t kept_ = 0;
};

class ReplyCutter {
 public:
  ReplyCutter(const Procedure& row, base::Bytes body, HiddenSet hidden)
      : row_(row), hidden_(hidden), size_(body.size()), text_(body) {
    for (const CarriedValue& value : row.carried.all()) {
      if (!value.classes.both(hidden).empty()) by_item_[value.item] = &value;
    }
  }

  CutReply cut() {
    using enum CutReply::Outcome;
    if (size_ > kMaxCutReply) return {refused, {}, policy::refused(row_, "is too long to be cut")};
    const bool read = items(row_.reply.all());
    if (fault_) return {refused, {}, std::move(*fault_)};
    if (!read || text_.in().left() != 0) {
      return {refused, {}, policy::refused(row_, "cannot be read")};
    }
    if (!text_.changed()) return {};
    return {CutReply::Outcome::cut, text_.finish(), {}};
  }

 private:
  bool items(std::span<const ReplyItem> all) {
    for (std::size_t i = 0; i < all.size(); i += 1U + all[i].members) {
      if (!item(all[i], all.subspan(i + 1, all[i].members))) return false;
    }
    return true;
  }

  bool item(const ReplyItem& item, std::span<const ReplyItem> members) {
    const CarriedValue* carried =
        by_item_[static_cast<std::size_t>(&item - row_.reply.items.data())];
    const std::size_t begin = text_.at();
    std::uint32_t count = item.bound;
    const bool counted = item.shape == ReplyShape::optional || item.shape == ReplyShape::counted;
    if (counted && (!text_.in().word(count) || count > item.bound)) return false;
    if (item.type == ReplyType::opaque) return skip((std::size_t{count} + 3) / 4 * 4);
    if (item.type == ReplyType::char_ && carried != nullptr) return label(begin, count);
    for (std::uint32_t i = 0; i < count; ++i) {
      const bool good = item.type == ReplyType::group ? items(members) : value(item, carried);
      if (!good) return false;
    }
    return true;
  }

  bool skip(std::size_t size) {
    base::Bytes bytes;
    return text_.in().fixed(size, bytes);
  }

  // Its characters are words; an empty one is a NUL, as daemons have it.
  bool label(std::size_t begin, std::uint32_t count) {
    if (!skip(std::size_t{count} * 4)) return false;
    XdrWriter out = text_.in_place_since(begin);
    out.word(1);
    out.word(0);
    return true;
  }

  bool value(const ReplyItem& item, const CarriedValue* carried) {
    switch (item.type) {
      case ReplyType::int_:
      case ReplyType::uint:
      case ReplyType::char_:
      case ReplyType::uchar:
      case ReplyType::ushort:
        return skip(4);
      case ReplyType::hyper:
      case ReplyType::uhyper:
        return skip(8);
      case ReplyType::string:
        return string(carried);
      case ReplyType::param:
        return param(carried);
      case ReplyType::object:
        return object(item, carried);
      case ReplyType::opaque:
      case ReplyType::group:
        break;
    }
    return false;
  }

  bool string(const CarriedValue* carried) {
    const std::size_t begin = text_.at();
    std::string_view text;
    if (!text_.in().string(text)) return false;
    if (carried == nullptr || text.empty()) return true;
    if (carried->how == Carrying::description) return description(begin, text, carried->root);
    return hide(begin, text, *carried);
  }

  bool description(std::size_t begin, std::string_view text, std::string_view root) {
    auto done = cut_description(text, root, hidden_);
    if (!done) {
      fault_ = policy::refused(
          row_, std::string("holds what is hidden, and ") + std::string(done.error()));
      return false;
    }
    if (!done.value()) return true;
    if (done.value()->size() > kMaxReplyString) {
      fault_ = policy::refused(row_, "is too long when it is cut");
      return false;
    }
    text_.in_place_since(begin).string(*done.value());
    return true;
  }

  bool hide(std::size_t begin, std::string_view text, const CarriedValue& carried) {
    if (carried.how == Carrying::all) {
      fault_ = not_shown(row_, carried.classes.both(hidden_));
      return false;
    }
    const bool slash = text.find('/') != std::string_view::npos;
    if (carried.how == Carrying::value || slash) {
      text_.in_place_since(begin).string(stand_in(Cut::text, text));
    }
    return true;
  }

  bool param(const CarriedValue* carried) {
    std::string_view name;
    std::uint32_t type = 0;
    if (!text_.in().string(name) || !text_.in().word(type)) return false;
    if (type != kStringParameter) return skip(type == 3 || type == 4 || type == 5 ? 8 : 4);
    const std::size_t begin = text_.at();
    std::string_view text;
    if (!text_.in().string(text)) return false;
    if (carried == nullptr || text.empty()) return true;
    for (const HiddenParameter& one : kParameters) {
      if (!hidden_.has(one.hidden)) continue;
      const auto number = number_in(one.name, name);
      if (!number) continue;
      text_.in_place_since(begin).string(numbered(stand_in(Cut::text, text), *number));
      break;
    }
    return true;
  }

  bool object(const ReplyItem& item, const CarriedValue* carried) {
    const Layout& layout = layout_of(item.object);
    for (std::size_t i = 0; i < layout.count; ++i) {
      const Field field = layout.fields[i];
      if (field == Field::string || field == Field::document) {
        const std::size_t begin = text_.at();
        std::string_view text;
        if (!text_.in().string(text)) return false;
        const bool hides = carried != nullptr && !text.empty() && is_hidden(item.object, i, text);
        if (hides && !hide(begin, text, *carried)) return false;
      } else if (!skip(field == Field::uuid ? 16 : 4)) {
        return false;
      }
    }
    return true;
  }

  // Devices of the network have what they are in their names.
  static bool is_hidden(ArgumentType object, std::size_t field, std::string_view text) {
    switch (object) {
      case ArgumentType::volume:
        return field == kKeyOfVolume;
      case ArgumentType::secret:
        return field == kIdOfSecretUsage;
      case ArgumentType::node_device:
        return text.starts_with("net_");
      default:
        return true;
    }
  }

  const Procedure& row_;
  const HiddenSet hidden_;
  const std::size_t size_;
  Rewriter text_;
  std::array<const CarriedValue*, kMaxReplyItems> by_item_{};
  std::optional<Fault> fault_;
};

// Without what begins with a path. Quotes are around names that may hold blanks.
std::optional<std::string> without_paths(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view before = text.substr(0, slash);
  std::size_t end = before.find_last_of("'\"");
  if (end == std::string_view::npos) end = before.find_last_of(" \t\n");
  std::string out(before.substr(0, end == std::string_view::npos ? 0 : end + 1));
  out += stand_in(Cut::text, "/");
  return out;
}

}  // namespace

CutReply cut_reply(const Procedure& procedure, base::Bytes body, HiddenSet hidden) {
  if (procedure.carried.classes.both(hidden).empty()) return {};
  return ReplyCutter(procedure, body, hidden).cut();
}

CutReply cut_error(base::Bytes body, HiddenSet hidden) {
  if (!hidden.has(Hidden::paths)) return {};
  base::Buffer out;
  bool changed = false;
  const bool read = copy_error(body, out, [&](std::string_view text) {
    std::optional<std::string> less = without_paths(text);
    changed = changed || less.has_value();
    return less ? std::move(*less) : std::string(text);
  });
  if (!read || !changed) return {};
  return {CutReply::Outcome::cut, std::move(out), {}};
}

}  // namespace policy

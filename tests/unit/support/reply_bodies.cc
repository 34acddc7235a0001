#include "tests/unit/support/reply_bodies.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "policy/asked.h"
#include "policy/xdr.h"

namespace test {
namespace {

using policy::Field;
using policy::ReplyItem;
using policy::ReplyShape;
using policy::ReplyType;

class Maker {
 public:
  Maker(const policy::Asked& asked, std::uint64_t seed) : asked_(asked), random_(seed) {}

  ReplyBody make(std::span<const ReplyItem> all) {
    items(all);
    return std::move(body_);
  }

 private:
  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }
  policy::XdrWriter to() { return policy::XdrWriter(body_.bytes); }

  void items(std::span<const ReplyItem> all) {
    for (std::size_t i = 0; i < all.size(); i += 1U + all[i].members) {
      item(all[i], all.subspan(i + 1, all[i].members));
    }
  }

  void item(const ReplyItem& item, std::span<const ReplyItem> members) {
    std::uint32_t count = item.bound;
    if (item.shape == ReplyShape::optional) {
      count = below(2);
      body_.discriminators.push_back(body_.bytes.size());
      to().word(count);
    } else if (item.shape == ReplyShape::counted) {
      count = counted_++ == 0 ? list() : 1 + below(3);
      if (item.type == ReplyType::opaque) return bytes(body_.opaque, std::string(count, 'o'));
      body_.counts.push_back(body_.bytes.size());
      to().word(count);
    }
    for (std::uint32_t i = 0; i < count; ++i) {
      if (item.type == ReplyType::group) {
        items(members);
      } else {
        value(item);
      }
    }
    const bool is_text = item.type == ReplyType::char_ && item.shape != ReplyShape::single;
    if (is_text && count != 0) policy::store_word(&body_.bytes[body_.bytes.size() - 4], 0);
  }

  std::uint32_t list() { return listed_ = asked_.most.value_or(1) == 0 ? 0 : 1; }

  // As many as there are in the list, or would be.
  std::uint32_t total(const ReplyItem& item) {
    if (!asked_.list) return below(100);
    return item.total == policy::ReplyTotal::bits
               ? 8 * listed_ - below(8) * listed_
               : std::max(listed_, item.total == policy::ReplyTotal::each ? 1U : 0U);
  }

  void value(const ReplyItem& item) {
    switch (item.type) {
      case ReplyType::char_:
      case ReplyType::uchar:
      case ReplyType::ushort:
        body_.small.push_back(body_.bytes.size());
        return to().word(below(128));
      case ReplyType::hyper:
      case ReplyType::uhyper:
        return to().fixed(base::Buffer(8, 7));
      case ReplyType::string:
        return string();
      case ReplyType::param:
        return param();
      case ReplyType::object:
        return object(policy::layout_of(item.object));
      case ReplyType::int_:
      case ReplyType::uint:
        if (item.total != policy::ReplyTotal::nothing) return to().word(total(item));
        return to().word(static_cast<std::uint32_t>(random_()));
      case ReplyType::opaque:
      case ReplyType::group:
        return to().word(static_cast<std::uint32_t>(random_()));
    }
  }

  void bytes(std::vector<std::size_t>& lengths, std::string_view text) {
    lengths.push_back(body_.bytes.size());
    to().string(text);
    for (std::size_t i = text.size(); i % 4 != 0; ++i) {
      body_.padding.push_back(body_.bytes.size() - (4 - i % 4));
    }
  }

  void string() {
    bytes(body_.lengths, asked_.name ? std::string(*asked_.name) : std::string(1 + below(9), 's'));
  }

  void param() {
    string();
    const std::uint32_t type = 1 + below(7);
    body_.types.push_back(body_.bytes.size());
    to().word(type);
    if (type == 6) return to().word(below(2));
    if (type == 7) return string();
    to().fixed(base::Buffer(type >= 3 && type <= 5 ? 8 : 4, 1));
  }

  void object(const policy::Layout& layout) {
    for (std::size_t i = 0; i < layout.count; ++i) {
      if (layout.fields[i] == Field::string) {
        string();
      } else if (layout.fields[i] == Field::uuid) {
        to().fixed(uuid());
      } else {
        to().word(asked_.id.value_or(0x12345678));
      }
    }
  }

  base::Buffer uuid() {
    base::Bytes uuid = asked_.uuid;
    std::string_view name;
    policy::XdrReader machines(asked_.machines);
    if (uuid.empty() && !(machines.string(name) && machines.fixed(16, uuid))) {
      return another_uuid();
    }
    return {uuid.begin(), uuid.end()};
  }

  // By another name or id another object is meant.
  base::Buffer another_uuid() {
    base::Buffer uuid(16, 0xab);
    if (asked_.id) policy::store_word(&uuid[12], *asked_.id);
    if (asked_.name) {
      policy::store_word(&uuid[8],
                         static_cast<std::uint32_t>(std::hash<std::string_view>()(*asked_.name)));
    }
    return uuid;
  }

  const policy::Asked asked_;
  std::size_t counted_ = 0;
  std::uint32_t listed_ = 0;  // elements of the first list
  std::mt19937_64 random_;
  ReplyBody body_;
};

}  // namespace

ReplyBody reply_of(const policy::Procedure& procedure, base::Bytes call, std::uint64_t seed) {
  const bool is_event = procedure.rule == policy::Rule::event;
  return Maker(is_event ? policy::Asked{} : policy::asked_by(procedure, call), seed)
      .make(procedure.reply.all());
}

base::Buffer text_reply(std::size_t size) {
  base::Buffer body;
  policy::XdrWriter(body).string(std::string(size - 4, 't'));
  return body;
}

base::Buffer empty_statistics(std::uint32_t machines, std::uint32_t parameters) {
  base::Buffer body;
  policy::XdrWriter to(body);
  to.word(machines);
  for (std::uint32_t one = 0; one < machines; ++one) {
    to.string("web");
    to.fixed(base::Buffer(16, static_cast<std::uint8_t>(one)));
    to.word(one);
    to.word(parameters);
    for (std::uint32_t i = 0; i < parameters; ++i) {
      for (const std::uint32_t word : {0U, 1U, 0U}) to.word(word);
    }
  }
  return body;
}

base::Buffer usual_reply(policy::Remote procedure, base::Bytes call) {
  return reply_of(policy::find_procedure(procedure), call, 1).bytes;
}

}  // namespace test

#include "tests/unit/support/reply_bodies.h"

#include <algorithm>
#include <optional>
#include <random>
#include <string>

#include "base/check.h"
#include "policy/arguments.h"
#include "policy/xdr.h"

namespace test {
namespace {

using policy::Field;
using policy::ReplyItem;
using policy::ReplyShape;
using policy::ReplyType;
using policy::Rule;

// What a call says of its reply.
struct Asked {
  std::optional<std::string> name;
  std::optional<base::Buffer> uuid;
  std::optional<std::uint32_t> id;
  std::optional<std::uint32_t> most;
};

base::Buffer first_uuid(base::Bytes domains) {
  policy::XdrReader in(domains);
  std::uint32_t count = 0;
  std::string_view name;
  base::Bytes uuid;
  CHECK(in.word(count) && in.string(name) && in.fixed(16, uuid));
  return {uuid.begin(), uuid.end()};
}

Asked asked_by(const policy::Procedure& row, base::Bytes call) {
  Asked asked;
  base::Buffer encoded;
  policy::Arguments arguments;
  if (row.rule == Rule::event || policy::decode_arguments(row, call, encoded, arguments)) return {};
  const bool is_look_up = row.name.find("LOOKUP_BY_") != std::string_view::npos;
  for (std::size_t i = 0; i < arguments.count; ++i) {
    const policy::ArgumentSpec& spec = row.arguments.arguments[i];
    const policy::Argument& argument = arguments[i];
    if (spec.shape == policy::Shape::array && spec.type == policy::ArgumentType::domain &&
        argument.number != 0) {
      asked.uuid = first_uuid(argument.encoded);
    }
    if (spec.name.starts_with("max") || spec.name == "need_results") {
      asked.most = static_cast<std::uint32_t>(argument.number);
    }
    if (!is_look_up) continue;
    if (spec.name == "name") asked.name = std::string(argument.text);
    if (spec.name == "id") asked.id = static_cast<std::uint32_t>(argument.number);
    if (spec.name == "uuid") asked.uuid.emplace(argument.encoded.begin(), argument.encoded.end());
  }
  return asked;
}

class Maker {
 public:
  Maker(Asked asked, std::uint64_t seed) : asked_(std::move(asked)), random_(seed) {}

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
      count = counted_++ == 0 ? std::min(1U, asked_.most.value_or(1)) : 1 + below(3);
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

  void string() { bytes(body_.lengths, asked_.name.value_or(std::string(1 + below(9), 's'))); }

  void param() {
    string();
    const std::uint32_t type = 1 + below(7);
    body_.types.push_back(body_.bytes.size());
    to().word(type);
    if (type == 7) return string();
    to().fixed(base::Buffer(type >= 3 && type <= 5 ? 8 : 4, 1));
  }

  void object(const policy::Layout& layout) {
    for (std::size_t i = 0; i < layout.count; ++i) {
      if (layout.fields[i] == Field::string) {
        string();
      } else if (layout.fields[i] == Field::uuid) {
        to().fixed(asked_.uuid.value_or(base::Buffer(16, 0xab)));
      } else {
        to().word(asked_.id.value_or(0x12345678));
      }
    }
  }

  Asked asked_;
  std::size_t counted_ = 0;
  std::mt19937_64 random_;
  ReplyBody body_;
};

}  // namespace

ReplyBody reply_of(const policy::Procedure& procedure, base::Bytes call, std::uint64_t seed) {
  return Maker(asked_by(procedure, call), seed).make(procedure.reply.all());
}

base::Buffer text_reply(std::size_t size) {
  base::Buffer body;
  policy::XdrWriter(body).string(std::string(size - 4, 't'));
  return body;
}

base::Buffer usual_reply(policy::Remote procedure, base::Bytes call) {
  return reply_of(policy::find_procedure(procedure), call, 1).bytes;
}

}  // namespace test

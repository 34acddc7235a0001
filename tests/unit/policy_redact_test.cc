// What replies and events carry of a hidden class is cut out of them, or they are refused; what is
// left is still what the table says of them.
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "policy/error.h"
#include "policy/redact/description.h"
#include "policy/redact/reply.h"
#include "policy/reply.h"
#include "policy/xdr.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/descriptions.h"
#include "tests/unit/support/policy_bodies.h"
#include "tests/unit/support/reply_bodies.h"

using policy::Carrying;
using policy::CutReply;
using policy::find_procedure;
using policy::Hidden;
using policy::HiddenSet;
using policy::Remote;
using policy::ReplyItem;
using policy::ReplyShape;
using policy::ReplyType;
using policy::Rule;
using Outcome = CutReply::Outcome;

namespace {

constexpr std::string_view kMark = "/secret";

// A reply in which the carried values have the mark, and no other text has.
class Marked {
 public:
  explicit Marked(const policy::Procedure& row) : row_(row) {}

  base::Buffer body() {
    items(row_.reply.all());
    return std::move(out_);
  }

 private:
  policy::XdrWriter to() { return policy::XdrWriter(out_); }

  [[nodiscard]] bool carried(const ReplyItem& item) const {
    const auto at = static_cast<std::size_t>(&item - row_.reply.items.data());
    return std::ranges::any_of(row_.carried.all(), [&](const auto& v) { return v.item == at; });
  }

  void items(std::span<const ReplyItem> all) {
    for (std::size_t i = 0; i < all.size(); i += 1U + all[i].members) {
      item(all[i], all.subspan(i + 1, all[i].members));
    }
  }

  void item(const ReplyItem& item, std::span<const ReplyItem> members) {
    std::uint32_t count = item.bound;
    if (item.shape == ReplyShape::optional) count = 1;
    if (item.shape == ReplyShape::counted) count = std::min(item.bound, 3U);
    if (item.shape == ReplyShape::optional || item.shape == ReplyShape::counted) to().word(count);
    if (item.type == ReplyType::opaque) {
      to().word(0);
      return;
    }
    if (item.type == ReplyType::char_ && carried(item)) {
      for (const char c : std::string_view("/se")) to().word(static_cast<std::uint32_t>(c));
      return;
    }
    for (std::uint32_t i = 0; i < count; ++i) {
      if (item.type == ReplyType::group)
        items(members);
      else
        value(item, i);
    }
  }

  void value(const ReplyItem& item, std::uint32_t i) {
    switch (item.type) {
      case ReplyType::hyper:
      case ReplyType::uhyper:
        return to().fixed(base::Buffer(8, 7));
      case ReplyType::string:
        return to().string(carried(item) ? kMark : "plain");
      case ReplyType::param: {
        static constexpr std::array<std::string_view, 3> kNames = {"block.10.path", "net.0.name",
                                                                   "vcpu.maximum"};
        to().string(kNames[i % 3]);
        to().word(i % 3 == 2 ? 1 : 7);
        return i % 3 == 2 ? to().word(4) : to().string(kMark);
      }
      case ReplyType::object:
        for (std::size_t f = 0; f < policy::layout_of(item.object).count; ++f) {
          switch (policy::layout_of(item.object).fields[f]) {
            case policy::Field::uuid:
              to().fixed(base::Buffer(16, 9));
              break;
            case policy::Field::string:
              to().string(
                  !carried(item)                                     ? "plain"
                  : item.object == policy::ArgumentType::node_device ? "net_/secret"
                  : f == 2 || item.object == policy::ArgumentType::binding || item.object == policy::ArgumentType::interface ? kMark
                                                                                                                             : "plain");
              break;
            default:
              to().word(3);
          }
        }
        return;
      default:
        return to().word(1);
    }
  }

  const policy::Procedure& row_;
  base::Buffer out_;
};

bool has_description(const policy::Procedure& row) {
  return std::ranges::any_of(row.carried.all(),
                             [](const auto& v) { return v.how == Carrying::description; });
}

std::size_t marks_in(base::Bytes body) {
  const std::string_view text = base::text_of(body);
  std::size_t count = 0;
  for (std::size_t at = text.find(kMark); at != std::string_view::npos;
       at = text.find(kMark, at + 1)) {
    ++count;
  }
  return count;
}

base::Buffer string_reply(std::string_view text) {
  base::Buffer body;
  policy::XdrWriter(body).string(text);
  return body;
}

std::string error_text(const CutReply& done) { return policy::decode_error(done.body).text; }

base::Buffer error_body(std::string_view text) {
  base::Buffer frame;
  policy::Fault fault{policy::ErrorCode::internal_error, policy::ErrorDomain::rpc,
                      std::string(text)};
  policy::append_error_reply(frame, {}, fault);
  return {frame.begin() + policy::kHeaderSize, frame.end()};
}

}  // namespace

TEST_CASE("names of classes are found, and no others", "[policy][redact]") {
  for (const std::string_view name : policy::kHiddenNames) {
    CHECK(policy::name_of(policy::find_hidden(name).value()) == name);
  }
  CHECK_FALSE(policy::find_hidden("path"));
  CHECK_FALSE(policy::find_hidden(""));
  CHECK(policy::names_of({Hidden::fwcfg, Hidden::paths}) == "paths, fwcfg");
  CHECK(policy::names_of({}).empty());
  CHECK(HiddenSet::everything().without(policy::kHiddenByDefault).both({Hidden::smbios}).empty());
}

TEST_CASE("the column is read as it is written", "[policy][redact]") {
  const auto reply =
      policy::compile_reply("xml:string path:string? n:int vol:volume params:param[..9]");
  for (const std::string_view good : {"", "-", "xml:<domain>", "path:paths", "path:?paths,network",
                                      "vol:!network params:paths"}) {
    CAPTURE(good);
    CHECK(policy::is_carried(good, reply));
  }
  for (const std::string_view bad :
       {" ", "--", "xml", "xml:", "xml:<>", "xml:<domain", "nothing:paths", "n:paths", "path:path",
        "path:paths,paths", "path:paths ", "vol:<volume>", "path:!?paths", "path:paths,"}) {
    CAPTURE(bad);
    CHECK_FALSE(policy::is_carried(bad, reply));
  }
}

TEST_CASE("every text of the table is of a class or said to be of none", "[policy][redact]") {
  int descriptions = 0;
  for (const policy::Procedure* row : test::all_procedures()) {
    CAPTURE(row->name);
    const bool comes = row->rule != Rule::deny && row->rule != Rule::local;
    CHECK(row->carried.said == (comes && policy::holds_text(row->reply)));
    if (row->name.ends_with("XML_DESC") && comes) {
      const bool filter = row->name == "NWFILTER_GET_XML_DESC";
      CHECK(row->carried.classes.empty() == filter);
      if (has_description(*row)) ++descriptions;
    }
  }
  CHECK(descriptions == 11);
}

TEST_CASE("whatever a reply carries is gone when it is hidden, and only then", "[policy][redact]") {
  for (const policy::Procedure* row : test::all_procedures()) {
    if (row->rule == Rule::deny || has_description(*row)) continue;
    const base::Buffer body = Marked(*row).body();
    for (std::size_t i = 0; i < policy::kHiddenNames.size(); ++i) {
      const auto hidden = static_cast<Hidden>(i);
      const CutReply done = policy::cut_reply(*row, body, {hidden});
      CAPTURE(row->name, policy::name_of(hidden));
      const bool refuses = std::ranges::any_of(row->carried.all(), [&](const auto& v) {
        return v.how == Carrying::all && v.classes.has(hidden);
      });
      if (refuses) {
        REQUIRE(done.outcome == Outcome::refused);
        REQUIRE_FALSE(done.fault.text.empty());
        continue;
      }
      if (!row->carried.classes.has(hidden)) {
        REQUIRE(done.outcome == Outcome::unchanged);
        continue;
      }
      if (done.outcome == Outcome::unchanged) {
        // Parameters that are known are of procedures of their own.
        REQUIRE(row->reply_text.find(":param") != std::string_view::npos);
        continue;
      }
      REQUIRE(done.outcome == Outcome::cut);
      REQUIRE(marks_in(done.body) <
              marks_in(body) + (row->carried.classes.has(Hidden::seclabel) ? 1 : 0));
      if (row->reply_text.find(":param") == std::string_view::npos)
        REQUIRE(marks_in(done.body) == 0);
      REQUIRE(policy::cut_reply(*row, done.body, {hidden}).body ==
              (policy::cut_reply(*row, done.body, {hidden}).outcome == Outcome::cut
                   ? done.body
                   : base::Buffer()));
    }
  }
}

TEST_CASE("what is left of a reply is what the table says of it", "[policy][redact]") {
  for (const policy::Procedure* row : test::all_procedures()) {
    if (row->rule == Rule::deny) continue;
    const base::Buffer call = test::body_of(*row).bytes;
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
      const base::Buffer body = test::reply_of(*row, call, seed).bytes;
      CAPTURE(row->name, seed);
      REQUIRE(policy::objection_to_reply(*row, call, body).empty());
      const CutReply done = policy::cut_reply(*row, body, HiddenSet::everything());
      if (done.outcome == Outcome::cut) {
        REQUIRE(policy::objection_to_reply(*row, call, done.body).empty());
      }
      if (row->carried.classes.empty()) REQUIRE(done.outcome == Outcome::unchanged);
      if (has_description(*row)) REQUIRE(done.outcome == Outcome::refused);
    }
  }
}

TEST_CASE("a description in a reply is cut as it is alone", "[policy][redact]") {
  for (const test::Description& one : test::descriptions()) {
    for (const policy::Procedure* row : test::all_procedures()) {
      if (!has_description(*row) || row->carried.values[0].root != one.root) continue;
      const CutReply done =
          policy::cut_reply(*row, string_reply(one.text), HiddenSet::everything());
      CAPTURE(row->name, one.file);
      REQUIRE(done.outcome == Outcome::cut);
      const auto alone = policy::cut_description(one.text, one.root, HiddenSet::everything());
      REQUIRE(done.body == string_reply(alone.value().value()));
    }
  }
}

TEST_CASE("a description that cannot be read is refused, without a word of it",
          "[policy][redact]") {
  const policy::Procedure& row = find_procedure(Remote::DOMAIN_GET_XML_DESC);
  const CutReply done = policy::cut_reply(row, string_reply("<domain><quartz>"), {Hidden::paths});
  CHECK(done.outcome == Outcome::refused);
  CHECK(done.fault.code == policy::ErrorCode::operation_denied);
  CHECK(done.fault.text ==
        "what the target answers to DOMAIN_GET_XML_DESC holds what is hidden, and is not "
        "well-formed");
  CHECK(policy::cut_reply(row, string_reply("<domain><quartz>"), {}).outcome == Outcome::unchanged);
}

TEST_CASE("metadata that is hidden is not there", "[policy][redact]") {
  const policy::Procedure& row = find_procedure(Remote::DOMAIN_GET_METADATA);
  const CutReply done = policy::cut_reply(row, string_reply("<a/>"), {Hidden::metadata});
  CHECK(done.outcome == Outcome::refused);
  CHECK(done.fault.code == policy::ErrorCode::no_domain_metadata);
}

TEST_CASE("parameters are told apart by their numbers", "[policy][redact]") {
  base::Buffer body;
  policy::XdrWriter out(body);
  const auto text = [&](std::string_view name, std::string_view value) {
    out.string(name);
    out.word(7);
    out.string(value);
  };
  out.word(1);
  out.string("web-1");
  out.fixed(base::Buffer(16, 1));
  out.word(7);
  out.word(6);
  text("block.0.name", "vda");
  text("block.0.path", "/a");
  text("block.12.path", "pool/b");
  text("net.1.name", "vnet1");
  text("block.x.path", "/c");
  text("block..path", "/d");
  const policy::Procedure& row = find_procedure(Remote::CONNECT_GET_ALL_DOMAIN_STATS);
  const CutReply done = policy::cut_reply(row, body, {Hidden::paths, Hidden::network});
  REQUIRE(done.outcome == Outcome::cut);
  const std::string left(base::text_of(done.body));
  CHECK_THAT(left, Catch::Matchers::Contains("/redacted-0"));
  CHECK_THAT(left, Catch::Matchers::Contains("redacted-12"));
  CHECK_THAT(left, Catch::Matchers::Contains("redacted-1"));
  CHECK_THAT(left, Catch::Matchers::Contains("/c"));
  for (const std::string gone : {"pool/b", "vnet1", "/a\0"}) {
    CHECK(left.find(gone) == std::string::npos);
  }
  CHECK(policy::objection_to_reply(row, test::body_of(row).bytes, done.body).find("bytes left") ==
        std::string::npos);
}

TEST_CASE("a device that is not of the network keeps its name", "[policy][redact]") {
  const policy::Procedure& row = find_procedure(Remote::NODE_DEVICE_EVENT_UPDATE);
  base::Buffer body;
  policy::XdrWriter out(body);
  out.word(1);
  out.string("pci_0000_00_19_0");
  CHECK(policy::cut_reply(row, body, {Hidden::network}).outcome == Outcome::unchanged);
}

TEST_CASE("errors say nothing from a path on", "[policy][redact]") {
  const auto cut = [](std::string_view text) {
    return policy::cut_error(error_body(text), {Hidden::paths});
  };
  CHECK(error_text(cut("cannot open '/a/my disk': No such file")) ==
        "internal error: cannot open '/redacted");
  CHECK(error_text(cut("cannot open /a/b: No such file")) ==
        "internal error: cannot open /redacted");
  CHECK(error_text(cut("image 'my pool/image 1' is locked")) == "internal error: image '/redacted");
  CHECK(cut("no domain with matching name 'x'").outcome == Outcome::unchanged);
  CHECK(policy::cut_error(error_body("/a"), {Hidden::graphics}).outcome == Outcome::unchanged);
  CHECK(policy::clean_error(cut("/a").body).has_value());
}

TEST_CASE("a reply that is too long to be cut is refused", "[policy][redact]") {
  const policy::Procedure& row = find_procedure(Remote::DOMAIN_GET_MESSAGES);
  const base::Buffer body(policy::kMaxCutReply + 4);
  CHECK(policy::cut_reply(row, body, {Hidden::paths}).outcome == Outcome::refused);
  CHECK(policy::cut_reply(row, body, {Hidden::graphics}).outcome == Outcome::unchanged);
}

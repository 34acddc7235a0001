// Random arguments that are well formed pass as they are, and cut, longer or damaged ones are
// refused or mean something in order. A failure names its seed.
#include <array>
#include <string>

#include "policy/filter.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/daemon_xdr.h"
#include "tests/unit/support/policy_bodies.h"
#include "tests/unit/support/random_bodies.h"

using policy::Decision;
using policy::Rule;
using policy::Verdict;
using test::RandomBodies;

namespace {

constexpr std::array<std::uint64_t, 4> kSeeds = {1, 20008086, 0x6b656570, 0xfedcba9876543210};

struct Judged {
  Verdict verdict;
  base::Buffer encoded;
  [[nodiscard]] bool accepted() const { return verdict.decision != Decision::refuse; }
};

Judged judge(const policy::Procedure& row, const base::Buffer& body) {
  Judged judged;
  judged.verdict = policy::judge(test::call_of(row), body, judged.encoded);
  return judged;
}

std::string in_hex(const base::Buffer& bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += "0123456789abcdef"[byte / 16];
    text += "0123456789abcdef"[byte % 16];
  }
  return text;
}

// Calls `each` for every procedure whose arguments are decoded, and every seed.
template <typename Each>
void for_each_procedure(Each each) {
  for (const std::uint64_t seed : kSeeds) {
    RandomBodies bodies(seed);
    for (const policy::Procedure* row : test::all_procedures()) {
      if (row->rule == Rule::deny || row->rule == Rule::event) continue;
      CAPTURE(seed, row->name);
      each(*row, bodies);
    }
  }
}

bool amended(const Judged& judged) {
  return judged.verdict.arguments.amendment != policy::Amendment::none;
}

bool same(const Judged& a, const Judged& b) {
  return a.verdict.decision == b.verdict.decision && a.verdict.procedure == b.verdict.procedure &&
         a.verdict.fault.text == b.verdict.fault.text &&
         a.verdict.arguments.count == b.verdict.arguments.count && a.encoded == b.encoded;
}

// What was judged is what the daemon reads, argument by argument.
bool agrees(const policy::Procedure& row, const Judged& judged, const test::DaemonArguments& read) {
  std::size_t at = 0;
  const auto take = [&] { return at < read.fields.size() ? read.fields[at++] : "nothing more"; };
  for (std::size_t i = 0; i < row.arguments.count; ++i) {
    const policy::ArgumentSpec& spec = row.arguments.arguments[i];
    const policy::Argument& argument = judged.verdict.arguments[i];
    std::size_t count = 1;
    if (!argument.present) {
      if (take() != "none") return false;
      count = 0;
    } else if (spec.shape == policy::Shape::array) {
      if (take() != std::to_string(argument.number) + " of") return false;
      count = static_cast<std::size_t>(argument.number);
    }
    const policy::Layout& layout = policy::layout_of(spec.type);
    for (std::size_t field = 0; field < count * layout.count; ++field) {
      const std::string value = take();
      if (spec.shape == policy::Shape::array) continue;
      const policy::Field kind = layout.fields[field];
      const bool number = kind == policy::Field::int_ || kind == policy::Field::uint;
      if (number && layout.count == 1 && value != std::to_string(argument.number)) return false;
      const bool title = kind == policy::Field::string || kind == policy::Field::document;
      if (title && field == layout.title && value != "text:" + std::string(argument.text)) {
        return false;
      }
    }
  }
  return at == read.fields.size();
}

void require_sound(const policy::Procedure& row, const base::Buffer& body) {
  CAPTURE(in_hex(body));
  const Judged judged = judge(row, body);
  REQUIRE(same(judged, judge(row, body)));
  if (!judged.accepted()) {
    REQUIRE(judged.encoded.empty());
    REQUIRE_FALSE(judged.verdict.fault.text.empty());
    return;
  }
  REQUIRE(judged.encoded.size() == body.size());
  REQUIRE(judge(row, judged.encoded).encoded == judged.encoded);
  const auto original = test::read_as_daemon(row.arguments, body);
  const auto sent_on = test::read_as_daemon(row.arguments, judged.encoded);
  REQUIRE(original.has_value());
  REQUIRE(sent_on.has_value());
  REQUIRE(sent_on->used == judged.encoded.size());
  if (!amended(judged)) REQUIRE(original->fields == sent_on->fields);
  REQUIRE_FALSE(amended(judge(row, judged.encoded)));
  REQUIRE(agrees(row, judged, *sent_on));
}

}  // namespace

TEST_CASE("what is well formed and within bounds passes as it is", "[policy][property]") {
  for_each_procedure([](const policy::Procedure& row, RandomBodies& bodies) {
    for (int i = 0; i < 20; ++i) {
      const base::Buffer body = bodies.strict(row);
      CAPTURE(in_hex(body));
      const Judged judged = judge(row, body);
      // Whoever is checked in sum can be within each bound and beyond all together.
      if (row.checker == policy::Checker::none) REQUIRE(judged.accepted());
      if (judged.accepted() && !amended(judged)) REQUIRE(judged.encoded == body);
    }
  });
}

TEST_CASE("a daemon reads what was judged", "[policy][property]") {
  std::size_t accepted = 0;
  for_each_procedure([&](const policy::Procedure& row, RandomBodies& bodies) {
    for (int i = 0; i < 20; ++i) {
      const base::Buffer body = bodies.loose(row);
      require_sound(row, body);
      if (judge(row, body).accepted()) ++accepted;
    }
  });
  CHECK(accepted > 10000);
}

TEST_CASE("damaged arguments are refused, or are others that are in order", "[policy][property]") {
  std::size_t accepted = 0;
  std::size_t refused = 0;
  for_each_procedure([&](const policy::Procedure& row, RandomBodies& bodies) {
    for (int i = 0; i < 60; ++i) {
      base::Buffer body = bodies.damaged(bodies.loose(row));
      if (i % 3 == 0) body = bodies.damaged(std::move(body));
      require_sound(row, body);
      ++(judge(row, body).accepted() ? accepted : refused);
    }
  });
  CHECK(accepted > 1000);
  CHECK(refused > 10000);
}

TEST_CASE("random bytes are refused, or are arguments", "[policy][property]") {
  for_each_procedure([](const policy::Procedure& row, RandomBodies& bodies) {
    for (int i = 0; i < 20; ++i) {
      base::Buffer body(bodies.below(80));
      const bool sparse = i % 2 == 0;
      for (std::uint8_t& byte : body) {
        byte = static_cast<std::uint8_t>(sparse ? bodies.below(9) / 8 : bodies.below(256));
      }
      require_sound(row, body);
    }
  });
}

TEST_CASE("cut anywhere or longer by anything, what passes does not", "[policy][property]") {
  for_each_procedure([](const policy::Procedure& row, RandomBodies& bodies) {
    const base::Buffer body = bodies.loose(row);
    if (body.size() > 1000 || !judge(row, body).accepted()) return;
    CAPTURE(in_hex(body));
    for (std::size_t size = 0; size < body.size(); ++size) {
      const base::Buffer cut(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(size));
      if (judge(row, cut).accepted()) FAIL("cut to " << size);
    }
    base::Buffer longer = body;
    for (int more = 1; more <= 40; ++more) {
      longer.push_back(static_cast<std::uint8_t>(bodies.below(256)));
      if (judge(row, longer).accepted()) FAIL("longer by " << more);
    }
  });
}

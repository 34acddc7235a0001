// Replies in pieces and in one go, twice, and damaged: the verdict is the same each time. A failure
// names its seed.
#include <array>
#include <string>

#include "policy/reply.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/policy_bodies.h"
#include "tests/unit/support/random_bodies.h"
#include "tests/unit/support/reply_bodies.h"

using policy::objection_to_reply;
using policy::ReplyDecoder;
using policy::Rule;
using test::RandomBodies;

namespace {

struct Sample {
  const policy::Procedure& row;
  base::Buffer call;
  base::Buffer body;
  bool whole;  // as libvirt sends it
};

// Calls `each` with replies and events of all procedures, well formed and damaged.
template <typename Each>
void for_each_sample(Each each) {
  RandomBodies bodies(20008086);
  for (const policy::Procedure* row : test::all_procedures()) {
    if (row->rule == Rule::deny) continue;
    const base::Buffer call = test::body_of(*row).bytes;
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
      CAPTURE(row->name, seed);
      const base::Buffer body = test::reply_of(*row, call, seed).bytes;
      each(Sample{*row, call, body, true});
      for (int i = 0; i < 10; ++i) each(Sample{*row, call, bodies.damaged(body), false});
    }
  }
}

// In pieces of so many steps, and from another place after each.
std::string in_pieces(const Sample& sample, std::size_t steps) {
  base::Buffer here = sample.body;
  ReplyDecoder decoder(sample.row, sample.call, here);
  while (!decoder.run(steps)) {
    base::Buffer there = here;
    decoder.move_to(there);
    here.assign(here.size(), 0xff);
    here.swap(there);
  }
  return decoder.objection();
}

}  // namespace

TEST_CASE("a reply in pieces is judged as in one go", "[policy][reply][property]") {
  std::size_t good = 0;
  std::size_t bad = 0;
  for_each_sample([&](const Sample& sample) {
    const std::string whole = objection_to_reply(sample.row, sample.call, sample.body);
    REQUIRE(objection_to_reply(sample.row, sample.call, sample.body) == whole);
    for (const std::size_t steps : {1U, 2U, 3U, 7U, 64U}) {
      CAPTURE(steps);
      REQUIRE(in_pieces(sample, steps) == whole);
    }
    if (sample.whole) REQUIRE(whole.empty());
    ++(whole.empty() ? good : bad);
  });
  CHECK(good > 1000);
  CHECK(bad > 5000);
}

TEST_CASE("a piece is as long as it may be, and no byte is read twice",
          "[policy][reply][property]") {
  const policy::Procedure& row =
      policy::find_procedure(policy::Remote::CONNECT_GET_ALL_DOMAIN_STATS);
  const base::Buffer call = base::Buffer(12);
  const base::Buffer body = test::empty_statistics(1, 100000);
  ReplyDecoder decoder(row, call, body);
  std::size_t pieces = 1;
  while (!decoder.run(1000)) ++pieces;
  CHECK(decoder.objection().empty());
  // One for each parameter, and a few around them.
  CHECK(pieces == 101);
}

// What waits to be sent, in memory: order, and what is kept how long.
#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "tests/unit/support/catch.h"
#include "tunnel/io/outgoing.h"

namespace test {
namespace {

using tunnel::io::Outgoing;

std::string text_of(const Outgoing& outgoing) {
  std::vector<uv_buf_t> pieces(outgoing.pieces());
  const std::size_t count = outgoing.gather(pieces);
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out.append(pieces[i].base, pieces[i].len);
  return out;
}

std::weak_ptr<const void> keep(Outgoing& outgoing, std::string text) {
  const auto kept = std::make_shared<const std::string>(std::move(text));
  outgoing.add(base::bytes_of(*kept), kept);
  return kept;
}

}  // namespace

TEST_CASE("what waits to be sent leaves in its order, however much is taken at a time") {
  const std::string all = "onetwothreefourfive";
  for (std::size_t first = 0; first <= all.size(); ++first) {
    for (std::size_t second = 0; first + second <= all.size(); ++second) {
      Outgoing outgoing;
      outgoing.add(base::bytes_of("one"));
      keep(outgoing, "two");
      outgoing.add(base::bytes_of("thr"));
      outgoing.add(base::bytes_of("ee"));
      keep(outgoing, "four");
      keep(outgoing, "fi");
      outgoing.add(base::bytes_of("v"));
      REQUIRE(outgoing.size() == all.size() - 1);
      outgoing.take(std::min(first, outgoing.size()));
      outgoing.add(base::bytes_of("e"));
      REQUIRE(text_of(outgoing) == all.substr(std::min(first, all.size() - 1)));
      outgoing.take(std::min(second, outgoing.size()));
      REQUIRE(text_of(outgoing) == all.substr(all.size() - outgoing.size()));
      REQUIRE(outgoing.empty() == text_of(outgoing).empty());
    }
  }
}

TEST_CASE("bytes are kept until all of them have left") {
  Outgoing outgoing;
  const auto one = keep(outgoing, "one");
  const auto two = keep(outgoing, "two");
  outgoing.take(2);
  CHECK_FALSE(one.expired());
  outgoing.take(1);
  CHECK(one.expired());
  outgoing.take(2);
  CHECK_FALSE(two.expired());
  outgoing.take(1);
  CHECK(two.expired());
}

TEST_CASE("no more pieces are given than there is space for") {
  Outgoing outgoing;
  for (int i = 0; i < 5; ++i) keep(outgoing, std::to_string(i));
  std::array<uv_buf_t, 2> space{};
  REQUIRE(outgoing.gather(space) == 2);
  CHECK(std::string(space[1].base, space[1].len) == "1");
  outgoing.take(2);
  CHECK(text_of(outgoing) == "234");
}

}  // namespace test

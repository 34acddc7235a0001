// A signature compiles to names, types, shapes and the values that pass, and a malformed one is
// rejected.
#include "policy/signature.h"
#include "tests/unit/support/catch.h"

using policy::ArgumentType;
using policy::is_signature;
using policy::Shape;
using policy::Values;

TEST_CASE("signatures say names, types, shapes and values", "[policy][signature]") {
  constexpr policy::Signature kSignature = policy::compile_signature(
      "dom:domain maxinfo:int{-1..16384} disk:string? pages:uint[1024] flags:uint{0x8000000f}");
  const auto specs = kSignature.specs();
  REQUIRE(specs.size() == 5);
  CHECK(specs[0].name == "dom");
  CHECK(specs[0].type == ArgumentType::domain);
  CHECK(specs[0].shape == Shape::single);
  CHECK(specs[0].values == Values::any);
  CHECK(specs[1].name == "maxinfo");
  CHECK(specs[1].type == ArgumentType::int_);
  CHECK(specs[1].values == Values::range);
  CHECK(specs[1].number[0] == -1);
  CHECK(specs[1].number[1] == 16384);
  CHECK(specs[2].shape == Shape::optional);
  CHECK(specs[3].type == ArgumentType::uint);
  CHECK(specs[3].shape == Shape::array);
  CHECK(specs[3].max_count == 1024);
  CHECK(specs[4].values == Values::mask);
  CHECK(specs[4].number[0] == 0x8000000f);
}

TEST_CASE("an empty signature has no arguments", "[policy][signature]") {
  CHECK(policy::compile_signature("").specs().empty());
}

TEST_CASE("values are taken or not", "[policy][signature]") {
  constexpr auto kRange = policy::compile_signature("n:int{-1..3}").arguments[0];
  constexpr auto kSet = policy::compile_signature("n:uint{0,2,7}").arguments[0];
  constexpr auto kMask = policy::compile_signature("n:uint{0x6}").arguments[0];
  constexpr auto kAny = policy::compile_signature("n:uint").arguments[0];
  for (int value = -3; value < 10; ++value) {
    CHECK(kRange.takes(value) == (value >= -1 && value <= 3));
    CHECK(kSet.takes(value) == (value == 0 || value == 2 || value == 7));
    CHECK(kAny.takes(value));
  }
  for (std::uint32_t value = 0; value < 16; ++value)
    CHECK(kMask.takes(value) == ((value & ~6U) == 0));
  CHECK_FALSE(kMask.takes(0x80000002));
}

TEST_CASE("a value has a twin that is sent on", "[policy][signature]") {
  constexpr auto kSet = policy::compile_signature("n:uint{0,1>3,2}").arguments[0];
  CHECK(kSet.takes(1));
  CHECK_FALSE(kSet.takes(3));
  CHECK(kSet.sent_for(0) == 0);
  CHECK(kSet.sent_for(1) == 3);
  CHECK(kSet.sent_for(2) == 2);
  constexpr auto kMask =
      policy::compile_signature("n:uint{0x6,SECURE~0x1,MIGRATABLE!0x8}").arguments[0];
  CHECK(kMask.takes(7));
  CHECK_FALSE(kMask.takes(8));
  CHECK(kMask.sent_for(7) == 6);
  CHECK(kMask.flags[0].name == "SECURE");
  CHECK(kMask.flags[1].name == "MIGRATABLE");
  CHECK(kMask.omitted() == 1);
}

TEST_CASE("what is no signature is not taken", "[policy][signature]") {
  const char* text = GENERATE(
      " ", "dom", "dom:", ":domain", "dom:domain ", " dom:domain", "dom:domain  n:int",
      "dom:domian", "dom:Domain", "n:int{}", "n:int{1..}", "n:int{..1}", "n:int{2..1}", "n:int{1",
      "n:int{1,}", "n:int{1,2,3,4,5}", "n:int{0x1}", "n:uint{0x}", "n:uint{0x1ffffffff}",
      "n:int{99999999999999999999}", "n:int[]", "n:int[1", "n:int[-1]", "n:int[2]{0..1}",
      "n:int?{0..1}", "dom:domain{0..1}", "a:int b:int c:int d:int e:int f:int", "n:int{1..2}x",
      "n:uint{0x6,}", "n:uint{0x6,SECURE}", "n:uint{0x6,SECURE~1}", "n:uint{0x6,SECURE~0x2}",
      "n:uint{0x6,SECURE~0x9}", "n:uint{0x6,~0x1}", "n:uint{0x6,A~0x1,B~0x8,C~0x10}", "n:uint{1>}",
      "n:uint{>1}");
  CAPTURE(text);
  CHECK_FALSE(is_signature(text));
}

TEST_CASE("words of types stand where their types stand", "[policy][signature]") {
  CHECK(policy::layout_of(ArgumentType::int_).word == "int");
  CHECK(policy::layout_of(ArgumentType::document).word == "document");
  CHECK(policy::layout_of(ArgumentType::uuid).word == "uuid");
  CHECK(policy::layout_of(ArgumentType::domain).word == "domain");
  CHECK(policy::layout_of(ArgumentType::volume).word == "volume");
  CHECK(policy::layout_of(ArgumentType::secret).word == "secret");
  CHECK(policy::layout_of(ArgumentType::port).word == "port");
}

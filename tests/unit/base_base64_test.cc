// Base64 is what others write and read, and nothing else is taken for it.
#include "base/base64.h"
#include "tests/unit/support/catch.h"

using base::decode_base64;
using base::encode_base64;

TEST_CASE("base64 has padding") {
  CHECK(encode_base64(base::bytes_of("")) == "");
  CHECK(encode_base64(base::bytes_of("f")) == "Zg==");
  CHECK(encode_base64(base::bytes_of("fo")) == "Zm8=");
  CHECK(encode_base64(base::bytes_of("foobar")) == "Zm9vYmFy");
  CHECK(decode_base64("Zm9vYg==") == base::Buffer{'f', 'o', 'o', 'b'});
  CHECK(decode_base64("") == base::Buffer());
}

TEST_CASE("base64 comes back as what it was made of") {
  base::Buffer all;
  for (unsigned i = 0; i < 256; ++i) {
    CHECK(decode_base64(encode_base64(all)) == all);
    all.push_back(static_cast<std::uint8_t>(i * 37));
  }
}

TEST_CASE("what is no base64 is not decoded") {
  for (const char* bad : {"Z", "Zm9vYg=", "Zm9v*g==", "====", "Zg=a",
                          "Z===", "Zg==Zg==", "Zm9v\n\n\n\n", "Zm9v-_=="}) {
    CHECK_FALSE(decode_base64(bad).has_value());
  }
}

TEST_CASE("a secret in base64 may be on several lines") {
  const auto secret = base::decode_secret("Zm9v\r\n Ym\tFy\n");
  REQUIRE(secret.has_value());
  CHECK(secret->text() == "foobar");
  CHECK(base::decode_secret("")->empty());
}

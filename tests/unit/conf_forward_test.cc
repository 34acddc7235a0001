// forward= lets through exactly the hosts and ports that it names, and a malformed one is refused
// with what is wrong.
#include <string>
#include <vector>

#include "conf/forward.h"
#include "tests/unit/support/catch.h"

using conf::Forward;
using conf::parse_forward;

namespace {

struct Wrong {
  const char* text;
  const char* why;
};

bool may(const char* forward, const char* host, std::uint16_t port) {
  const std::vector<Forward> forwards{parse_forward(forward).value()};
  return conf::allows(forwards, host, port);
}

}  // namespace

TEST_CASE("what forward= allows", "[conf][forward]") {
  CHECK(may("hail:22", "hail", 22));
  CHECK(may("Hail:22", "hAIL", 22));
  CHECK_FALSE(may("hail:22", "hail", 23));
  CHECK_FALSE(may("hail:22", "hail.example.com", 22));
  CHECK(may("*.example.com:5900-5999", "hail.example.com", 5900));
  CHECK(may("*.example.com:5900-5999", "hail.example.com", 5999));
  CHECK_FALSE(may("*.example.com:5900-5999", "hail.example.com", 6000));
  CHECK_FALSE(may("*.example.com:5900-5999", "hail.example.com.evil", 5900));
  CHECK(may("[::1]:1-65535", "::1", 65535));
  CHECK_FALSE(may("[::1]:1-65535", "127.0.0.1", 1));
  CHECK_FALSE(conf::allows({}, "hail", 22));
}

TEST_CASE("what is wrong with forward=", "[conf][forward]") {
  const std::string ports =
      "behind the colon must be a port from 1 to 65535, or two with a dash between";
  for (const char* text : {"h:", "h:0", "h:65536", "h:-1", "h:1-", "h:2-1", "h:1-2-3", "h:x",
                           "h: 22", "h:+1", "h:1-65536"}) {
    CAPTURE(text);
    CHECK(parse_forward(text).error() == ports);
  }
  for (const Wrong& one : {Wrong{"", "it has no port"}, Wrong{"hail", "it has no port"},
                           Wrong{":22", "it has no host"}, Wrong{"[]:22", "it has no host"},
                           Wrong{"::1:22", "an IPv6 address needs brackets"},
                           Wrong{"a b:22", "the host has characters that no host has"},
                           Wrong{"u@h:22", "the host has characters that no host has"},
                           Wrong{"h\n:22", "the host has characters that no host has"},
                           Wrong{"[h:22", "the host has characters that no host has"}}) {
    CAPTURE(one.text);
    CHECK(parse_forward(one.text).error() == one.why);
  }
}

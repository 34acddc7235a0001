// A URI splits into the parts and parameters that libvirt sees, and one that does not parse is
// refused with the place and the reason.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conf/uri.h"
#include "tests/unit/support/catch.h"

namespace {

using conf::parse_uri;

// Everything of a URI in one text, so that a table can hold it.
std::string shown(const conf::Uri& uri) {
  std::string out = uri.driver + '|' + uri.transport + '|' + uri.user + '|' + uri.host + '|' +
                    std::to_string(uri.port) + '|' + uri.path + '|';
  for (const auto& [name, value] : uri.parameters) out += '(' + name + '=' + value + ')';
  return out + '|' + uri.fragment;
}

}  // namespace

TEST_CASE("a URI has the parts that libvirt sees", "[conf][uri]") {
  struct Case {
    const char* text;
    const char* parts;
  };
  const Case c = GENERATE(values<Case>({
      {"qemu:///system", "qemu||||0|/system||"},
      {"qemu:/system", "qemu||||0|/system||"},
      {"qemu:system", "qemu||||0|system||"},
      {"qemu:", "qemu||||0|||"},
      {"qemu+unix:", "qemu|unix|||0|||"},
      {"qemu+unix://", "qemu|unix|||0|||"},
      {"QEMU+SSH://h/", "QEMU|ssh||h|0|/||"},
      {"a+tcp+tls://h/", "a|tcp+tls||h|0|/||"},
      {"v1.2-x://h", "v1.2-x|||h|0|||"},
      {"qemu+tcp://LOCALHOST/system", "qemu|tcp||LOCALHOST|0|/system||"},
      {"qemu+ssh://u@h:2222/system", "qemu|ssh|u|h|2222|/system||"},
      {"qemu+ssh://u%40dom@h/system", "qemu|ssh|u@dom|h|0|/system||"},
      {"qemu+ssh://u:pw@h/system", "qemu|ssh|u:pw|h|0|/system||"},
      {"qemu+ssh://u@/x", "qemu|ssh|u||0|/x||"},
      {"qemu+ssh://@h/x", "qemu|ssh||h|0|/x||"},
      {"qemu+tcp://h:0/system", "qemu|tcp||h|0|/system||"},
      {"qemu+tcp://h:99999/system", "qemu|tcp||h|99999|/system||"},
      {"qemu+tcp://h:0005000", "qemu|tcp||h|5000|||"},
      {"qemu+tcp://:5000/system", "qemu|tcp|||0|/system||"},
      {"qemu+tcp://u@:5000/system", "qemu|tcp|u||0|/system||"},
      {"qemu+tcp://[::1]/system", "qemu|tcp||::1|0|/system||"},
      {"qemu+tcp://[::1]:5000/system", "qemu|tcp||::1|5000|/system||"},
      {"qemu+tcp://[fe80::1%25eth0]:5/", "qemu|tcp||fe80::1%eth0|5|/||"},
      {"qemu+tcp://[fe80::1%eth0]/", "qemu|tcp||fe80::1%eth0|0|/||"},
      {"qemu+tcp://h%61il/", "qemu|tcp||hail|0|/||"},
      {"qemu+tcp://1.2.3.4.5/", "qemu|tcp||1.2.3.4.5|0|/||"},
      {"qemu+tcp://h/sys%74em", "qemu|tcp||h|0|/system||"},
      {"qemu+tcp://h//system", "qemu|tcp||h|0|//system||"},
      {"qemu+tcp://h/a/../b", "qemu|tcp||h|0|/a/../b||"},
      {"qemu+tcp://h/a%20b", "qemu|tcp||h|0|/a b||"},
      {"q:/a:b@c", "q||||0|/a:b@c||"},
      {"q:///x?a=1#f?[/]%41", "q||||0|/x|(a=1)|f?[/]A"},
      {"q:?a", "q||||0||(a=)|"},
      {"q:#", "q||||0|||"},
      {"q://h?a=b", "q|||h|0||(a=b)|"},
      {"q://h#f", "q|||h|0|||f"},
  }));
  CAPTURE(c.text);
  const auto uri = parse_uri(c.text);
  REQUIRE(uri.ok());
  CHECK(shown(*uri) == c.parts);
}

TEST_CASE("parameters are split as libvirt splits them", "[conf][uri]") {
  struct Case {
    const char* query;
    const char* parameters;
  };
  const Case c = GENERATE(values<Case>({
      {"", ""},
      {"a", "(a=)"},
      {"a=", "(a=)"},
      {"a=1&b=2", "(a=1)(b=2)"},
      {"a=1;b=2", "(a=1)(b=2)"},
      {"a=1;b=2&c=3", "(a=1;b=2)(c=3)"},
      {"a=1;b=2&c=3;d=4", "(a=1;b=2)(c=3)(d=4)"},
      {"=x&&y=1", "(y=1)"},
      {"=", ""},
      {"&", ""},
      {";;", ""},
      {"a=1=2", "(a=1=2)"},
      {"a=b+c", "(a=b+c)"},
      {"%61=%26%3d", "(a=&=)"},
      {"a=1&a=2", "(a=1)(a=2)"},
      {"a?/:@=!$'()*,", "(a?/:@=!$'()*,)"},
  }));
  CAPTURE(c.query);
  const auto uri = parse_uri(std::string("q:///?") + c.query);
  REQUIRE(uri.ok());
  std::string parameters;
  for (const auto& [name, value] : uri->parameters) parameters += '(' + name + '=' + value + ')';
  CHECK(parameters == c.parameters);
}

TEST_CASE("the last parameter of a name counts, whatever its case", "[conf][uri]") {
  const auto uri = parse_uri("q:///?socket=/a&SOCKET=/b&name");
  REQUIRE(uri.ok());
  CHECK(uri->parameter("Socket") == "/b");
  CHECK(uri->parameter("name") == "");
  CHECK(uri->parameter("mode") == std::nullopt);
}

TEST_CASE("a URI that does not parse says where and why", "[conf][uri]") {
  struct Case {
    std::string text;
    std::size_t offset;
    const char* why;
  };
  using namespace std::string_literals;
  const Case c = GENERATE(values<Case>({
      {"", 0, "does not begin with a driver"},
      {"hail", 4, "does not begin with a driver"},
      {"///var/run/x", 0, "does not begin with a driver"},
      {"+tcp://h/", 0, "does not begin with a driver"},
      {"1q:///", 0, "does not begin with a driver"},
      {"q_x:///", 1, "does not begin with a driver"},
      {":///", 0, "does not begin with a driver"},
      {"qemu+://h/", 5, "no transport"},
      {"qemu+tcp://::1/system", 11, "needs brackets"},
      {"qemu+tcp://fe80::1:5/system", 15, "needs brackets"},
      {"qemu+tcp://h:5000x/system", 17, "unexpected \"x\" in the port"},
      {"qemu+tcp://h:/system", 13, "unexpected \"/\" in the port"},
      {"qemu+tcp://h:", 13, "the URI ends in the port"},
      {"qemu+tcp://h:2147483648/", 13, "the port is too large"},
      {"qemu+tcp://h:99999999999999999999999/", 13, "the port is too large"},
      {"qemu+tcp://h/a b", 14, "a space (write it as %20) in the path"},
      {"qemu+tcp://h h/", 12, "a space (write it as %20) in the host"},
      {"qemu+tcp://a@b@c/", 14, "unexpected \"@\" in the host"},
      {"qemu+tcp://[::1/", 15, "unexpected \"/\" in the address in brackets"},
      {"qemu+tcp://[::1", 15, "the URI ends in the address in brackets"},
      {"qemu+tcp://[]/", 12, "unexpected \"]\" in the empty brackets"},
      {"qemu+tcp://[::1]x/", 16, "unexpected \"x\" in the host"},
      {"qemu+tcp://[a b]/", 13, "a space"},
      {"q:///a%zz", 6, "a percent sign without two hexadecimal digits in the path"},
      {"q:///a%4", 6, "a percent sign"},
      {"q:///a%", 6, "a percent sign"},
      {"q:///?a=%zz", 8, "a percent sign without two hexadecimal digits in the parameters"},
      {"q:///?[", 6, "unexpected \"[\" in the parameters"},
      {"q:///#a#b", 7, "unexpected \"#\" in the fragment"},
      {"q:///a\nb", 6, "unexpected \"\n\" in the path"},
      {"q:///\xc3\xa9", 5, "unexpected \"\xc3\" in the path"},
      {"q:///a\0b"s, 6, "unexpected"},
      {"q:///a%00b", 6, "%00"},
      {"q+ssh://u%00@h/", 9, "%00"},
      {"q+ssh://h%00/", 9, "%00"},
      {"q:///?a%00=1", 7, "%00"},
      {"q:///?a=1&b=%00", 12, "%00"},
      {"q:///#%00", 6, "%00"},
      {"q:///" + std::string(conf::kLongestUri, 'a'), conf::kLongestUri, "longer than 16384"},
  }));
  CAPTURE(c.text);
  const auto uri = parse_uri(c.text);
  REQUIRE_FALSE(uri.ok());
  CHECK(uri.error().offset == c.offset);
  CHECK_THAT(uri.error().text, Catch::Contains(c.why));
}

TEST_CASE("the name that is sent keeps what concerns the daemon", "[conf][uri]") {
  struct Case {
    const char* text;
    const char* name;
  };
  const Case c = GENERATE(values<Case>({
      {"qemu:///system", "qemu:///system"},
      {"qemu:/system", "qemu:///system"},
      {"qemu:system", "qemu://system"},
      {"qemu+unix:", "qemu://"},
      {"xen+ssh://h/", "xen:///"},
      {"xen+ssh://h", "xen://"},
      {"QEMU+TCP://localhost/system", "QEMU:///system"},
      {"qemu+tcp://u@h:5/system", "qemu:///system"},
      {"test+tcp://h/path/to/file.xml", "test:///path/to/file.xml"},
      {"qemu+tcp://h/sys%74em", "qemu:///system"},
      {"qemu+tcp://h//system", "qemu:////system"},
      {"qemu+tcp://h/a/../system", "qemu:///a/../system"},
      {"qemu+tcp://h/a%20b", "qemu:///a%20b"},
      {"q:///a:b(c)~%e9%3f", "q:///a%3Ab(c)~%E9%3F"},
      {"qemu+tcp://h/system?foo=bar", "qemu:///system?foo=bar"},
      {"qemu+tcp://h/system?foo", "qemu:///system?foo="},
      {"qemu+tcp://h/system?foo=a%20b%26c", "qemu:///system?foo=a%20b%26c"},
      {"qemu+tcp://h/system?a=1;b=2", "qemu:///system?a=1&b=2"},
      {"qemu+tcp://h/system?a=1;b=2&c=3", "qemu:///system?a=1%3Bb%3D2&c=3"},
      {"qemu+tcp://h/system?=x&&y=1", "qemu:///system?y=1"},
      {"qemu+ssh://h/system?x=a%27b", "qemu:///system?x=a%27b"},
      {"qemu+ssh://h/system?x=%24(id)", "qemu:///system?x=%24%28id%29"},
      {"qemu+ssh://h/system?socket=/s/p';id;'", "qemu:///system?id=&'="},
      {"qemu+tcp://h/system#frag", "qemu:///system#frag"},
      {"qemu+tcp://h/system#a[/?]%20%e9", "qemu:///system#a[/?]%20%E9"},
      {"qemu+tcp://h/s?x=1#f", "qemu:///s?x=1#f"},
      {"remote://h/?x=1", ""},
      {"remote+unix:///", ""},
      {"remote+ssh://h/system?foo=bar", ""},
      {"Remote+tcp://h/", "Remote:///"},
      {"remote+unix:///?name=qemu:///system", "qemu:///system"},
      {"qemu+unix:///system?name=hostA", "hostA"},
      {"qemu+unix:///system?NAME=host%20A%2Fx&y=1", "host A/x"},
      {"qemu+unix:///system?name=", ""},
      {"qemu+unix:///system?name=a&name=b", "b"},
      {"test+unix:///d?name=qemu%2Bssh://h/system", "qemu+ssh://h/system"},
      {"qemu+tcp://h/s?no_verify=1&no_sanity=0&no_tty=1&pkipath=/x&command=/c&netcat=/n&keyfile=/k"
       "&known_hosts=/kh&known_hosts_verify=auto&sshauth=a&tls_priority=N&authfile=/a&auth=sasl"
       "&proxy=auto&mode=auto&socket=/s&keep=1",
       "qemu:///s?keep=1"},
      {"qemu+tcp://h/s?SOCKET=/s&AuthFile=/a&keep=1", "qemu:///s?keep=1"},
  }));
  CAPTURE(c.text);
  const auto uri = parse_uri(c.text);
  REQUIRE(uri.ok());
  CHECK(conf::connect_name(*uri) == c.name);
}

TEST_CASE("a URI full of separators is read in one pass", "[conf][uri]") {
  for (const char* piece : {";", "&", "a;", "a&", "%41;", "a=;"}) {
    std::string text = "q:///?";
    while (text.size() + 4 < conf::kLongestUri) text += piece;
    CAPTURE(piece);
    const auto uri = parse_uri(text);
    REQUIRE(uri.ok());
    CHECK(uri->parameters.size() <= text.size() / 2);
    CHECK(conf::connect_name(*uri).size() <= 2 * text.size());
  }
}

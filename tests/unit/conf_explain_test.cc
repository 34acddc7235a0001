// The JSON of a resolved URI always has the same keys, the text has its steps, result and notes,
// and both show hostile bytes only in printable form.
#include <nlohmann/json.hpp>

#include "conf/explain.h"
#include "tests/unit/support/catch.h"

namespace {

using Json = nlohmann::ordered_json;

conf::Resolution ask(const std::string& text) {
  conf::ClientEnvironment environment;
  environment.search_path = "/usr/bin";
  return conf::resolve({text, 0}, environment, {}, [](const std::string&) { return true; });
}

std::vector<std::string> keys_of(const Json& object) {
  std::vector<std::string> out;
  for (const auto& item : object.items()) out.push_back(item.key());
  return out;
}

const std::vector<std::string> kKeys = {"input",     "source",  "alias", "uri",        "driver",
                                        "transport", "user",    "host",  "port",       "path",
                                        "socket",    "command", "name",  "parameters", "notes"};

}  // namespace

TEST_CASE("the JSON has the same keys whatever is resolved") {
  for (const std::string text :
       {"qemu:///system", "", "qemu+ssh://u@h:22/system?x=1&socket=/s", "test:///default"}) {
    CHECK(keys_of(Json::parse(conf::as_json(ask(text)))) == kKeys);
  }
  auto with_error = kKeys;
  with_error.emplace_back("error");
  CHECK(keys_of(Json::parse(conf::as_json(ask("nope")))) == with_error);
}

TEST_CASE("the JSON's values are what was resolved, and null where there is nothing") {
  const Json ssh = Json::parse(conf::as_json(ask("qemu+ssh://u@h:23/system?x=1&socket=/s")));
  CHECK(ssh["driver"] == "qemu");
  CHECK(ssh["transport"] == "ssh");
  CHECK(ssh["user"] == "u");
  CHECK(ssh["host"] == "h");
  CHECK(ssh["port"] == 23);
  CHECK(ssh["path"] == "/system");
  CHECK(ssh["name"] == "qemu:///system?x=1");
  CHECK(ssh["command"][0] == "ssh");
  CHECK(ssh["socket"]["path"] == "/s");
  CHECK(ssh["socket"]["candidates"][0]["exists"].is_null());
  CHECK(ssh["parameters"][0] == Json({{"name", "x"}, {"value", "1"}, {"use", "passed on"}}));
  CHECK(ssh["alias"].is_null());
  const Json local = Json::parse(conf::as_json(ask("qemu:///system")));
  CHECK(local["host"].is_null());
  CHECK(local["port"].is_null());
  CHECK(local["command"].is_null());
  CHECK(local["socket"]["candidates"].size() == 2);
  CHECK(local["socket"]["candidates"][0]["exists"] == true);
  const Json nothing = Json::parse(conf::as_json(ask("")));
  CHECK(nothing["input"] == "");
  CHECK(nothing["name"] == "");
  CHECK(nothing["uri"].is_null());
  CHECK(nothing["source"] == "probing");
}

TEST_CASE("hostile bytes stay inside the JSON and the text") {
  for (const std::string text : {"qemu:///%ff%1b%5b2J?x=%c2%9b&name=%00", "\xff\x1b[2J",
                                 "qemu+unix:///%ff?socket=/%ff&name=%ff%1b%22"}) {
    const std::string json = conf::as_json(ask(text));
    CHECK(Json::accept(json));
    for (const char c : json + conf::explained(ask(text))) {
      CHECK((c == '\n' || (c >= ' ' && c <= '~')));
    }
  }
}

TEST_CASE("the explanation has the steps, the result and the notes") {
  const std::string text = conf::explained(ask("qemu+tcp://h/system?x=1"));
  for (const char* part : {"Steps:\n  1. the argument says", "\n  transport  tcp, not protected\n",
                           "\n  port       16509\n", "\n  passed on  x=1\n", "\nNotes:\n  1. ",
                           "\n  name sent  qemu:///system?x=1\n"}) {
    INFO(part);
    CHECK(text.find(part) != std::string::npos);
  }
  CHECK(conf::explained(ask("nope")).find("\nIt fails: ") != std::string::npos);
}

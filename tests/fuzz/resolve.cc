// Whatever a URI and a libvirt.conf hold, what is made of them is a result or a reason, and both
// can be shown. The first byte of the input has the conditions; then comes the URI to the end of
// its line, then libvirt.conf.
#include "conf/resolve.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/check.h"
#include "conf/explain.h"

namespace {

void check_text(const std::string& text) {
  CHECK(nlohmann::json::accept(text));
  CHECK(std::all_of(text.begin(), text.end(),
                    [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); }));
}

void check_lines(const std::string& text) {
  CHECK(std::none_of(text.begin(), text.end(),
                     [](char c) { return (c >= 0 && c < ' ' && c != '\n') || c == 0x7f; }));
}

void check_meaning(const conf::Resolution& resolution) {
  if (resolution.error) {
    CHECK(!resolution.error->empty());
    return;
  }
  CHECK(!resolution.source.empty() && !resolution.steps.empty());
  CHECK(resolution.name.has_value() == !resolution.transport.empty());
  if (resolution.transport == "unix") CHECK(resolution.socket && !resolution.candidates.empty());
  if (resolution.transport == "ssh") CHECK(resolution.command.size() >= 7);
  if (resolution.transport == "tcp" || resolution.transport == "tls") {
    CHECK(resolution.port != 0 && !resolution.host.empty());
  }
  CHECK(resolution.parameters.size() == resolution.parsed.parameters.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const unsigned conditions = data[0];
  const std::string_view text = base::text_of({data + 1, size - 1});
  const std::size_t end = std::min(text.find('\n'), text.size());
  const auto libvirt = conf::parse_libvirt_conf(text.substr(std::min(end + 1, text.size())));
  if (!libvirt) return 0;
  conf::ClientEnvironment environment;
  environment.process.uid = (conditions & 1U) != 0 ? 1000 : 0;
  environment.process.home = "/home/someone";
  environment.search_path = "/bin:/usr/bin";
  conf::UriQuestion question;
  question.text = std::string(text.substr(0, end));
  question.flags = conditions >> 1U & 3U;
  if ((conditions & 8U) != 0) question.text.reset();
  const bool exist = (conditions & 16U) != 0;
  const auto exists = [exist](const std::string&) { return exist; };
  const conf::Resolution resolution = conf::resolve(question, environment, *libvirt, exists);
  check_meaning(resolution);
  check_text(conf::as_json(resolution));
  check_lines(conf::explained(resolution));
  return 0;
}

#include "proxy/command_text.h"

#include <cstdio>

#include "base/text.h"

namespace proxy {
namespace {

constexpr std::size_t kLongest = 4096;

}  // namespace

void complain(std::string_view text) {
  std::fprintf(stderr, "virtgate: %s\n", base::printable(text, kLongest).c_str());
}

bool complain(const std::vector<conf::Mistake>& mistakes) {
  for (const conf::Mistake& mistake : mistakes) complain(conf::to_string(mistake));
  return !mistakes.empty();
}

}  // namespace proxy

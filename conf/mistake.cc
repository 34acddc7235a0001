#include "conf/mistake.h"

#include "base/text.h"

namespace conf {

std::string to_string(const Mistake& mistake) {
  const auto& [file, line, column] = mistake.position;
  std::string out;
  if (!file.empty()) out += base::shortened(file) + ':';
  if (line != 0) out += std::to_string(line) + ':';
  if (column != 0) out += std::to_string(column) + ':';
  return out.empty() ? mistake.text : out + ' ' + mistake.text;
}

}  // namespace conf

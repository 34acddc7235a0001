#include "tunnel/armour.h"

namespace tunnel {

std::optional<Armour> find_armour(std::string_view text, std::size_t from) {
  constexpr std::string_view kBegin = "-----BEGIN ";
  const std::size_t begins = text.find(kBegin, from);
  if (begins == std::string_view::npos) return std::nullopt;
  text.remove_prefix(begins + kBegin.size());
  const std::size_t dashes = text.find("-----");
  if (dashes == std::string_view::npos) return std::nullopt;
  const std::string_view label = text.substr(0, dashes);
  text.remove_prefix(dashes + 5);
  const std::size_t end = text.find("-----END ");
  if (end == std::string_view::npos) return std::nullopt;
  return Armour{label, text.substr(0, end), begins};
}

std::optional<Armour> find_key_armour(std::string_view text) {
  const auto first = find_armour(text, 0);
  auto block = first;
  while (block && !block->label.ends_with("PRIVATE KEY")) {
    block = find_armour(text, block->begins + 1);
  }
  return block ? block : first;
}

}  // namespace tunnel

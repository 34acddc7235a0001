// The blocks of text in which certificates and keys come, as RFC 7468 has them.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace tunnel {

// What lies between "-----BEGIN LABEL-----" and its end mark. It points into the text.
struct Armour {
  std::string_view label;
  std::string_view body;
  std::size_t begins = 0;  // in the whole text
};

std::optional<Armour> find_armour(std::string_view text, std::size_t from);

// The first block that is a private key, else the first one.
std::optional<Armour> find_key_armour(std::string_view text);

}  // namespace tunnel

// Where in libvirt's descriptions values are that a rule can cut, and what stands there instead.
// The places are those of libvirt's schemas, up to 11.3.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "policy/redact/hidden.h"

namespace policy {

// What becomes of a value. Each leaves a description that libvirt's schemas take.
enum class Cut : std::uint8_t {
  text,     // "redacted", or a path or a vmware path of that name where there was one
  path,     // the same, and only of what is a path
  zero,     // "0"
  hex,      // "0x0"
  wwn,      // a name of the world with zeros
  uuid,     // a UUID with zeros
  drop,     // the attribute is not there, or the element with all that is within
  by_type,  // likewise of a <sysinfo> whose type is that of the class
};

struct Place {
  // `where` names elements from the outside in, as "os/kernel"; a leading slash stands for the
  // outside of the description. Behind the last one: "@name", an attribute; "#", the text; nothing:
  // the element itself.
  constexpr Place(std::string_view where, Hidden what, Cut how)
      : path(where), hidden(what), cut(how) {
    const std::size_t end = std::min(where.find_first_of("@#"), where.size());
    elements = where.substr(0, end);
    part = where.substr(end);
    if (part.starts_with('@')) part.remove_prefix(1);
    element = elements.substr(elements.rfind('/') + 1);
    steps = static_cast<std::size_t>(std::ranges::count(elements, '/'));
  }

  std::string_view path;
  Hidden hidden;
  Cut cut;
  std::string_view elements;  // of `path`
  std::string_view element;   // the last one
  std::string_view part;      // an attribute's name, or "#", or nothing
  std::size_t steps;          // slashes: how much is said of what is around it
};

// All of them, in the order of their last element's name.
std::span<const Place> places();

// Those in elements of that name.
std::span<const Place> places_in(std::string_view element);

// Whether `place` is of an element that has these around it, the outermost first, itself the last.
bool is_at(const Place& place, std::span<const std::string_view> elements);

// What stands in place of `value`, as it is written in the description; a view of what lives as
// long as the program.
std::string_view stand_in(Cut cut, std::string_view value);

}  // namespace policy

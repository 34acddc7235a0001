// The descriptions in tests/unit/descriptions: each is what libvirt's schemas take, and has a mark
// wherever there is a value that a rule can hide.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/redact/hidden.h"

namespace test {

struct Description {
  std::string file;  // without its folder
  std::string root;
  std::string schema;  // its file; empty: there is none
  std::string text;
};

std::vector<Description> descriptions();

// What values of the class have in them, in those descriptions.
std::vector<std::string> marks_of(policy::Hidden hidden);

bool has_mark(std::string_view text, policy::Hidden hidden);

// What libvirt's schema says against it; empty: nothing, or this system has no schemas.
std::string objection_of_schema(const Description& description, const std::string& text);

}  // namespace test

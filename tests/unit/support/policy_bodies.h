// Arguments made from signatures, for tests that go through the whole table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "policy/message.h"
#include "policy/procedures.h"

namespace test {

struct Body {
  struct Number {
    const policy::ArgumentSpec* spec;
    std::size_t offset;
  };
  struct Text {
    std::size_t offset;  // of its length word
    std::size_t size;
  };
  base::Buffer bytes;
  std::vector<Number> numbers;  // the single ones
  std::vector<std::size_t> counts;
  std::vector<std::size_t> discriminators;
  std::vector<Text> texts;
};

// Arguments that pass, with optionals present or not. Arrays have two elements, which differ.
Body body_of(const policy::Procedure& procedure, bool optionals = true);

// The same with other values for the arguments of these names; a name that is not there is a bug.
struct Value {
  const char* name;
  std::int64_t value;
};
base::Buffer body_with(const policy::Procedure& procedure, const std::vector<Value>& values);

policy::Header call_of(const policy::Procedure& procedure);

// Every row of the three programs.
std::vector<const policy::Procedure*> all_procedures();

}  // namespace test

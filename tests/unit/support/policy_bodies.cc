#include "tests/unit/support/policy_bodies.h"

#include "base/check.h"
#include "policy/xdr.h"

namespace test {
namespace {

using policy::Field;
using policy::Shape;
using policy::Values;

std::uint32_t good_number(const policy::ArgumentSpec& spec) {
  switch (spec.values) {
    case Values::range:
      return static_cast<std::uint32_t>(spec.number[0] < 1 ? 1 : spec.number[0]);
    case Values::set:
      return static_cast<std::uint32_t>(spec.number[spec.set_size - 1U]);
    case Values::mask:
      return static_cast<std::uint32_t>(spec.number[0]);
    case Values::any:
      break;
  }
  return 1;
}

void write_value(const policy::ArgumentSpec& spec, std::uint32_t element, Body& body) {
  policy::XdrWriter writer(body.bytes);
  const policy::Layout& layout = policy::layout_of(spec.type);
  for (std::size_t i = 0; i < layout.count; ++i) {
    switch (layout.fields[i]) {
      case Field::int_:
      case Field::uint:
        if (layout.count == 1 && spec.shape == Shape::single) {
          body.numbers.push_back({&spec, body.bytes.size()});
        }
        writer.word(good_number(spec) + element);
        break;
      case Field::string:
        body.texts.push_back({body.bytes.size(), 6});
        writer.string("some-1");
        break;
      case Field::document:
        body.texts.push_back({body.bytes.size(), 13});
        writer.string("<cpu>\n</cpu>\n");
        break;
      case Field::uuid:
        writer.fixed(base::Buffer(16, static_cast<std::uint8_t>(0xab + element)));
        break;
    }
  }
}

}  // namespace

Body body_of(const policy::Procedure& procedure, bool optionals) {
  Body body;
  for (const policy::ArgumentSpec& spec : procedure.arguments.specs()) {
    std::uint32_t count = 1;
    if (spec.shape == Shape::optional) {
      body.discriminators.push_back(body.bytes.size());
      policy::XdrWriter(body.bytes).optional(optionals);
      count = optionals ? 1 : 0;
    } else if (spec.shape == Shape::array) {
      count = 2;
      body.counts.push_back(body.bytes.size());
      policy::XdrWriter(body.bytes).word(count);
    }
    for (std::uint32_t i = 0; i < count; ++i) write_value(spec, i, body);
  }
  return body;
}

base::Buffer body_with(const policy::Procedure& procedure, const std::vector<Value>& values) {
  Body body = body_of(procedure);
  for (const Value& value : values) {
    bool found = false;
    for (const Body::Number& number : body.numbers) {
      if (number.spec->name != value.name) continue;
      policy::store_word(&body.bytes[number.offset], static_cast<std::uint32_t>(value.value));
      found = true;
    }
    CHECK(found);
  }
  return body.bytes;
}

policy::Header call_of(const policy::Procedure& procedure) {
  return {.program = procedure.program, .procedure = procedure.number, .serial = 7};
}

std::vector<const policy::Procedure*> all_procedures() {
  std::vector<const policy::Procedure*> all;
  for (const std::uint32_t program :
       {policy::kRemoteProgram, policy::kQemuProgram, policy::kLxcProgram}) {
    for (const policy::Procedure& row : policy::procedures_of(program)) all.push_back(&row);
  }
  return all;
}

}  // namespace test

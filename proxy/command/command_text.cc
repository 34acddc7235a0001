#include "proxy/command/command_text.h"

#include <cstdio>
#include <random>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/text.h"
#include "conf/mask.h"

namespace proxy {
namespace {

constexpr std::size_t kLongest = 4096;

Discretion*& discretion() {
  static Discretion* one = nullptr;
  return one;
}

std::string random_reference() { return fmt::format("{:06x}", std::random_device{}() & 0xffffffU); }

}  // namespace

Discretion::Discretion(Log& log) : log_(log), reference_(random_reference()) {
  CHECK(discretion() == nullptr);
  discretion() = this;
}

Discretion::~Discretion() { discretion() = nullptr; }

void Discretion::note(std::string_view event, std::string_view text) {
  log_.line(Level::warning, event).with("reason", conf::masked(text)).with("reference", reference_);
}

void Discretion::withhold(std::string_view text) {
  note("bridge-failed", text);
  if (std::exchange(said_, true)) return;
  say("this bridge cannot be used as it is set up; ask your administrator (reference " +
      reference_ + ")");
}

void complain(std::string_view text) {
  if (discretion() != nullptr) return discretion()->withhold(text);
  say(text);
}

void remark(std::string_view text) {
  if (discretion() != nullptr) return discretion()->note("bridge-note", text);
  say(text);
}

void say(std::string_view text) {
  std::fprintf(stderr, "virtgate: %s\n", base::printable(conf::masked(text), kLongest).c_str());
}

int wrong_choice(const std::string& text) {
  complain(text);
  return kUsedWrongly;
}

bool complain(const std::vector<conf::Mistake>& mistakes) {
  for (const conf::Mistake& mistake : mistakes) complain(conf::to_string(mistake));
  return !mistakes.empty();
}

}  // namespace proxy

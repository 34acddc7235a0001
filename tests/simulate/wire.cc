// Each answer and event carries its number, so a reply shows which answer of which daemon it is.
#include "tests/simulate/wire.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include <fmt/format.h>

#include "base/check.h"
#include "policy/xdr.h"
#include "tests/simulate/trace.h"

namespace simulate {

using policy::Remote;
using policy::XdrReader;
using policy::XdrWriter;

namespace {

constexpr std::string_view kAnswer = "answer ";
constexpr std::string_view kEvent = "event ";
constexpr std::uint32_t kStringParameter = 7;  // VIR_TYPED_PARAM_STRING
constexpr std::uint8_t kNoWait = 0x20;         // in the first byte of the flags

void hyper(XdrWriter& to, std::uint64_t value) {
  to.word(static_cast<std::uint32_t>(value >> 32U));
  to.word(static_cast<std::uint32_t>(value));
}

bool read_hyper(XdrReader& from, std::uint64_t& value) {
  std::uint32_t high = 0;
  std::uint32_t low = 0;
  if (!from.word(high) || !from.word(low)) return false;
  value = std::uint64_t{high} << 32U | low;
  return true;
}

std::optional<std::uint64_t> number_behind(std::string_view mark, std::string_view text) {
  const std::size_t at = text.find(mark);
  if (at == std::string_view::npos) return std::nullopt;
  text.remove_prefix(at + mark.size());
  std::uint64_t out = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), out);
  if (end.ec != std::errc()) return std::nullopt;
  return out;
}

// Kinds of calls about a machine; the last of them have flags.
constexpr Remote kOthers[] = {
    Remote::DOMAIN_GET_OS_TYPE,        Remote::DOMAIN_GET_AUTOSTART,
    Remote::DOMAIN_GET_MAX_MEMORY,     Remote::DOMAIN_GET_MAX_VCPUS,
    Remote::DOMAIN_IS_ACTIVE,          Remote::DOMAIN_IS_PERSISTENT,
    Remote::DOMAIN_GET_SCHEDULER_TYPE, Remote::DOMAIN_IS_UPDATED,
    Remote::DOMAIN_GET_AUTOSTART_ONCE, Remote::DOMAIN_GET_XML_DESC,
    Remote::DOMAIN_GET_STATE,          Remote::DOMAIN_HAS_MANAGED_SAVE_IMAGE,
};
constexpr std::size_t kWithoutFlags = 9;

bool is_other(Remote procedure) {
  return std::ranges::find(kOthers, procedure) != std::end(kOthers);
}

bool answers_with_document(Remote procedure) {
  return procedure == Remote::DOMAIN_GET_XML_DESC || procedure == Remote::DOMAIN_GET_OS_TYPE ||
         procedure == Remote::CONNECT_GET_HOSTNAME || procedure == Remote::CONNECT_GET_CAPABILITIES;
}

std::string uuid_of(Subject machine) {
  std::string out = "a machine's uuid";
  out[15] = static_cast<char>(machine);
  return out;
}

std::optional<Subject> machine_in(base::Bytes body) {
  constexpr std::string_view kBegin = "a machine's uui";
  const std::string_view text = base::text_of(body);
  const std::size_t at = text.find(kBegin);
  if (at == std::string_view::npos || at + kBegin.size() >= text.size()) return std::nullopt;
  return static_cast<Subject>(text[at + kBegin.size()]);
}

}  // namespace

std::string machine_name(Subject machine) { return fmt::format("m{}", machine); }

base::Buffer machine(Subject number, std::string_view name) {
  base::Buffer out;
  XdrWriter writer(out);
  writer.string(name);
  writer.fixed(base::bytes_of(uuid_of(number)));
  writer.number(number + 1);
  return out;
}

Question ask_machine(Subject number, std::uint64_t choice, std::string_view name) {
  Question out;
  out.subject = number;
  const std::string usual = machine_name(number);
  out.body = machine(number, name.empty() ? std::string_view(usual) : name);
  switch (choice % 4) {
    case 0:
      out.procedure = Remote::DOMAIN_GET_XML_DESC;
      XdrWriter(out.body).word(0);
      break;
    case kAskInfo:
      out.procedure = Remote::DOMAIN_GET_INFO;
      break;
    case 2:
      out.procedure = Remote::DOMAIN_GET_OS_TYPE;
      break;
    default:
      out.procedure = Remote::DOMAIN_GET_XML_DESC;
      XdrWriter(out.body).word(2);
      break;
  }
  return out;
}

Question ask_machine_else(Subject number, std::uint64_t choice, std::string_view name) {
  Question out;
  out.subject = number;
  const std::string usual = machine_name(number);
  out.body = machine(number, name.empty() ? std::string_view(usual) : name);
  const std::size_t which = choice % std::size(kOthers);
  out.procedure = kOthers[which];
  if (which >= kWithoutFlags) XdrWriter(out.body).word(0);
  return out;
}

Question ask_host(std::uint64_t choice) {
  Question out;
  out.procedure = choice % 3 == 0 ? Remote::CONNECT_GET_CAPABILITIES : Remote::CONNECT_GET_HOSTNAME;
  return out;
}

Question ask_sweep(std::uint64_t choice) {
  Question out;
  out.subject = kSweep;
  out.procedure =
      choice % 2 == 0 ? Remote::CONNECT_GET_ALL_DOMAIN_STATS : Remote::CONNECT_LIST_ALL_DOMAINS;
  XdrWriter writer(out.body);
  if (choice % 2 == 0) {
    writer.word(0);  // of all machines
    writer.word(1U << (choice % 3));
    writer.word(0);
  } else {
    writer.word(1);
    writer.word(static_cast<std::uint32_t>(choice % 3));
  }
  return out;
}

std::optional<Subject> subject_of(std::int32_t procedure, base::Bytes body) {
  switch (static_cast<Remote>(procedure)) {
    case Remote::DOMAIN_GET_XML_DESC:
    case Remote::DOMAIN_GET_INFO:
    case Remote::DOMAIN_GET_OS_TYPE:
      return machine_in(body);
    case Remote::CONNECT_GET_HOSTNAME:
    case Remote::CONNECT_GET_CAPABILITIES:
      return kHost;
    case Remote::CONNECT_GET_ALL_DOMAIN_STATS:
    case Remote::CONNECT_LIST_ALL_DOMAINS:
      return kSweep;
    default:
      if (is_other(static_cast<Remote>(procedure))) return machine_in(body);
      return std::nullopt;
  }
}

bool is_nowait(std::int32_t procedure, base::Bytes body) {
  return static_cast<Remote>(procedure) == Remote::CONNECT_GET_ALL_DOMAIN_STATS &&
         body.size() >= 4 && (body[body.size() - 4] & kNoWait) != 0;
}

bool is_of_states(std::int32_t procedure, base::Bytes body) {
  return static_cast<Remote>(procedure) == Remote::CONNECT_GET_ALL_DOMAIN_STATS &&
         body.size() >= 8 && policy::load_word(body.data() + body.size() - 8) == 1;
}

std::optional<std::size_t> asker_of(base::Bytes body) {
  const auto number = number_behind("-c", base::text_of(body));
  return number ? std::optional<std::size_t>(*number) : std::nullopt;
}

std::uint64_t identity(std::int32_t procedure, base::Bytes body) {
  base::Buffer plain(body.begin(), body.end());
  if (is_nowait(procedure, body)) plain[body.size() - 4] ^= kNoWait;
  return fnv(plain, static_cast<std::uint64_t>(procedure) * 0x9e3779b97f4a7c15U);
}

base::Buffer encode_answer(std::int32_t procedure, std::uint64_t answer, std::size_t padding) {
  base::Buffer out;
  XdrWriter writer(out);
  const auto which = static_cast<Remote>(procedure);
  const std::string text = fmt::format("{}{}", kAnswer, answer);
  if (answers_with_document(which)) {
    const bool pads =
        which == Remote::CONNECT_GET_CAPABILITIES || which == Remote::DOMAIN_GET_XML_DESC;
    writer.string(text + " " + std::string(pads ? padding : 0, 'x'));
  } else if (which == Remote::DOMAIN_GET_INFO) {
    writer.word(1);
    hyper(writer, answer);
    hyper(writer, answer);
    writer.word(1);
    hyper(writer, 0);
  } else if (which == Remote::DOMAIN_GET_SCHEDULER_TYPE) {
    writer.string(text);
    writer.word(1);
  } else if (which == Remote::DOMAIN_GET_MAX_MEMORY) {
    hyper(writer, answer);
  } else if (is_other(which)) {
    writer.word(static_cast<std::uint32_t>(answer));
    if (which == Remote::DOMAIN_GET_STATE) writer.word(0);
  } else if (which == Remote::CONNECT_LIST_ALL_DOMAINS) {
    writer.word(1);
    base::append(out, machine(0, text));
    writer.word(1);
  } else if (which == Remote::CONNECT_GET_ALL_DOMAIN_STATS) {
    writer.word(1);
    base::append(out, machine(0, text));
    writer.word(1);
    writer.string("state.reason");
    writer.word(kStringParameter);
    writer.string(text);
  } else {
    const bool has_answer = false;
    CHECK(has_answer);
  }
  return out;
}

std::optional<std::uint64_t> decode_answer(std::int32_t procedure, base::Bytes body) {
  const auto which = static_cast<Remote>(procedure);
  XdrReader reader(body);
  std::uint32_t word = 0;
  std::uint64_t answer = 0;
  if (which == Remote::DOMAIN_GET_INFO || which == Remote::DOMAIN_GET_MAX_MEMORY) {
    if (which == Remote::DOMAIN_GET_INFO && !reader.word(word)) return std::nullopt;
    return read_hyper(reader, answer) ? std::optional(answer) : std::nullopt;
  }
  if (answers_with_document(which) || !is_other(which) ||
      which == Remote::DOMAIN_GET_SCHEDULER_TYPE) {
    return number_behind(kAnswer, base::text_of(body));
  }
  return reader.word(word) ? std::optional<std::uint64_t>(word) : std::nullopt;
}

std::string error_text(std::uint64_t answer) {
  return fmt::format("the simulated daemon has no such machine, {}{}", kAnswer, answer);
}

std::optional<std::uint64_t> answer_of_error(std::string_view text) {
  return number_behind(kAnswer, text);
}

base::Buffer encode_event(std::int32_t message, Subject which, std::uint64_t event) {
  base::Buffer out = machine(which, fmt::format("{}{}", kEvent, event));
  XdrWriter writer(out);
  if (message == static_cast<std::int32_t>(Remote::DOMAIN_EVENT_CALLBACK_LIFECYCLE)) {
    writer.number(2);
    writer.number(0);
  }
  return out;
}

std::optional<std::uint64_t> decode_event(base::Bytes rest) {
  return number_behind(kEvent, base::text_of(rest));
}

}  // namespace simulate

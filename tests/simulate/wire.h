// The questions that simulated clients ask, and answers to them that say which answer they are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "policy/procedures.h"

namespace simulate {

// What a call is about: a machine by its number, or one of these.
using Subject = int;
inline constexpr Subject kHost = -1;
inline constexpr Subject kSweep = -2;

struct Question {
  policy::Remote procedure = policy::Remote::CONNECT_GET_HOSTNAME;
  Subject subject = kHost;
  base::Buffer body;
};

// Which of those there are: by the subject and a number for the choice among them. `name` of the
// machine makes the question one that nobody else asks.
constexpr std::uint64_t kAskInfo = 1;  // the choice that is DOMAIN_GET_INFO
Question ask_machine(Subject machine, std::uint64_t choice, std::string_view name);
// The same of calls of many other kinds, none of which is for DOMAIN_GET_INFO.
Question ask_machine_else(Subject machine, std::uint64_t choice, std::string_view name);
Question ask_host(std::uint64_t choice);
// The choices that are statistics of states, of processors, and how many differ.
constexpr std::uint64_t kAskStates = 0;
constexpr std::uint64_t kAskCpus = 2;
constexpr std::uint64_t kSweeps = 6;
Question ask_sweep(std::uint64_t choice);
// The subject of a call as the daemon finds it in the arguments; nothing: no client asks that.
std::optional<Subject> subject_of(std::int32_t procedure, base::Bytes body);
// Whether statistics are asked for without waiting for machines that hang, which the gate may add.
bool is_nowait(std::int32_t procedure, base::Bytes body);
// Statistics that tell nothing but states, for which a daemon waits for no machine.
bool is_of_states(std::int32_t procedure, base::Bytes body);
// The number of the client that asked, where nobody else asks that.
std::optional<std::size_t> asker_of(base::Bytes body);
// Of a question, the same for the same bytes, whatever the gate adds.
std::uint64_t identity(std::int32_t procedure, base::Bytes body);

std::string machine_name(Subject machine);
// An encoded domain.
base::Buffer machine(Subject number, std::string_view name);

// The number of an answer as the reply to a call of `procedure`, and back. What is filled up with
// `padding` bytes is the procedures that answer with a document.
base::Buffer encode_answer(std::int32_t procedure, std::uint64_t answer, std::size_t padding);
std::optional<std::uint64_t> decode_answer(std::int32_t procedure, base::Bytes body);
// The same of an error of the daemon's.
std::string error_text(std::uint64_t answer);
std::optional<std::uint64_t> answer_of_error(std::string_view text);

// The same of an event: the body behind the callback id.
base::Buffer encode_event(std::int32_t message, Subject machine, std::uint64_t event);
std::optional<std::uint64_t> decode_event(base::Bytes rest);

}  // namespace simulate

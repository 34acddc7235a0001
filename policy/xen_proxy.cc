#include "policy/xen_proxy.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/check.h"
#include "policy/libvirt.h"

namespace policy {
namespace {

constexpr std::int32_t kFailed = -1;
constexpr std::int32_t kTooLong = -2;
constexpr std::uint32_t kMostIds = kMostXenExtra / sizeof(std::int32_t);
constexpr std::size_t kModelSize = 32;

struct Plan {
  Remote procedure;
  bool of_domain = false;  // its argument is a domain, which the client names by its id
};

Plan plan_of(XenCommand command) {
  switch (command) {
    case XenCommand::none:
      break;
    case XenCommand::version:
      return {Remote::CONNECT_GET_VERSION};
    case XenCommand::node_info:
      return {Remote::NODE_GET_INFO};
    case XenCommand::list:
      return {Remote::CONNECT_LIST_DOMAINS};
    case XenCommand::num_domain:
      return {Remote::CONNECT_NUM_OF_DOMAINS};
    case XenCommand::lookup_id:
      return {Remote::DOMAIN_LOOKUP_BY_ID};
    case XenCommand::lookup_uuid:
      return {Remote::DOMAIN_LOOKUP_BY_UUID};
    case XenCommand::lookup_name:
      return {Remote::DOMAIN_LOOKUP_BY_NAME};
    case XenCommand::max_memory:
      return {Remote::DOMAIN_GET_MAX_MEMORY, true};
    case XenCommand::domain_info:
      return {Remote::DOMAIN_GET_INFO, true};
    case XenCommand::domain_xml:
      return {Remote::DOMAIN_GET_XML_DESC, true};
    case XenCommand::domain_os_type:
      return {Remote::DOMAIN_GET_OS_TYPE, true};
    case XenCommand::capabilities:
      return {Remote::CONNECT_GET_CAPABILITIES};
  }
  CHECK(command != XenCommand::none);
  return {Remote::CONNECT_OPEN};
}

bool read_hyper(XdrReader& body, std::uint64_t& value) {
  std::uint32_t high = 0;
  std::uint32_t low = 0;
  if (!body.word(high) || !body.word(low)) return false;
  value = std::uint64_t{high} << 32U | low;
  return true;
}

bool read_number(XdrReader& body, std::int32_t& value) {
  std::uint32_t word = 0;
  if (!body.word(word)) return false;
  value = static_cast<std::int32_t>(word);
  return true;
}

// The client takes it as a C string.
bool read_text(XdrReader& body, std::string_view& text) {
  return body.string(text) && text.find('\0') == std::string_view::npos;
}

}  // namespace

void XenProxy::feed(base::Bytes bytes) {
  reader_.feed(bytes);
  take_next();
}

void XenProxy::take_next() {
  if (asking()) return;
  std::optional<XenRequest> request = reader_.next();
  if (!request) return;
  request_ = *std::move(request);
  if (open_) return proceed();
  base::Buffer body;
  XdrWriter writer(body);
  writer.optional(false);
  writer.word(kReadOnly);
  ask(Remote::CONNECT_OPEN, body, Step::opening);
}

void XenProxy::proceed() {
  if (request_.command == XenCommand::none) {
    step_ = Step::pinging;
    return base::append(calls_, keepalive_frame(Keepalive::ping));
  }
  const Plan plan = plan_of(request_.command);
  base::Buffer body;
  XdrWriter writer(body);
  if (request_.command == XenCommand::list) {
    writer.word(kMostIds);
  } else if (request_.command == XenCommand::lookup_uuid) {
    writer.fixed(request_.extra);
  } else if (request_.command == XenCommand::lookup_name) {
    writer.string(base::text_of(request_.extra));
  } else if (plan.of_domain || request_.command == XenCommand::lookup_id) {
    writer.number(request_.argument);
  }
  if (plan.of_domain) return ask(Remote::DOMAIN_LOOKUP_BY_ID, body, Step::looking_up);
  ask(plan.procedure, body, Step::calling);
}

void XenProxy::ask(Remote procedure, base::Bytes body, Step step) {
  step_ = step;
  call_.procedure = static_cast<std::int32_t>(procedure);
  ++call_.serial;
  append_frame(calls_, call_, body);
}

bool XenProxy::answers(const Header& header) const {
  if (step_ == Step::pinging) {
    return header.program == kKeepaliveProgram && header.procedure == number(Keepalive::pong);
  }
  return header.is(Type::reply) && header.program == call_.program &&
         header.procedure == call_.procedure && header.serial == call_.serial;
}

void XenProxy::answer(const Frame& message) {
  if (!asking() || !answers(message.header)) return;
  on_reply(message);
  take_next();
}

void XenProxy::on_reply(const Frame& reply) {
  if (step_ == Step::pinging) return finish(begin_answer());
  if (!reply.header.is(Status::ok)) return tell_failure();
  XdrReader body(reply.body);
  switch (step_) {
    case Step::opening:
      open_ = true;
      return proceed();
    case Step::looking_up:
      if (!ask_of_domain(body)) tell_failure();
      return;
    default:
      if (!tell(body)) tell_failure();
  }
}

void XenProxy::give_up() {
  if (asking()) tell_failure();
}

bool XenProxy::read_domain(XdrReader& body, Domain& domain) {
  return read_text(body, domain.name) && body.fixed(kUuidSize, domain.uuid) &&
         read_number(body, domain.id) && body.left() == 0;
}

bool XenProxy::ask_of_domain(XdrReader& body) {
  Domain domain;
  if (!read_domain(body, domain)) return false;
  base::Buffer arguments;
  XdrWriter writer(arguments);
  writer.string(domain.name);
  writer.fixed(domain.uuid);
  writer.number(domain.id);
  if (request_.command == XenCommand::domain_xml) writer.word(0);
  ask(plan_of(request_.command).procedure, arguments, Step::calling);
  return true;
}

bool XenProxy::tell(XdrReader& body) {
  switch (request_.command) {
    case XenCommand::none:
      return false;
    case XenCommand::version:
    case XenCommand::max_memory:
      return tell_long(body);
    case XenCommand::node_info:
      return tell_node(body);
    case XenCommand::list:
      return tell_list(body);
    case XenCommand::num_domain:
      return tell_int(body);
    case XenCommand::lookup_id:
    case XenCommand::lookup_uuid:
    case XenCommand::lookup_name:
      return tell_domain(body);
    case XenCommand::domain_info:
      return tell_info(body);
    case XenCommand::domain_xml:
    case XenCommand::domain_os_type:
    case XenCommand::capabilities:
      return tell_text(body);
  }
  return false;
}

bool XenProxy::tell_long(XdrReader& body) {
  std::uint64_t value = 0;
  XenAnswer answer = begin_answer();
  if (!read_hyper(body, value) || body.left() != 0 || !answer.set_long(value)) return false;
  finish(answer);
  return true;
}

bool XenProxy::tell_int(XdrReader& body) {
  std::int32_t value = 0;
  if (!read_number(body, value) || body.left() != 0) return false;
  XenAnswer answer = begin_answer();
  answer.set_int(value);
  finish(answer);
  return true;
}

// virNodeInfo: char model[32], unsigned long memory, and unsigned int cpus, mhz, nodes, sockets,
// cores, threads. On the wire each character of the model is a word.
bool XenProxy::tell_node(XdrReader& body) {
  XenAnswer answer = begin_answer();
  const std::size_t size = answer.long_size();
  constexpr std::size_t kNumbers = 6;
  XenStructure info(kModelSize + size + kNumbers * sizeof(std::uint32_t));
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < kModelSize; ++i) {
    if (!body.word(word)) return false;
    if (i + 1 < kModelSize) info.put_byte(i, static_cast<std::uint8_t>(word));
  }
  std::uint64_t memory = 0;
  if (!read_hyper(body, memory) || !info.put_long(kModelSize, memory, size)) return false;
  for (std::size_t i = 0; i < kNumbers; ++i) {
    if (!body.word(word)) return false;
    info.put_int(kModelSize + size + i * sizeof word, word);
  }
  if (body.left() != 0) return false;
  answer.set_int(0);
  answer.add(info.bytes());
  finish(answer);
  return true;
}

bool XenProxy::tell_list(XdrReader& body) {
  std::uint32_t count = 0;
  if (!body.word(count) || count > kMostIds || body.left() != count * sizeof count) return false;
  XenStructure ids(count * sizeof count);
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t id = 0;
    if (!body.word(id)) return false;
    ids.put_int(i * sizeof id, id);
  }
  XenAnswer answer = begin_answer();
  answer.set_int(static_cast<std::int32_t>(count));
  answer.add(ids.bytes());
  finish(answer);
  return true;
}

bool XenProxy::tell_domain(XdrReader& body) {
  Domain domain;
  if (!read_domain(body, domain) || domain.id < 0) return false;
  XenAnswer answer = begin_answer();
  if (request_.command != XenCommand::lookup_id) answer.set_int(domain.id);
  if (request_.command != XenCommand::lookup_uuid) answer.add(domain.uuid);
  if (request_.command != XenCommand::lookup_name) {
    constexpr std::array<std::uint8_t, 1> kNul{};
    answer.add(base::bytes_of(domain.name.substr(0, kLongestXenName)));
    answer.add(kNul);
  }
  finish(answer);
  return true;
}

// virDomainInfo: unsigned char state, unsigned long maxMem, memory, unsigned short nrVirtCpu,
// unsigned long long cpuTime. Each of them begins where another long would.
bool XenProxy::tell_info(XdrReader& body) {
  std::uint32_t state = 0;
  std::uint64_t most = 0;
  std::uint64_t memory = 0;
  std::uint32_t cpus = 0;
  std::uint64_t time = 0;
  if (!body.word(state) || !read_hyper(body, most) || !read_hyper(body, memory) ||
      !body.word(cpus) || !read_hyper(body, time) || body.left() != 0 || state > UINT8_MAX ||
      cpus > UINT16_MAX) {
    return false;
  }
  XenAnswer answer = begin_answer();
  const std::size_t size = answer.long_size();
  XenStructure info(4 * size + sizeof time);
  info.put_byte(0, static_cast<std::uint8_t>(state));
  if (!info.put_long(size, most, size) || !info.put_long(2 * size, memory, size)) return false;
  info.put_short(3 * size, static_cast<std::uint16_t>(cpus));
  info.put_long_long(4 * size, time);
  answer.add(info.bytes());
  finish(answer);
  return true;
}

bool XenProxy::tell_text(XdrReader& body) {
  std::string_view text;
  if (!read_text(body, text) || body.left() != 0) return false;
  XenAnswer answer = begin_answer();
  const bool fits = text.size() <= kMostXenExtra;
  answer.set_int(fits ? 0 : kTooLong);
  if (fits) answer.add(base::bytes_of(text));
  finish(answer);
  return true;
}

void XenProxy::tell_failure() {
  XenAnswer answer = begin_answer();
  switch (request_.command) {
    case XenCommand::none:
      break;
    case XenCommand::version:
    case XenCommand::max_memory:
      static_cast<void>(answer.set_long(0));
      break;
    case XenCommand::list:
      answer.set_int(0);
      break;
    default:
      answer.set_int(kFailed);
  }
  finish(answer);
}

void XenProxy::finish(const XenAnswer& answer) {
  step_ = Step::idle;
  base::append(packets_, answer.packet());
}

}  // namespace policy

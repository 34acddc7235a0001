#include "tests/unit/support/xen_proxy_scene.h"

#include <cstring>

#include "base/check.h"
#include "policy/procedures.h"
#include "policy/xdr.h"

namespace test {

using policy::Remote;
using policy::XdrReader;
using policy::XdrWriter;

namespace {

template <typename Value>
void append_value(std::string& to, Value value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  to.append(bytes, sizeof value);
}

void append_hyper(XdrWriter& to, std::uint64_t value) {
  to.word(static_cast<std::uint32_t>(value >> 32U));
  to.word(static_cast<std::uint32_t>(value));
}

base::Buffer node_info(std::uint64_t memory) {
  base::Buffer body;
  XdrWriter writer(body);
  std::string model = "x86_64";
  model.resize(32);
  for (const char c : model) writer.word(static_cast<std::uint8_t>(c));
  append_hyper(writer, memory);
  for (const std::uint32_t value : {8U, 2400U, 1U, 2U, 4U, 1U}) writer.word(value);
  return body;
}

base::Buffer domain_info(std::uint64_t memory) {
  base::Buffer body;
  XdrWriter writer(body);
  writer.word(1);
  append_hyper(writer, memory);
  append_hyper(writer, memory / 2);
  writer.word(3);
  append_hyper(writer, 0x1122334455667788U);
  return body;
}

}  // namespace

template <typename Value>
Value value_at(std::string_view bytes, std::size_t at) {
  CHECK(at <= bytes.size() && sizeof(Value) <= bytes.size() - at);
  Value value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}
template std::uint8_t value_at(std::string_view, std::size_t);
template std::uint16_t value_at(std::string_view, std::size_t);
template std::int32_t value_at(std::string_view, std::size_t);
template std::uint32_t value_at(std::string_view, std::size_t);
template std::uint64_t value_at(std::string_view, std::size_t);

std::string web_uuid() {
  std::string uuid;
  for (char c = 1; c <= 16; ++c) uuid += c;
  return uuid;
}

std::string bytes_of_packet(const XenPacket& packet) {
  std::string out;
  append_value(out, packet.version);
  append_value(out, packet.command);
  append_value(out, packet.serial);
  append_value(out, packet.length.value_or(static_cast<std::uint16_t>(16 + packet.extra.size())));
  append_value(out, packet.number);
  return out + packet.extra;
}

std::string request_for(std::uint16_t command, std::uint16_t serial) {
  XenPacket packet;
  packet.command = command;
  packet.serial = serial;
  if (command == 5 || (command >= 8 && command <= 11)) packet.number = kWebId;
  if (command == 6) packet.extra = web_uuid();
  if (command == 7) packet.extra = std::string("web") + '\0';
  return bytes_of_packet(packet);
}

std::vector<XenReply> replies_in(std::string_view bytes) {
  std::vector<XenReply> out;
  while (!bytes.empty()) {
    CHECK(value_at<std::uint16_t>(bytes, 0) == 1);
    XenReply reply;
    reply.command = value_at<std::uint16_t>(bytes, 2);
    reply.serial = value_at<std::uint16_t>(bytes, 4);
    reply.length = value_at<std::uint16_t>(bytes, 6);
    reply.argument = value_at<std::int32_t>(bytes, 8);
    reply.number = value_at<std::uint64_t>(bytes, 8);
    CHECK(reply.length >= 16 && reply.length <= 4096 && reply.length <= bytes.size());
    reply.extra = bytes.substr(16, reply.length - 16U);
    bytes.remove_prefix(reply.length);
    out.push_back(std::move(reply));
  }
  return out;
}

base::Buffer XenHost::reply(const policy::Header& call, base::Bytes asked) const {
  base::Buffer body;
  XdrWriter writer(body);
  XdrReader arguments(asked);
  std::uint32_t number = 0;
  std::string_view text;
  const std::string uuid = web_uuid();
  const auto domain = [&](std::string_view what, std::int32_t its_id) {
    writer.string(what);
    writer.fixed(base::bytes_of(uuid));
    writer.number(its_id);
    return body;
  };
  const auto texted = [&](std::string_view what) {
    writer.string(what);
    return body;
  };
  switch (static_cast<Remote>(call.procedure)) {
    case Remote::CONNECT_GET_VERSION:
      append_hyper(writer, 4017005);
      return body;
    case Remote::NODE_GET_INFO:
      return node_info(memory);
    case Remote::CONNECT_LIST_DOMAINS:
      writer.word(ids);
      for (std::uint32_t i = 0; i < ids; ++i) writer.word(i + 1);
      return body;
    case Remote::CONNECT_NUM_OF_DOMAINS:
      return words({ids});
    case Remote::DOMAIN_LOOKUP_BY_ID:
      if (!arguments.word(number) || static_cast<std::int32_t>(number) != id) return {};
      return domain(name, id);
    case Remote::DOMAIN_LOOKUP_BY_UUID:
      return base::text_of(asked) == uuid ? domain(name, id) : body;
    case Remote::DOMAIN_LOOKUP_BY_NAME:
      if (!arguments.string(text)) return {};
      return text == name ? domain(name, id) : text == "old" ? domain(text, -1) : body;
    case Remote::DOMAIN_GET_MAX_MEMORY:
      append_hyper(writer, memory);
      return body;
    case Remote::DOMAIN_GET_INFO:
      return domain_info(memory);
    case Remote::DOMAIN_GET_XML_DESC:
    case Remote::CONNECT_GET_CAPABILITIES:
      return texted(xml);
    case Remote::DOMAIN_GET_OS_TYPE:
      return texted("hvm");
    default:
      return {};
  }
}

XenScene::XenScene(policy::XenAbi abi) {
  world.config.listen[0].target = "hail";
  world.config.listen[0].xen_proxy = abi;
  world.daemon().reply = [this](const policy::Header& call, base::Bytes body) {
    return std::optional<base::Buffer>(host.reply(call, body));
  };
}

XenScene::~XenScene() {
  world.end();
  for (const auto& client : clients_) {
    if (!client->closed) client->hang_up();
  }
  world.settle();
}

TextClient& XenScene::client(uid_t uid, std::size_t cut) {
  auto [ours, theirs] = MemoryStream::pair(world.clock);
  theirs->deliver_at_most(cut);
  clients_.push_back(std::make_unique<TextClient>(std::move(ours)));
  clients_.back()->start();
  tunnel::io::Peer peer;
  peer.uid = uid;
  peer.gid = uid;
  peer.pid = 4711;
  peer.groups = {kHouse};
  world.gate().accept(std::move(theirs), peer, 0);
  return *clients_.back();
}

TextClient& XenScene::asked(std::string_view bytes, uid_t uid) {
  TextClient& added = client(uid);
  added.send(bytes);
  world.settle();
  return added;
}

}  // namespace test

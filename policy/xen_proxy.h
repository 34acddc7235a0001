// Between a client of the old Xen proxy (xen_packet.h) and a server of libvirt's RPC: it turns
// the client's packets into calls, and the replies to those into packets.
//
// It decides nothing. Its calls are messages as any other client's: they go through the filter, the
// rules and the pools, and each that is refused or fails there gives the client the answer that the
// old proxy had for a failure of that command. So does what does not fit: -2 for an XML of more
// than 4080 bytes, cut names, no numbers beyond the client's long.
//
// One packet is answered after the other, as the old proxy did it, and each has at most two calls
// besides the open that the first one begins with:
//
//   none                       a ping, once there is a connection; echoed in any case
//   version                    CONNECT_GET_VERSION
//   node_info                  NODE_GET_INFO
//   list, num_domain           CONNECT_LIST_DOMAINS, CONNECT_NUM_OF_DOMAINS
//   lookup_id, _uuid, _name    DOMAIN_LOOKUP_BY_ID, _UUID, _NAME; what is not running is not found
//   max_memory, domain_info    DOMAIN_LOOKUP_BY_ID, and DOMAIN_GET_MAX_MEMORY, DOMAIN_GET_INFO,
//   domain_xml, _os_type         DOMAIN_GET_XML_DESC without flags, or DOMAIN_GET_OS_TYPE
//   capabilities               CONNECT_GET_CAPABILITIES
//
// The other side is trusted no more than the client: a reply that is not what its procedure answers
// counts as a failure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "policy/message.h"
#include "policy/procedures.h"
#include "policy/xdr.h"
#include "policy/xen_packet.h"

namespace policy {

class XenProxy {
 public:
  explicit XenProxy(XenAbi abi) : abi_(abi) {}

  // Bytes of the client, cut anywhere. What follows a packet that is not answered yet is kept; see
  // held().
  void feed(base::Bytes bytes);
  // A message for the client. What answers nothing is dropped.
  void answer(const Frame& message);
  // No message will come any more: a packet that waits is answered as a failure, and that is all
  // that the client gets.
  void give_up();

  // What has to be sent since: messages, and packets to the client.
  base::Buffer take_calls() { return std::exchange(calls_, {}); }
  base::Buffer take_packets() { return std::exchange(packets_, {}); }

  // A packet waits for its answer.
  [[nodiscard]] bool asking() const { return step_ != Step::idle; }
  // A packet has begun, nothing else is being done, and the rest of it is missing.
  [[nodiscard]] bool midway() const { return !asking() && !broken() && held() > 0; }
  [[nodiscard]] std::size_t held() const { return reader_.held(); }
  // The client must be ended without an answer.
  [[nodiscard]] bool broken() const { return reader_.broken(); }
  [[nodiscard]] const std::string& wrong() const { return reader_.wrong(); }

 private:
  enum class Step : std::uint8_t { idle, opening, pinging, looking_up, calling };

  struct Domain {
    std::string_view name;
    base::Bytes uuid;
    std::int32_t id = -1;
  };

  void take_next();
  void proceed();
  void ask(Remote procedure, base::Bytes body, Step step);
  [[nodiscard]] bool answers(const Header& header) const;
  void on_reply(const Frame& reply);
  bool ask_of_domain(XdrReader& body);
  bool tell(XdrReader& body);
  bool tell_long(XdrReader& body);
  bool tell_int(XdrReader& body);
  bool tell_node(XdrReader& body);
  bool tell_list(XdrReader& body);
  bool tell_domain(XdrReader& body);
  bool tell_info(XdrReader& body);
  bool tell_text(XdrReader& body);
  void tell_failure();
  void finish(const XenAnswer& answer);
  [[nodiscard]] XenAnswer begin_answer() const { return {request_.header, abi_}; }
  static bool read_domain(XdrReader& body, Domain& domain);

  const XenAbi abi_;
  XenPacketReader reader_;
  XenRequest request_;
  Step step_ = Step::idle;
  bool open_ = false;
  Header call_;  // that waits for its reply
  base::Buffer calls_;
  base::Buffer packets_;
};

}  // namespace policy

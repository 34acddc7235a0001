// The decoder of what daemons send: holds a reply or an event to the signature in its procedure's
// row, and a reply to the call that it answers.
//
// The claim: whatever bytes a daemon sends, a client gets only messages of procedures that it
// called or events that it asked for, which libvirt's own decoder takes to the last byte.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "policy/asked.h"
#include "policy/procedures.h"
#include "policy/reply_signature.h"
#include "policy/xdr.h"

namespace policy {

// REMOTE_STRING_MAX.
inline constexpr std::size_t kMaxReplyString = std::size_t{4} * 1024 * 1024;
// VIR_TYPED_PARAM_FIELD_LENGTH, less the NUL with which clients keep it.
inline constexpr std::size_t kMaxParamName = 79;

// One pass, without memory of its own, in as many pieces as its user likes: a short value can take
// few bytes of a long reply, so that there can be millions of them.
//
// Strict: counts and strings are within their bounds, an optional is 0 or 1, the type of a
// parameter is known, small numbers fit, a text of `char` ends in NUL, padding is zero, no string
// ends in a NUL, nothing is left over. What a string holds beyond that is not looked at.
//
// A look-up must bring what was asked for, a list no more than that and as much as the reply says,
// statistics no machine that was not named, and none twice.
class ReplyDecoder {
 public:
  // `body` is the reply to a call of `procedure`, or the event that it is. `call` is the body of
  // the call as it was sent; it is not looked at for events. All three outlive it.
  ReplyDecoder(const Procedure& procedure, base::Bytes call, base::Bytes body);

  // Goes on by that many steps, each of which is a value or less. True: it is through.
  bool run(std::size_t steps);

  // The same body is somewhere else now.
  void move_to(base::Bytes body);

  // Once it is through: what is wrong, to be put behind the sender: "sent a reply to NODE_GET_INFO
  // that ends inside memory". Empty: nothing is. No byte of the body is in the text.
  [[nodiscard]] std::string objection() const;

 private:
  // Of one group, or of the items that are in none.
  struct Level {
    std::span<const ReplyItem> items;
    std::size_t item = 0;    // whose elements are read
    std::size_t next = 0;    // the item after these
    std::uint32_t left = 0;  // elements
  };

  bool step(std::size_t& steps);
  bool begin(Level& level);
  bool counted(const ReplyItem& item, std::uint32_t& count);
  bool value(const ReplyItem& item, std::uint32_t left);
  bool number(const ReplyItem& item);
  bool total(const ReplyItem& item, std::uint32_t word);
  bool small(const ReplyItem& item, std::int32_t low, std::int32_t high, std::uint32_t& word);
  bool character(const ReplyItem& item, std::uint32_t left);
  bool bytes(const ReplyItem& item, std::size_t size, base::Bytes& value);
  bool string(const ReplyItem& item, std::size_t most, std::string_view& text);
  bool opaque(const ReplyItem& item, std::uint32_t size);
  bool params(const ReplyItem& item, Level& level, std::size_t& steps);
  bool param(const ReplyItem& item);
  bool object(const ReplyItem& item);
  bool ends_in(const ReplyItem& item);
  bool wrong(std::string_view how, const ReplyItem& item);

  const Procedure& row_;
  const Asked asked_;
  NamedMachines machines_;
  std::size_t size_;  // of the body
  XdrReader in_;
  std::array<Level, kMaxReplyDepth> levels_;
  std::size_t depth_ = 1;  // levels in use; 0: it is through
  bool listed_ = false;    // the first list has been counted
  std::uint32_t list_ = 0;
  std::string_view wrong_;  // how; empty: it is good so far
  std::string_view where_;
};

// The same in one go.
std::string objection_to_reply(const Procedure& procedure, base::Bytes call, base::Bytes body);

}  // namespace policy

#include "policy/error.h"

#include "base/text.h"
#include "policy/reply.h"
#include "policy/xdr.h"

namespace policy {
namespace {

constexpr std::int32_t kLevelError = 2;  // VIR_ERR_ERROR
constexpr std::size_t kUuid = 16;
constexpr std::size_t kDomain = kUuid + 4;  // and its id

// virErrorMsg() of libvirt's virerror.c.
std::string_view format_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::internal_error:
      return "internal error: %s";
    case ErrorCode::no_support:
      return "this function is not supported by the connection driver: %s";
    case ErrorCode::no_connect:
      return "no connection driver available for %s";
    case ErrorCode::invalid_argument:
      return "invalid argument: %s";
    case ErrorCode::operation_denied:
      return "operation forbidden: %s";
    case ErrorCode::auth_failed:
      return "authentication failed: %s";
    case ErrorCode::operation_timeout:
      return "Timed out during operation: %s";
    case ErrorCode::no_domain_metadata:
      return "metadata not found: %s";
    case ErrorCode::system_error:
    case ErrorCode::rpc:
      return "%s";
  }
  return "%s";
}

std::string_view cut(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return text.substr(0, end);
}

void write_optional(XdrWriter& writer, std::string_view text) {
  writer.optional(true);
  writer.string(text);
}

bool read_optional(XdrReader& reader, std::string_view& text) {
  bool present = false;
  if (!reader.optional(present)) return false;
  return !present || reader.string(text);
}

// `behind` is the size of what follows the object's name: uuid, and the id of a domain.
bool skip_object(XdrReader& reader, std::size_t behind) {
  bool present = false;
  if (!reader.optional(present)) return false;
  std::string_view name;
  base::Bytes bytes;
  return !present || (reader.string(name) && reader.fixed(behind, bytes));
}

// Writes anew what it reads; false: it is not there.
class Copy {
 public:
  using Change = std::function<std::string(std::string_view)>;

  Copy(base::Bytes from, base::Buffer& to, const Change& change)
      : reader_(from), writer_(to), change_(change) {}

  bool error() {
    return word() && word() && optional_text() && word() && optional_object(kDomain) &&
           optional_text() && optional_text() && optional_text() && word() && word() &&
           optional_object(kUuid) && reader_.left() == 0;
  }

 private:
  bool word() {
    std::uint32_t value = 0;
    if (!reader_.word(value)) return false;
    writer_.word(value);
    return true;
  }
  bool optional_text() {
    bool present = false;
    return optional(present) && (!present || text());
  }
  // As skip_object() has it.
  bool optional_object(std::size_t behind) {
    bool present = false;
    base::Bytes bytes;
    if (!optional(present)) return false;
    if (!present) return true;
    if (!text() || !reader_.fixed(behind, bytes)) return false;
    writer_.fixed(bytes);
    return true;
  }
  bool optional(bool& present) {
    std::uint32_t value = 0;
    if (!reader_.word(value) || value > 1) return false;
    present = value == 1;
    writer_.optional(present);
    return true;
  }
  bool text() {
    std::string_view value;
    if (!reader_.string(value) || value.size() > kMaxReplyString) return false;
    writer_.string(change_(value));
    return true;
  }

  XdrReader reader_;
  XdrWriter writer_;
  const Change& change_;
};

}  // namespace

void append_error_reply(base::Buffer& to, const Header& call, const Fault& fault) {
  const bool stream = call.is(Type::stream) || call.is(Type::stream_hole);
  Header header = call;
  header.type = static_cast<std::uint32_t>(stream ? Type::stream : Type::reply);
  header.status = static_cast<std::uint32_t>(Status::error);

  const std::string_view format = fault.whole ? "%s" : format_of(fault.code);
  const std::string_view text = cut(fault.text, kMaxFaultText);
  std::string message(format.substr(0, format.size() - 2));
  message += text;

  base::Buffer body;
  XdrWriter writer(body);
  writer.number(static_cast<std::int32_t>(fault.code));
  writer.number(static_cast<std::int32_t>(fault.domain));
  write_optional(writer, message);
  writer.number(kLevelError);
  writer.optional(false);  // dom
  write_optional(writer, format);
  write_optional(writer, text);
  writer.optional(false);  // str3
  writer.number(-1);       // int1
  writer.number(-1);       // int2
  writer.optional(false);  // net
  append_frame(to, header, body);
}

RemoteError decode_error(base::Bytes body) {
  XdrReader reader(body);
  std::uint32_t code = 0;
  std::uint32_t number = 0;
  std::string_view message;
  std::string_view other;
  const bool good = reader.word(code) && reader.word(number) && read_optional(reader, message) &&
                    reader.word(number) && skip_object(reader, kDomain) &&
                    read_optional(reader, other) && read_optional(reader, other) &&
                    read_optional(reader, other) && reader.word(number) && reader.word(number) &&
                    skip_object(reader, kUuid);
  if (!good) return {};
  return {static_cast<std::int32_t>(code), std::string(cut(message, kMaxErrorText))};
}

bool copy_error(base::Bytes body, base::Buffer& to,
                const std::function<std::string(std::string_view)>& change) {
  return Copy(body, to, change).error();
}

std::optional<base::Buffer> clean_error(base::Bytes body) {
  base::Buffer out;
  const bool good = copy_error(body, out, [](std::string_view text) {
    return base::without_controls(cut(text, kMaxErrorText));
  });
  if (!good) return std::nullopt;
  return out;
}

}  // namespace policy

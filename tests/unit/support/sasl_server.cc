#include "tests/unit/support/sasl_server.h"

#include <algorithm>
#include <array>

#include <sasl/sasl.h>

#include "base/check.h"
#include "policy/procedures.h"
#include "policy/xdr.h"

namespace test {
namespace {

using Procedure = int (*)();

template <typename Function>
Procedure procedure(Function* function) {
  return reinterpret_cast<Procedure>(reinterpret_cast<void (*)()>(function));
}

int drop_log(void*, int, const char*) { return SASL_OK; }

int find_option(void* context, const char*, const char* name, const char** result,
                unsigned* length) {
  *result = static_cast<const SaslUsers*>(context)->option(name);
  // New versions take a failure to mean that no mechanism is allowed.
  if (*result == nullptr) return SASL_OK;
  if (length != nullptr) *length = static_cast<unsigned>(std::string_view(*result).size());
  return SASL_OK;
}

base::Buffer copy(const char* data, unsigned size) {
  const base::Bytes bytes = base::bytes_of({data, size});
  return {bytes.begin(), bytes.end()};
}

std::optional<base::Buffer> read_data(policy::XdrReader& reader) {
  std::uint32_t nil = 0;
  std::uint32_t count = 0;
  CHECK(reader.word(nil) && reader.word(count) && reader.left() == std::size_t{4} * count);
  base::Buffer data;
  for (std::uint32_t word = 0; reader.word(word);) {
    data.push_back(static_cast<std::uint8_t>(word));
  }
  CHECK(nil == 0 || data.empty());
  return nil == 0 ? std::optional(data) : std::nullopt;
}

}  // namespace

struct SaslUsers::Callbacks {
  explicit Callbacks(SaslUsers* users)
      : list{{{SASL_CB_GETOPT, procedure(find_option), users},
              {SASL_CB_LOG, procedure(drop_log), nullptr},
              {SASL_CB_LIST_END, nullptr, nullptr}}} {}
  std::array<sasl_callback_t, 3> list;
};

SaslUsers::SaslUsers()
    : database_(folder_.path() + "/passwd.db"), callbacks_(std::make_unique<Callbacks>(this)) {
  CHECK(sasl_server_init(callbacks_->list.data(), "libvirt") == SASL_OK);
}

SaslUsers::~SaslUsers() { sasl_server_done(); }

const char* SaslUsers::option(std::string_view name) const {
  if (name == "sasldb_path") return database_.c_str();
  if (name == "pwcheck_method") return "auxprop";
  if (name == "auxprop_plugin") return "sasldb";
  return nullptr;
}

void SaslUsers::add(const std::string& user, const std::string& password) {
  sasl_conn_t* connection = nullptr;
  CHECK(sasl_server_new("libvirt", kSaslHost, nullptr, nullptr, nullptr, nullptr, 0, &connection) ==
        SASL_OK);
  CHECK(sasl_setpass(connection, user.c_str(), password.c_str(),
                     static_cast<unsigned>(password.size()), nullptr, 0,
                     SASL_SET_CREATE) == SASL_OK);
  sasl_dispose(&connection);
}

SaslServer::SaslServer(SaslServerSettings settings) : settings_(std::move(settings)) {
  const unsigned flags = settings_.success_data ? SASL_SUCCESS_DATA : 0;
  CHECK(sasl_server_new("libvirt", kSaslHost, nullptr, nullptr, nullptr, nullptr, flags,
                        &connection_) == SASL_OK);
  sasl_security_properties_t properties{};
  if (settings_.layer) {
    properties.min_ssf = 56;
    properties.max_ssf = 100000;
    properties.maxbufsize = settings_.most_buffer;
    properties.security_flags = SASL_SEC_NOANONYMOUS | SASL_SEC_NOPLAINTEXT;
  }
  CHECK(sasl_setprop(connection_, SASL_SEC_PROPS, &properties) == SASL_OK);
}

SaslServer::~SaslServer() { sasl_dispose(&connection_); }

std::string SaslServer::mechanisms() const {
  if (!settings_.mechanisms.empty()) return settings_.mechanisms;
  const char* names = nullptr;
  CHECK(sasl_listmech(connection_, nullptr, "", ",", "", &names, nullptr, nullptr) == SASL_OK);
  return names;
}

SaslServer::Answer SaslServer::outcome(int code, const char* data, unsigned size) {
  Answer answer;
  answer.refused = code != SASL_OK && code != SASL_CONTINUE;
  answer.complete = complete_ = code == SASL_OK;
  if (data != nullptr) answer.data = copy(data, size);
  return answer;
}

SaslServer::Answer SaslServer::start(const std::string& mechanism,
                                     std::optional<base::Bytes> data) {
  const char* out = nullptr;
  unsigned size = 0;
  const std::string text(data ? base::text_of(*data) : "");
  const int code = sasl_server_start(connection_, mechanism.c_str(), data ? text.c_str() : nullptr,
                                     static_cast<unsigned>(text.size()), &out, &size);
  return outcome(code, out, size);
}

SaslServer::Answer SaslServer::step(std::optional<base::Bytes> data) {
  const char* out = nullptr;
  unsigned size = 0;
  const std::string text(data ? base::text_of(*data) : "");
  const int code = sasl_server_step(connection_, data ? text.c_str() : nullptr,
                                    static_cast<unsigned>(text.size()), &out, &size);
  return outcome(code, out, size);
}

std::string SaslServer::user() const {
  const void* name = nullptr;
  if (sasl_getprop(connection_, SASL_USERNAME, &name) != SASL_OK || name == nullptr) return "";
  return static_cast<const char*>(name);
}

base::Buffer SaslServer::encode(base::Bytes plain) {
  const char* out = nullptr;
  unsigned size = 0;
  const std::string_view text = base::text_of(plain);
  base::Buffer bytes;
  for (std::size_t done = 0; done < text.size(); done += 16384) {
    const std::string piece(text.substr(done, 16384));
    CHECK(sasl_encode(connection_, piece.data(), static_cast<unsigned>(piece.size()), &out,
                      &size) == SASL_OK);
    base::append(bytes, base::bytes_of({out, size}));
  }
  return bytes;
}

base::Buffer SaslServer::decode(base::Bytes bytes) {
  const char* out = nullptr;
  unsigned size = 0;
  base::Buffer plain;
  for (std::size_t done = 0; done < bytes.size(); done += 16384) {
    const std::string_view piece =
        base::text_of(bytes.subspan(done, std::min<std::size_t>(16384, bytes.size() - done)));
    CHECK(sasl_decode(connection_, piece.data(), static_cast<unsigned>(piece.size()), &out,
                      &size) == SASL_OK);
    if (size > 0) base::append(plain, base::bytes_of({out, size}));
  }
  return plain;
}

base::Buffer step_reply(bool complete, std::optional<base::Bytes> data) {
  base::Buffer body;
  policy::XdrWriter writer(body);
  writer.word(complete ? 1 : 0);
  writer.word(data ? 0 : 1);
  const base::Bytes bytes = data.value_or(base::Bytes());
  writer.word(static_cast<std::uint32_t>(bytes.size()));
  // As a compiler with signed chars has it.
  for (const std::uint8_t byte : bytes) writer.number(static_cast<std::int8_t>(byte));
  return body;
}

std::optional<base::Buffer> SaslServer::on_call(std::int32_t procedure, base::Bytes body) {
  policy::XdrReader reader(body);
  if (procedure == number(policy::Remote::AUTH_SASL_INIT)) {
    base::Buffer reply;
    policy::XdrWriter(reply).string(mechanisms());
    return reply;
  }
  std::string_view mechanism;
  if (procedure == number(policy::Remote::AUTH_SASL_START)) CHECK(reader.string(mechanism));
  const auto data = read_data(reader);
  const Answer answer = procedure == number(policy::Remote::AUTH_SASL_START)
                            ? start(std::string(mechanism), data)
                            : step(data);
  if (answer.refused) return std::nullopt;
  return step_reply(answer.complete, answer.data);
}

}  // namespace test

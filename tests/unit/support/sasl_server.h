// The daemon's side of SASL: cyrus-sasl's own server, with a database of users that lives as long
// as the test.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "tests/unit/support/scripted_daemon.h"
#include "tests/unit/support/temporary_folder.h"

struct sasl_conn;

namespace test {

// The library, and the users. Everything that has been made of it goes first.
class SaslUsers {
 public:
  SaslUsers();
  SaslUsers(const SaslUsers&) = delete;
  SaslUsers& operator=(const SaslUsers&) = delete;
  ~SaslUsers();

  void add(const std::string& user, const std::string& password);
  // The options of libvirt.conf in SASL's own folder.
  [[nodiscard]] const char* option(std::string_view name) const;

 private:
  TemporaryFolder folder_;
  std::string database_;
  struct Callbacks;
  std::unique_ptr<Callbacks> callbacks_;
};

constexpr const char* kSaslHost = "hail.example.com";

struct SaslServerSettings {
  bool layer = false;        // as libvirtd has it over tcp
  bool success_data = true;  // its last word comes together with the data before it
  unsigned most_buffer = 65536;
  std::string mechanisms;  // what it offers; empty: all
};

class SaslServer : public DaemonSasl {
 public:
  explicit SaslServer(SaslServerSettings settings);
  SaslServer(const SaslServer&) = delete;
  SaslServer& operator=(const SaslServer&) = delete;
  ~SaslServer() override;

  struct Answer {
    bool refused = false;
    bool complete = false;
    std::optional<base::Buffer> data;
  };
  [[nodiscard]] std::string mechanisms() const;
  Answer start(const std::string& mechanism, std::optional<base::Bytes> data);
  Answer step(std::optional<base::Bytes> data);
  [[nodiscard]] std::string user() const;
  base::Buffer encode(base::Bytes plain) override;
  base::Buffer decode(base::Bytes bytes) override;

  std::optional<base::Buffer> on_call(std::int32_t procedure, base::Bytes body) override;
  [[nodiscard]] bool layered() const override { return complete_ && settings_.layer; }

 private:
  Answer outcome(int code, const char* data, unsigned size);

  SaslServerSettings settings_;
  sasl_conn* connection_ = nullptr;
  bool complete_ = false;
};

// The body of an answer to a start or a step.
base::Buffer step_reply(bool complete, std::optional<base::Bytes> data);

}  // namespace test

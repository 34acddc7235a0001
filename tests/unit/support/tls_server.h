// The server's side of TLS, in memory, and libvirtd's habits with it: after the handshake it checks
// the client's certificate and sends one byte. A test can make it misbehave.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "tests/unit/support/tls_authority.h"

namespace test {

class TlsServer {
 public:
  struct Options {
    Issued identity{};
    std::string client_ca{};           // PEM; empty: no certificate is asked for
    bool require_certificate = false;  // in the handshake; else the certificate is only asked for
    bool send_confirmation = true;
    std::uint8_t confirmation = 1;
    bool only_tls_1_2 = false;
    bool sends_tickets = false;
  };

  explicit TlsServer(const Options& options);
  ~TlsServer();
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

  void receive(base::Bytes data);
  // To be taken and cleared.
  [[nodiscard]] base::Buffer& output();

  void write(base::Bytes data);
  void close_notify();
  void alert(std::uint8_t number);
  // Asks for a new handshake, which nobody should get.
  void ask_for_new_handshake();
  // The rest is of TLS 1.3. Changes its own keys and wants new ones of the client.
  void ask_for_new_keys();
  void send_ticket();
  // A record of no data.
  void write_nothing();

  [[nodiscard]] bool shaken() const;  // the handshake is done
  [[nodiscard]] bool failed() const;  // and never will be, or what followed was no TLS
  [[nodiscard]] bool ended() const;   // the client sent close_notify
  [[nodiscard]] const base::Buffer& received() const;
  // The server name that the client asked for; empty when it asked for none.
  [[nodiscard]] const std::string& asked_name() const;
  [[nodiscard]] bool client_has_certificate() const;
  // The last one that the client sent; 0: none.
  [[nodiscard]] std::uint8_t heard_alert() const;
  [[nodiscard]] std::string version() const;
  [[nodiscard]] std::string cipher() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace test

// The TLS client of one connection, without I/O and without time: it is fed what the server sent
// and asked what to send. Everything it has to send it puts out at once, however much that is, so
// that GnuTLS never holds half a record; what it has received it decrypts only when asked, a record
// at a time, so that nobody who is slow makes it hold more than one delivery of the layer below.
//
// TLS 1.2 or 1.3, with forward secrecy and authenticated encryption only. No renegotiation, no
// session tickets, no resumption.
//
// libvirt's server checks our certificate after the handshake and then sends one byte, 1. Until
// that has come the stream is not open.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "tunnel/io/stream.h"
#include "tunnel/notes.h"

namespace tunnel {

class TlsCredentials;

// Who the server has to be.
struct TlsPeer {
  std::string host;    // a name or an address
  bool verify = true;  // false: what is wrong with its certificate is noted, and accepted
};

class TlsEngine {
 public:
  enum class State : std::uint8_t {
    handshaking,
    confirming,  // the server's byte is awaited
    open,
    ended,   // the server has said that it will send no more; it may still be written to
    failed,  // for the reason that failure() has; what is still to be sent may be an alert
  };

  TlsEngine(const TlsPeer& peer, std::unique_ptr<TlsCredentials> credentials, Notes notes);
  ~TlsEngine();
  TlsEngine(const TlsEngine&) = delete;
  TlsEngine& operator=(const TlsEngine&) = delete;

  [[nodiscard]] State state() const;
  // Only in the state `failed`. The stage is that of the connection when it failed.
  [[nodiscard]] const io::Reason& failure() const;

  // Begins the handshake. To be called once, first.
  void start();

  // What came from the server, and that nothing more will come. The handshake goes on as far as it
  // can; data is left for read().
  void receive(base::Bytes data);
  void receive_end();

  // The next data of the server: at most one record, valid until the next read().
  // Empty when more has to come first, or when the state has become `ended` or `failed`.
  base::Bytes read();

  // Data for the server. Only when the handshake and the confirmation are done and end() was not
  // called.
  void write(base::Bytes data);
  // Tells the server that nothing follows.
  void end();

  // What has to be sent, in order. The caller takes it and clears it.
  [[nodiscard]] base::Buffer& output();

 private:
  struct Session;
  std::unique_ptr<Session> session_;
};

}  // namespace tunnel

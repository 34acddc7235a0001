// A listening TCP socket.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace tunnel::io {

class TcpSocket {
 public:
  // Listens. `host` is an address without brackets. The error says which address, what, and why.
  static base::Result<std::unique_ptr<TcpSocket>, std::string> bind(const std::string& host,
                                                                    std::uint16_t port);
  TcpSocket(const TcpSocket&) = delete;
  TcpSocket& operator=(const TcpSocket&) = delete;
  ~TcpSocket() = default;

  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  explicit TcpSocket(int fd) : fd_(fd) {}

  base::Fd fd_;
};

}  // namespace tunnel::io

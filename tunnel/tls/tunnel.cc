#include "tunnel/tls/tunnel.h"

#include <utility>

namespace tunnel {
namespace {

using Below = std::function<std::unique_ptr<io::Stream>()>;

class TlsTunnel : public Tunnel {
 public:
  TlsTunnel(TlsContext context, Below below)
      : context_(std::move(context)), below_(std::move(below)) {}

  std::unique_ptr<io::Stream> stream() override {
    return std::make_unique<TlsStream>(context_, below_());
  }

 private:
  const TlsContext context_;
  const Below below_;
};

}  // namespace

std::unique_ptr<Tunnel> make_tls_tunnel(TlsContext context, Below below) {
  return std::make_unique<TlsTunnel>(std::move(context), std::move(below));
}

}  // namespace tunnel

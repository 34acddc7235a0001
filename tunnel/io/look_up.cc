#include "tunnel/io/look_up.h"

#include <memory>
#include <utility>

#include <uv.h>

#include "tunnel/io/loop.h"

namespace tunnel::io {
namespace {

constexpr std::size_t kLongestName = 253;

std::vector<Address> addresses_of(const addrinfo* found, std::uint16_t port) {
  std::vector<Address> addresses;
  for (; found != nullptr; found = found->ai_next) {
    if (const auto address = address_of(found->ai_addr, port)) addresses.push_back(*address);
  }
  return addresses;
}

}  // namespace

// Lives until libuv is done with it, which may be long after the look-up has gone.
struct LookUp::Request {
  uv_getaddrinfo_t raw{};
  Loop* loop = nullptr;
  LookUp* look_up = nullptr;

  static void answered(uv_getaddrinfo_t* raw, int status, addrinfo* found) {
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, uv_freeaddrinfo);
    const std::unique_ptr<Request> self(static_cast<Request*>(raw->data));
    if (self->look_up == nullptr) return;
    self->loop->touch();
    LookUp& look_up = *self->look_up;
    look_up.request_ = nullptr;
    std::vector<Address> addresses = addresses_of(found, look_up.port_);
    if (status == 0 && addresses.empty()) status = UV_EAI_NODATA;
    if (status != 0) return look_up.fail(Reason::Kind::system, uv_strerror(status));
    look_up.finish(std::move(addresses));
  }
};

LookUp::LookUp(Loop& loop, std::string host, std::uint16_t port, Milliseconds deadline,
               std::function<void(Answer)> done)
    : loop_(loop),
      host_(std::move(host)),
      port_(port),
      deadline_(deadline),
      done_(std::move(done)),
      timer_(loop.clock(), [this] {
        if (!refusal_.empty()) return fail(Reason::Kind::refused, refusal_);
        fail(Reason::Kind::timeout, "no answer in " + std::to_string(deadline_.count()) + " ms");
      }) {}

LookUp::~LookUp() { give_up(); }

void LookUp::give_up() {
  if (request_ == nullptr) return;
  Request* request = std::exchange(request_, nullptr);
  request->look_up = nullptr;
  uv_cancel(reinterpret_cast<uv_req_t*>(&request->raw));
}

void LookUp::start() {
  if (host_.empty() || host_.find('\0') != std::string::npos) refusal_ = "that is no host name";
  if (host_.size() > kLongestName) refusal_ = "a host name has at most 253 bytes";
  if (!refusal_.empty()) return timer_.start(Milliseconds(0));
  auto request = std::make_unique<Request>();
  request->raw.data = request.get();
  request->loop = &loop_;
  request->look_up = this;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  const int status =
      uv_getaddrinfo(loop_.raw(), &request->raw, Request::answered, host_.c_str(), nullptr, &hints);
  if (status != 0) {
    refusal_ = uv_strerror(status);
    return timer_.start(Milliseconds(0));
  }
  request_ = request.release();
  timer_.start(deadline_);
}

void LookUp::finish(Answer answer) {
  give_up();
  timer_.stop();
  const auto done = std::move(done_);
  done(std::move(answer));
}

void LookUp::fail(Reason::Kind kind, const std::string& text) {
  finish(base::Failure{Reason{kind, Stage::look_up, host_.substr(0, kLongestName) + ": " + text}});
}

}  // namespace tunnel::io

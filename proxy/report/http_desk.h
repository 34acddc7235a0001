// Answers questions about the gate itself: one GET of HTTP on each connection. Requests, answers,
// connections and their time are bounded, so that a visitor that asks badly or does not read hurts
// nobody.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string_view>

#include "policy/http.h"
#include "tunnel/io/clock.h"
#include "tunnel/io/peer.h"
#include "tunnel/io/stream.h"

namespace proxy {

class HttpDesk {
 public:
  static constexpr std::size_t kMostConnections = 16;
  static constexpr std::size_t kLongestLine = 1024;
  static constexpr std::size_t kMostFields = 64;
  static constexpr std::size_t kLongestFields = 8192;
  // What is read of a visitor in all, so that the end of a short body is still heard. Whoever says
  // more is not listened to.
  static constexpr std::size_t kMostRead = 65536;
  // From the first byte to the last one of the answer.
  static constexpr tunnel::io::Milliseconds kPatience{10000};

  // What answers may come later by. It may be called once, also when nobody waits for it any more,
  // as long as the desk is there.
  using Respond = std::function<void(const policy::HttpAnswer&)>;

  // A GET: `path` begins with / and is without its query, `accept` is what the request says of that
  // name.
  using Answer =
      std::function<void(std::string_view path, std::string_view accept, Respond respond)>;

  // A POST: `peer` asks for something to be done.
  using Order =
      std::function<void(std::string_view path, const tunnel::io::Peer& peer, Respond respond)>;
  // How long it may come later.
  static constexpr tunnel::io::Milliseconds kOrderPatience{60000};

  // The clock outlives it. Without `order` no POST is taken.
  HttpDesk(tunnel::io::Clock& clock, Answer answer, Order order = {});
  HttpDesk(const HttpDesk&) = delete;
  HttpDesk& operator=(const HttpDesk&) = delete;
  // close() is through, or nobody ever came.
  ~HttpDesk();

  // With one too many, the visitor that has been asking for longest is cut off.
  void accept(std::unique_ptr<tunnel::io::Stream> stream, const tunnel::io::Peer& peer = {});
  // Cuts all visitors off; `closed` is called when none is left, from the loop or at once.
  void close(std::function<void()> closed);

  [[nodiscard]] std::size_t connections() const { return visits_.size(); }

 private:
  class Visit;

  void gone(const Visit& visit);
  void respond(std::uint64_t visit, const policy::HttpAnswer& answer);

  tunnel::io::Clock& clock_;
  const Answer answer_;
  const Order order_;
  std::uint64_t next_ = 0;
  std::list<std::unique_ptr<Visit>> visits_;
  std::function<void()> closed_;
};

}  // namespace proxy

// Answers questions about the gate itself: one GET of HTTP on each connection. Requests, answers,
// connections and their time are bounded, so that whoever asks badly or does not read hurts nobody.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <string_view>

#include "policy/http.h"
#include "tunnel/io/clock.h"
#include "tunnel/io/stream.h"

namespace proxy {

class HttpDesk {
 public:
  static constexpr std::size_t kMostConnections = 16;
  static constexpr std::size_t kLongestLine = 1024;
  static constexpr std::size_t kMostFields = 64;
  static constexpr std::size_t kLongestFields = 8192;
  // From the first byte to the last one of the answer.
  static constexpr tunnel::io::Milliseconds kPatience{10000};

  // The answer to a GET: `path` begins with / and is without its query, `accept` is what the
  // request says of that name.
  using Answer = std::function<policy::HttpAnswer(std::string_view path, std::string_view accept)>;

  // The clock outlives it.
  HttpDesk(tunnel::io::Clock& clock, Answer answer);
  HttpDesk(const HttpDesk&) = delete;
  HttpDesk& operator=(const HttpDesk&) = delete;
  // close() is through, or nobody ever came.
  ~HttpDesk();

  // With one too many, whoever has been asking for longest is cut off.
  void accept(std::unique_ptr<tunnel::io::Stream> stream);
  // Cuts off whoever is there; `closed` is called when nobody is, from the loop or at once.
  void close(std::function<void()> closed);

  [[nodiscard]] std::size_t connections() const { return visits_.size(); }

 private:
  class Visit;

  void gone(const Visit& visit);

  tunnel::io::Clock& clock_;
  Answer answer_;
  std::list<std::unique_ptr<Visit>> visits_;
  std::function<void()> closed_;
};

}  // namespace proxy

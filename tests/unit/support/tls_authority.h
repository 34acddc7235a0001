// Certificate authorities, certificates, keys and CRLs for the tests of TLS, made by the test
// itself; and folders to put them in.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace test {

struct Issued {
  std::string certificate;  // PEM
  std::string key;          // PEM
  unsigned serial = 0;
};

struct Wish {
  std::string subject = "CN=server";
  std::vector<std::string> dns{};
  std::vector<std::string> addresses{};
  int from_days = -1;  // from now
  int to_days = 30;
  bool is_ca = false;
  bool only_signs = false;  // its key usage allows no key encipherment
  // The DER object identifier of the only purpose; empty: all purposes.
  std::string purpose{};
};

inline const std::string kServerPurpose = "\x2b\x06\x01\x05\x05\x07\x03\x01";
inline const std::string kClientPurpose = "\x2b\x06\x01\x05\x05\x07\x03\x02";

struct CrlWish {
  std::vector<unsigned> revoked{};
  int from_days = -1;
  int to_days = 30;
};

class Authority {
 public:
  explicit Authority(const std::string& subject = "CN=Test CA", int from_days = -1,
                     int to_days = 30);
  ~Authority();
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  [[nodiscard]] const std::string& certificate() const;
  Issued issue(const Wish& wish);
  [[nodiscard]] std::string crl(const CrlWish& wish) const;
  // An authority whose certificate this one has signed.
  std::unique_ptr<Authority> intermediate(const std::string& subject);

 private:
  struct State;
  explicit Authority(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace test

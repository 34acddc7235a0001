// Certificate authorities, certificates, keys and CRLs for the tests of TLS, made by the test
// itself; and folders to put them in.
#pragma once

#include <cstdint>
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

enum class KeyKind : std::uint8_t { ecdsa, ed25519, short_rsa };

struct Wish {
  std::string subject = "CN=server";
  std::vector<std::string> dns{};
  std::vector<std::string> addresses{};
  int from_days = -1;  // from now
  int to_days = 30;
  bool is_ca = false;
  bool only_signs = false;  // its key usage allows no key encipherment
  // The object identifier of the only purpose; empty: all purposes.
  std::string purpose{};
  KeyKind kind = KeyKind::ecdsa;
  bool sha1 = false;       // signed with it
  std::string excluded{};  // a DNS name that a CA excludes; empty: none
};

inline const std::string kServerPurpose = "1.3.6.1.5.5.7.3.1";
inline const std::string kClientPurpose = "1.3.6.1.5.5.7.3.2";

struct CrlWish {
  std::vector<unsigned> revoked{};
  int from_days = -1;
  int to_days = 30;
};

class Authority {
 public:
  explicit Authority(const std::string& subject = "CN=Test CA", int from_days = -1,
                     int to_days = 30);
  explicit Authority(Wish wish);
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

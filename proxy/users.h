// What the clients of one user hold together: connections, and bytes that wait for them to be read.
#pragma once

#include <cstdint>
#include <map>
#include <set>

#include <sys/types.h>

namespace proxy {

class Client;

struct User {
  uid_t uid = 0;
  std::uint32_t clients = 0;
  std::uint64_t buffered = 0;
  std::set<Client*> writing;  // clients with a share in `buffered`
  std::set<Client*> held;     // clients that wait until it is small enough
};

class Users {
 public:
  // The entry lives as long as its user has clients.
  User& arrive(uid_t uid) {
    User& user = users_.try_emplace(uid).first->second;
    user.uid = uid;
    ++user.clients;
    return user;
  }
  void leave(User& user) {
    if (--user.clients == 0) users_.erase(user.uid);
  }

 private:
  std::map<uid_t, User> users_;
};

}  // namespace proxy

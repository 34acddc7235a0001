// Which objects clients mean by a name or an id, as the daemon said when it was asked for them, so
// that calls by name, id and UUID are about one subject: what hangs hangs however it is called.
// This only decides which calls wait for each other, never what is asked or answered.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <string>
#include <utility>

#include "policy/message.h"
#include "policy/subject.h"
#include "proxy/upstream/call.h"

namespace proxy {

class Names {
 public:
  // Beyond that the oldest is forgotten.
  static constexpr std::size_t kMost = 8192;

  // What a look-up by name or id was answered; other calls are passed over.
  void learn(const Call& call, const policy::Frame& reply);
  // Of a look-up that clients send: its subject is the object itself, if that is known.
  void resolve(Call& call) const;
  void clear();
  [[nodiscard]] std::size_t count() const { return objects_.size(); }

 private:
  using Key = std::pair<policy::SubjectKind, std::string>;
  struct Object {
    std::string uuid;
    std::string name;
    std::list<const Key*>::iterator age;
  };

  void forget(const Key& key);

  std::map<Key, Object> objects_;
  std::list<const Key*> ages_;  // the oldest first
};

}  // namespace proxy

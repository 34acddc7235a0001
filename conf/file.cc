#include "conf/file.h"

#include <utility>

#include "base/file.h"

namespace conf {
namespace {

Unreadable error_of(const base::FileError& error) {
  return {error.code, error.code == 0 ? error.why : "cannot be read: " + error.why};
}

}  // namespace

base::Result<std::string, Unreadable> read_file(const std::string& path, std::size_t most) {
  const auto file = base::read_file(path, most);
  if (!file) return base::Failure{error_of(file.error())};
  return std::string(file->text.text());
}

base::Result<base::Secret, Unreadable> read_secret_file(const std::string& path, std::size_t most,
                                                        uid_t uid) {
  auto file = base::read_file(path, most);
  if (!file) return base::Failure{error_of(file.error())};
  if (const auto why = base::exposed(*file, uid)) {
    return base::Failure{Unreadable{0, "holds passwords and is refused: " + *why}};
  }
  return std::move(file->text);
}

}  // namespace conf

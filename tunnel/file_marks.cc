#include "tunnel/file_marks.h"

#include <cstdint>

#include <sys/stat.h>

namespace tunnel {

std::string file_marks(const std::vector<std::string>& paths, io::Whereabouts& whereabouts) {
  std::string out;
  const auto add = [&out](auto number) { out += std::to_string(number) + ' '; };
  for (const std::string& path : paths) {
    struct stat is {};
    out += path;
    out += '\0';
    whereabouts.at(path);
    if (::stat(path.c_str(), &is) != 0) continue;
    add(is.st_dev);
    add(is.st_ino);
    add(is.st_size);
    for (const timespec& time : {is.st_mtim, is.st_ctim}) {
      add(time.tv_sec);
      add(time.tv_nsec);
    }
  }
  return out;
}

void FileMarks::note(io::Whereabouts& whereabouts) {
  std::string now = file_marks(paths_(whereabouts), whereabouts);
  const std::lock_guard lock(mutex_);
  if (!first_) {
    first_ = std::move(now);
  } else if (*first_ != now) {
    differed_ = true;
  }
}

bool FileMarks::changed(io::Whereabouts& whereabouts) const {
  std::optional<std::string> first;
  {
    const std::lock_guard lock(mutex_);
    if (differed_) return true;
    first = first_;
  }
  return first && *first != file_marks(paths_(whereabouts), whereabouts);
}

}  // namespace tunnel

#include "tunnel/file_marks.h"

#include <cstdint>

#include <sys/stat.h>

namespace tunnel {

std::string file_marks(const std::vector<std::string>& paths) {
  std::string out;
  const auto add = [&out](auto number) { out += std::to_string(number) + ' '; };
  for (const std::string& path : paths) {
    struct stat is {};
    out += path;
    out += '\0';
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

void FileMarks::note() {
  std::string now = file_marks(paths_());
  if (!first_) {
    first_ = std::move(now);
  } else if (*first_ != now) {
    differed_ = true;
  }
}

bool FileMarks::changed() const { return differed_ || (first_ && *first_ != file_marks(paths_())); }

}  // namespace tunnel

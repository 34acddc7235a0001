#include "proxy/report/textfile.h"

#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

namespace proxy {
namespace {

constexpr mode_t kMode = 0644;

// Others may write in the folder: what is there is neither opened nor followed. The mode is set
// apart, because the umask of a service takes away what others may do.
bool write_file(const std::string& path, std::string_view text) {
  ::unlink(path.c_str());
  const base::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kMode));
  return file.ok() && ::fchmod(file.get(), kMode) == 0 && base::write_all(file.get(), text);
}

}  // namespace

std::optional<std::string> replace_file(const std::string& path, std::string_view text) {
  const std::string fresh = path + ".new";
  if (write_file(fresh, text) && std::rename(fresh.c_str(), path.c_str()) == 0) return std::nullopt;
  const int error = errno;
  ::unlink(fresh.c_str());
  return path + " cannot be written: " + base::system_words(error);
}

}  // namespace proxy

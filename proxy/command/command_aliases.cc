#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "conf/aliases.h"
#include "conf/config.h"
#include "conf/environment.h"
#include "conf/libvirt_conf.h"
#include "conf/socket_path.h"
#include "proxy/command/choose_target.h"
#include "proxy/command/command_text.h"
#include "proxy/command/commands.h"

namespace proxy {
namespace {

// Nobody reads half of it, and a file that is a link is replaced where it is.
bool replace_file(const std::string& path, const std::string& text, std::string& why) {
  std::error_code error;
  const std::filesystem::path real = std::filesystem::weakly_canonical(path, error);
  const std::string to = error ? path : real.string();
  std::filesystem::create_directories(std::filesystem::path(to).parent_path(), error);
  std::string fresh = to + ".XXXXXX";
  const base::Fd file(::mkostemp(fresh.data(), O_CLOEXEC));
  struct stat old {};
  const mode_t mode = ::stat(to.c_str(), &old) == 0 ? old.st_mode & 07777 : 0644;
  if (file.ok() && base::write_all(file.get(), text) && ::fchmod(file.get(), mode) == 0 &&
      ::fsync(file.get()) == 0 && ::rename(fresh.c_str(), to.c_str()) == 0) {
    return true;
  }
  why = to + ": " + base::system_words(errno);
  if (file.ok()) ::unlink(fresh.c_str());
  return false;
}

int install(const std::string& lines) {
  const std::string path = conf::libvirt_conf_path(conf::process_environment());
  std::string before;
  if (auto file = base::read_file(path, conf::kLargestLibvirtConf)) {
    before = file->text.text();
  } else if (!file.error().missing()) {
    complain(file.error().text);
    return 1;
  }
  const auto after = conf::with_aliases(before, lines);
  if (!after) {
    complain(path + ": " + after.error());
    return 1;
  }
  std::string why;
  if (!replace_file(path, *after, why)) {
    complain(why);
    return 1;
  }
  std::printf("%s\n", base::printable(path).c_str());
  return 0;
}

}  // namespace

int aliases(const AliasesOptions& options) {
  const auto loaded = sound_configuration(options.config);
  if (!loaded) return 1;
  if (options.socket) {
    if (const auto wrong = conf::wrong_socket_path(*options.socket)) {
      complain(*wrong);
      return 2;
    }
  }
  const conf::Config& config = loaded->config;
  const auto listen = std::find_if(config.listen.begin(), config.listen.end(),
                                   [&](const conf::Listen& one) { return config.speaks_rpc(one); });
  if (!options.socket && listen == config.listen.end()) {
    complain("no [[listen]] speaks libvirt's RPC");
    return 1;
  }
  const std::string socket = options.socket ? *options.socket : listen->path;
  const std::string lines = conf::alias_lines(config, socket);
  if (options.install) return install(lines);
  std::fputs(lines.c_str(), stdout);
  return 0;
}

}  // namespace proxy

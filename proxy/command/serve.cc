#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/stat.h>
#include <sysexits.h>

#include "base/process.h"
#include "conf/text.h"
#include "proxy/command/check.h"
#include "proxy/command/command_text.h"
#include "proxy/command/commands.h"
#include "proxy/record/audit_file.h"
#include "proxy/record/last_words.h"
#include "proxy/service/confine.h"
#include "proxy/service/service.h"
#include "proxy/service/settings.h"
#include "proxy/service/system_calls.h"
#include "tunnel/io/descriptors.h"
#include "tunnel/ssh/library_files.h"

namespace proxy {
namespace {

// Below TimeoutStartSec= of the unit.
constexpr std::chrono::seconds kStartPatience{15};

int start_failed(Log& log, const std::vector<std::string>& reasons) {
  for (const std::string& reason : reasons) {
    log.line(Level::error, "start-failed").with("reason", reason);
  }
  return 1;
}

void make_default_folder(const conf::Config& config, const conf::Environment& environment,
                         Log& log) {
  const std::string folder = default_socket_folder(environment);
  bool used = false;
  for (const conf::Listen& listen : config.listen)
    used = used || listen.path == folder + "/" + kDefaultSocket;
  if (!used || ::mkdir(folder.c_str(), environment.uid == 0 ? 0755 : 0700) == 0 || errno == EEXIST)
    return;
  log.line(Level::error, "listen-failed")
      .with("reason", "cannot make the folder " + folder + ": " + std::strerror(errno));
}

// In milliseconds, of tests that want to know of longer ones.
std::optional<tunnel::io::Milliseconds> longest_turn() {
  const char* text = std::getenv("VIRTGATE_LONGEST_TURN");
  if (text == nullptr) return std::nullopt;
  const auto most = conf::decimal(text, 60000);
  return most ? std::optional(tunnel::io::Milliseconds(*most)) : std::nullopt;
}

}  // namespace

// Clients of sockets that were passed to us are answered, also where nothing can be served.
int serve(const ServeOptions& options, Log& log) {
  if (options.check) return check(options.sources, {options.strict, options.json});
  const bool passed = std::getenv("LISTEN_FDS") != nullptr;
  auto reading = read_all_within(options.sources, kStartPatience);
  std::vector<std::string> mistakes;
  if (!reading) mistakes = reading.error();
  for (const std::string& mistake : mistakes) complain(mistake);
  if (!reading && !passed) return 1;
  if constexpr (!kBuiltWithSanitizers) refuse_rings();
  std::signal(SIGPIPE, SIG_IGN);
  tunnel::io::raise_descriptor_limit();
  tunnel::ssh::read_library_files();
  // Or each tunnel would ask NSS for it, in the loop.
  ::setenv("HOME", base::home_folder().c_str(), 1);
  std::shared_ptr<AuditFile> audit;
  if (reading) {
    make_default_folder(reading->config, conf::process_environment(), log);
    auto opened = AuditFile::open(reading->config.audit);
    // No client is served before the audit file is open.
    if (!opened) mistakes = {opened.error()};
    if (opened) audit = std::move(*opened);
  }
  if (!mistakes.empty() && !passed) return start_failed(log, mistakes);
  const Reading told = mistakes.empty() ? std::move(*reading) : nothing_read(options.sources);
  const Confinement& needs = told.needs;
  const Sources sources = options.sources;
  Service service(log, std::move(audit), told,
                  {[sources] { return read_all(sources); }, [sources] { return stamps(sources); }},
                  std::move(mistakes));
  const MemoryAccount account([&] { return service.memory_use(); });
  if (const auto most = longest_turn()) service.measure(*most);
  if (!service.open_doors()) return 1;
  Confined confined = confine(needs);
  log_confined(confined, log);
  const Service::End end = service.run(std::move(confined.held));
  // From here on the loop hears no signal, and one more must not make a failure of a good end.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  sigprocmask(SIG_BLOCK, &ends, nullptr);
  log.line(Level::info, "stopped");
  return end == Service::End::configured ? EX_TEMPFAIL : 0;
}

}  // namespace proxy

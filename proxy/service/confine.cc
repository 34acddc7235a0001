#include "proxy/service/confine.h"

#include <utility>

#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/fd.h"
#include "proxy/service/landlock.h"
#include "proxy/service/system_calls.h"

namespace proxy {
namespace {

std::string no_new_privileges() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) return "none";
  return "not prevented: " + base::system_words(errno);
}

// Not dumpable means too that nobody of our own user can look into the process.
std::string no_core_dumps() {
  const rlimit nothing{0, 0};
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && setrlimit(RLIMIT_CORE, &nothing) == 0) {
    return "none";
  }
  return "not prevented: " + base::system_words(errno);
}

}  // namespace

Confined confine(const Confinement& confinement) {
  Confined out;
  out.held = confinement;
  out.new_privileges = no_new_privileges();
  out.core_dumps = no_core_dumps();
  if constexpr (kBuiltWithSanitizers) {
    out.files = out.ports = out.system_calls = "all: built with sanitizers";
    out.held.runs_programs = true;
    return out;
  }
  if (confinement.runs_programs) {
    out.files = out.ports = "all: targets need programs";
  } else {
    Landlocked landlocked = restrict_with_landlock(confinement);
    out.files = std::move(landlocked.files);
    out.ports = std::move(landlocked.ports);
    out.held = std::move(landlocked.held);
  }
  out.system_calls = restrict_system_calls(confinement.runs_programs);
  return out;
}

void log_confined(const Confined& confined, Log& log) {
  log.line(Level::info, "confined")
      .with("new_privileges", confined.new_privileges)
      .with("core_dumps", confined.core_dumps)
      .with("files", confined.files)
      .with("ports", confined.ports)
      .with("system_calls", confined.system_calls);
}

}  // namespace proxy

#include "conf/resolve.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "base/process.h"
#include "conf/drivers.h"
#include "conf/resolve_remote.h"
#include "conf/text.h"

namespace conf {
namespace {

using Wrong = std::optional<std::string>;

// Drivers that reach a hypervisor on another host, without a daemon of libvirt.
constexpr std::array<std::string_view, 3> kHostDrivers = {"esx", "vpx", "gsx"};
constexpr std::array<std::string_view, 3> kVmwareDrivers = {"vmwareplayer", "vmwarews",
                                                            "vmwarefusion"};
// Drivers that can run inside a client altogether.
constexpr std::array<std::string_view, 2> kEmbeddedDrivers = {"qemu", "secret"};
constexpr const char* kOpenvz = "/proc/vz";

template <std::size_t N>
bool holds(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool only_small_letters(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

class Tracer {
 public:
  Tracer(const UriQuestion& question, const ClientEnvironment& environment,
         const LibvirtConf& libvirt, const Exists& exists)
      : question_(question), environment_(environment), libvirt_(libvirt), exists_(exists) {
    out_.input = question.text;
    out_.flags = question.flags & kConnectReadOnly;
  }

  Resolution run();

 private:
  Wrong work();
  void choose_text();
  void take(std::string source, const std::string& text);
  void rewrite_xen();
  Wrong replace_alias();
  Wrong parse();
  Wrong wrong_slashes() const;
  Wrong embed();
  Wrong choose_client_driver();
  void in_client(const std::string& step);
  void step(std::string text) { out_.steps.push_back(std::move(text)); }

  const UriQuestion& question_;
  const ClientEnvironment& environment_;
  const LibvirtConf& libvirt_;
  const Exists& exists_;
  std::optional<std::string> text_;
  bool in_client_ = false;
  Resolution out_;
};

Resolution Tracer::run() {
  out_.error = work();
  if (!out_.error) add_notes(out_, environment_, libvirt_);
  if (out_.error && text_ && text_->starts_with('/')) add_xend_notes(out_, *text_);
  return std::move(out_);
}

Wrong Tracer::work() {
  choose_text();
  if (text_) {
    rewrite_xen();
    if (Wrong wrong = replace_alias()) return wrong;
    if (Wrong wrong = parse()) return wrong;
    if (Wrong wrong = wrong_slashes()) return wrong;
    if (Wrong wrong = out_.path == "/embed" ? embed() : choose_client_driver()) return wrong;
    if (in_client_) return std::nullopt;
  } else if (exists_(kOpenvz)) {
    step("there is " + std::string(kOpenvz) +
         "; a client that may write to it opens openvz:///system, all others go on");
  }
  return resolve_remote(out_, environment_, libvirt_, exists_);
}

void Tracer::choose_text() {
  if (question_.text && !question_.text->empty()) return take("argument", *question_.text);
  step(question_.text ? "the argument is empty" : "there is no argument");
  if (!question_.text && !environment_.virsh_default_connect_uri.empty()) {
    take("VIRSH_DEFAULT_CONNECT_URI", environment_.virsh_default_connect_uri);
    step("this variable is virsh's alone, and deprecated; LIBVIRT_DEFAULT_URI is everybody's");
    return;
  }
  if (!environment_.libvirt_default_uri.empty()) {
    return take("LIBVIRT_DEFAULT_URI", environment_.libvirt_default_uri);
  }
  if (libvirt_.uri_default) return take("uri_default", *libvirt_.uri_default);
  out_.source = "probing";
  step("LIBVIRT_DEFAULT_URI is not set, and " + quoted(libvirt_conf_path(environment_.process)) +
       " has no uri_default: the daemon is asked to choose");
}

void Tracer::take(std::string source, const std::string& text) {
  const std::string where =
      source == "uri_default" ? "uri_default of " + quoted(libvirt_conf_path(environment_.process))
                              : (source == "argument" ? "the argument" : "the variable " + source);
  step(where + " says " + quoted(text));
  out_.source = std::move(source);
  text_ = text;
}

void Tracer::rewrite_xen() {
  if (!same_ignoring_case(*text_, "xen") && *text_ != "xen://") return;
  step(quoted(*text_) + " is an old way to say \"xen:///system\"");
  text_ = "xen:///system";
}

Wrong Tracer::replace_alias() {
  if ((question_.flags & kConnectNoAliases) != 0) {
    step("aliases were not wanted");
    return std::nullopt;
  }
  auto found = find_alias(libvirt_, *text_);
  if (!found) return found.error();
  if (!found->has_value()) return std::nullopt;
  if ((*found)->empty()) {
    step("the alias " + quoted(*text_) + " stands for nothing, so it is not used");
    return std::nullopt;
  }
  step("the alias " + quoted(*text_) + " of " + quoted(libvirt_conf_path(environment_.process)) +
       " stands for " + quoted(**found));
  out_.alias = std::exchange(text_, std::move(**found));
  return std::nullopt;
}

Wrong Tracer::parse() {
  auto parsed = parse_uri(*text_);
  if (!parsed) {
    const UriError& error = parsed.error();
    return quoted(*text_) + " cannot be parsed as a URI: " + error.text + ", at byte " +
           std::to_string(error.offset + 1);
  }
  // Written as a URI again, it would have the password for its user.
  if (parsed->host.empty() && !parsed->path.starts_with('/') &&
      parsed->path.find('@') != std::string::npos) {
    return quoted(*text_) +
           " names no host, which follows two slashes as in DRIVER://USER@HOST/; "
           "is this a user, a password and a host?";
  }
  out_.parsed = std::move(parsed).value();
  out_.uri = shown_uri(out_.parsed, *text_);
  out_.driver = out_.parsed.driver;
  out_.user = out_.parsed.user;
  out_.host = out_.parsed.host;
  out_.port = out_.parsed.port;
  out_.path = out_.parsed.path;
  return std::nullopt;
}

Wrong Tracer::wrong_slashes() const {
  const Uri& uri = out_.parsed;
  const bool slip = uri.host == "system" || uri.host == "session";
  if (!slip || !uri.transport.empty() || !is_slash_driver(uri.driver)) return std::nullopt;
  return quoted(out_.uri) + " has " + quoted(uri.host) + " as its host; " +
         quoted(uri.driver + ":///" + uri.host) + " has it as its path";
}

Wrong Tracer::embed() {
  const Uri& uri = out_.parsed;
  if (!uri.transport.empty() || !only_small_letters(uri.driver)) {
    return "the path /embed means a driver inside the client, which goes with neither a transport "
           "nor capital letters";
  }
  const auto root = uri.parameter("root");
  if (!root) return "a driver inside the client needs root=, the folder of its files";
  if (!root->starts_with('/')) return "root= is " + quoted(*root) + "; it must be absolute";
  if (!holds(kEmbeddedDrivers, uri.driver)) {
    return "the driver " + quoted(uri.driver) + " cannot run inside a client";
  }
  in_client("the path /embed means the driver " + quoted(uri.driver) +
            " inside the client, with its files in " + quoted(*root));
  return std::nullopt;
}

// In the order in which the library asks its drivers; the remote driver takes what is left.
Wrong Tracer::choose_client_driver() {
  const Uri& uri = out_.parsed;
  if (!uri.transport.empty()) return std::nullopt;
  if (same_ignoring_case(uri.driver, "hyperv")) {
    return "the driver " + quoted(uri.driver) +
           " works inside the client, and libvirt is seldom built with it (Debian's is not)";
  }
  if (holds(kHostDrivers, uri.driver)) {
    if (uri.host.empty()) return "the driver " + quoted(uri.driver) + " needs a host";
    in_client("the driver " + quoted(uri.driver) +
              " works inside the client and speaks the hypervisor's own protocol");
    return std::nullopt;
  }
  if (!uri.host.empty()) return std::nullopt;
  if (uri.driver == "openvz" && !exists_(kOpenvz)) {
    return "the driver \"openvz\" works inside the client, and there is no " + std::string(kOpenvz);
  }
  if (uri.driver == "test" || uri.driver == "openvz" || holds(kVmwareDrivers, uri.driver)) {
    in_client("the driver " + quoted(uri.driver) +
              " works inside the client where the URI has neither transport nor host");
  }
  return std::nullopt;
}

void Tracer::in_client(const std::string& text) {
  in_client_ = true;
  out_.secure = true;
  step(text);
  for (const auto& [name, value] : out_.parsed.parameters) {
    out_.parameters.push_back({name, value, ParameterUse::driver});
  }
}

}  // namespace

ClientEnvironment client_environment() {
  ClientEnvironment out;
  out.process = process_environment();
  out.virsh_default_connect_uri = base::variable("VIRSH_DEFAULT_CONNECT_URI");
  out.libvirt_default_uri = base::variable("LIBVIRT_DEFAULT_URI");
  if (const char* autostart = std::getenv("LIBVIRT_AUTOSTART")) out.libvirt_autostart = autostart;
  out.search_path = base::variable("PATH");
  return out;
}

std::string_view parameter_use_name(ParameterUse use) {
  switch (use) {
    case ParameterUse::here:
      return "used here";
    case ParameterUse::stripped:
      return "stripped";
    case ParameterUse::passed_on:
      return "passed on";
    case ParameterUse::dropped:
      return "dropped";
    case ParameterUse::overridden:
      return "overridden";
    case ParameterUse::driver:
      return "the driver's";
  }
  return "";
}

Resolution resolve(const UriQuestion& question, const ClientEnvironment& environment,
                   const LibvirtConf& libvirt, const Exists& exists) {
  return Tracer(question, environment, libvirt, exists).run();
}

}  // namespace conf

// Which target the word of a command means: one of the gate's configuration, or whatever libvirt's
// client would open, with the credentials of the user who runs the command.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "conf/config.h"
#include "conf/environment.h"
#include "conf/values.h"

namespace proxy {

struct Wanted {
  std::optional<std::string> what;  // a target's name, an alias or a URI; nothing: the default
  std::optional<std::string> config;
  bool insecure = false;  // what is not protected is accepted
};

struct Chosen {
  conf::TargetConfig target;
  // Under which the target's URI was read.
  conf::Environment environment;
  // The configuration that the target is in; nothing: it comes from a URI.
  std::optional<conf::Config> config;
  // Neither the command nor the environment nor libvirt.conf says what is to be opened, so that the
  // daemon of this host is left to choose.
  bool open_choice = false;
};

// What `file` says, or without one the usual configuration; nothing: it has mistakes, which have
// been told.
std::optional<conf::Loaded> sound_configuration(const std::optional<std::string>& file);

// "there is no target "hial"; did you mean "hail"?", or which ones there are.
std::string no_target(std::string_view name, const conf::Config& config);

// The error is a sentence, and empty when what is wrong has been told already.
base::Result<Chosen, std::string> choose_target(const Wanted& wanted);

}  // namespace proxy

// Where the settings of a gate come from: the command line, the configuration, the usual places.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "conf/config.h"
#include "conf/libvirt_conf.h"
#include "proxy/service/confinement.h"
#include "proxy/visitor/identities.h"

namespace proxy {

// The socket's name in default_socket_folder().
inline constexpr const char* kDefaultSocket = "virtgate-sock";

struct Sources {
  std::optional<std::string> config;  // a file; its conf.d beside it is read too
  std::vector<std::string> listen;    // addresses
  std::vector<std::string> targets;   // NAME=URI
};

// The files of a configuration as they are: two that are equal have the same contents.
using Stamps = std::vector<std::string>;
Stamps stamps(const Sources& options);

// What a gate is told.
struct Reading {
  conf::Config config;
  conf::LibvirtConf libvirt_conf;
  std::string control;  // the path of the control socket; empty: none
  Confinement needs;
  Identities identities;
  std::vector<std::string> lapsed;    // what is told and is not so, a sentence each
  std::vector<std::string> warnings;  // what is so, and probably not meant
  Stamps stamps;                      // of the files, taken before they were read
};
using ReadResult = base::Result<Reading, std::vector<std::string>>;

// What `options` and, where they name nothing, the usual places say; and every mistake in it.
conf::Loaded configuration(const Sources& options);

// The same with all else that a gate reads: mistakes and warnings are those of everything.
struct Judged {
  conf::Loaded loaded;
  conf::LibvirtConf libvirt_conf;
  Identities identities;
};
Judged judged(const Sources& options);

// The folder in which a gate of this process's user has its sockets.
std::string default_socket_folder(const conf::Environment& environment);

// All that a gate is told, read and checked. The error has a sentence for each mistake.
// It asks NSS for users and groups, which can take long.
ReadResult read_all(const Sources& options);

// The same, in no more than that time: the look-ups then go on, and nobody hears of them.
ReadResult read_all_within(const Sources& options, std::chrono::milliseconds patience);

// A gate that serves nobody, for want of a configuration, but can be asked and told to read it.
Reading nothing_read(const Sources& options);

}  // namespace proxy

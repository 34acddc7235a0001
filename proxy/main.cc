#include <cstdio>
#include <exception>

#include <CLI/CLI.hpp>

#include "proxy/log.h"
#include "proxy/serve.h"

namespace {

constexpr int kUsedWrongly = 2;

int run(int argc, char** argv) {
  CLI::App app{"Shows libvirt's machines on remote hypervisors to people who may only look.",
               "virtgate"};
  app.set_version_flag("--version", "virtgate " VIRTGATE_VERSION);
  app.require_subcommand(1);
  bool verbose = false;
  app.add_flag("-v,--verbose", verbose, "Log more");

  proxy::ServeOptions serve;
  CLI::App* command = app.add_subcommand("serve", "Run the gate in the foreground");
  command
      ->add_option("--config", serve.config,
                   "Configuration file; conf.d/*.toml beside it is read too")
      ->type_name("FILE");
  command->add_option("--listen", serve.listen, "A socket to listen on besides; @NAME is abstract")
      ->type_name("PATH");
  command->add_option("--target", serve.targets, "A target besides")->type_name("NAME=URI");
  command->add_flag("--check", serve.check, "Report every mistake in the configuration, and end");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsedWrongly;
  }
  const auto log = proxy::make_stderr_log(verbose ? proxy::Level::debug : proxy::Level::info);
  return proxy::serve(serve, *log);
}

}  // namespace

// The one place where something may throw: CLI11 has no other way to say what is wrong.
int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "virtgate: %s\n", error.what());
    return kUsedWrongly;
  }
}

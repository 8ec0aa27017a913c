#pragma once
// The command line: what people type. Every subcommand is a client of the daemon's HTTP API
// (docs/api.md), except those that need no daemon (policy check, init, verify, completion) and
// `gavel up`, which starts it through a hook, because only the application layer can.
//
//   argv ──parser──► Command tree ──run──► Context ──► Client ──HTTP──► daemon
//                        └──► completion scripts, docs/cli.md

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace gavel {

// What `gavel up` was asked for. Empty strings mean "not given".
struct UpOptions {
  std::string config_path;          // of the policy file; empty: <state>/gavel.yaml if it exists
  std::string state_directory;      // absolute
  std::string listen;               // "HOST:PORT"; empty: what the policy says
  std::string log_level;            // "error", "warn", "info", "debug"
  std::uint64_t poll_micros = 200;  // how long the loop looks for more work before it sleeps
};

// What only the application layer can do.
struct CliHooks {
  // Runs the daemon until it is told to stop; returns the exit code.
  std::function<int(const UpOptions&)> up;
  std::string version;  // "0.1.0"
};

// Runs one command and returns its exit code (docs/exit-codes.md). Never throws.
int run_cli(int argc, char** argv, const CliHooks& hooks);

}  // namespace gavel

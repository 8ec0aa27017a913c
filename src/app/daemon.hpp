#pragma once
// The daemon: the product composed from the real clock, disk, network and processes. run_daemon
// builds and connects everything in reading order, serves until SIGINT or SIGTERM, and takes it
// down in the reverse order.

#include <string_view>

#include "cli/cli.hpp"

namespace gavel {

inline constexpr std::string_view kVersion = "0.1.0";

// Returns the process's exit code (docs/exit-codes.md).
int run_daemon(const UpOptions& options);

}  // namespace gavel

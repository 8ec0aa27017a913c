#pragma once
// One command line in one world: what run_cli does, without touching the process.

#include <string>
#include <vector>

#include "cli/cli.hpp"
#include "cli/world.hpp"

namespace gavel {

// Returns the exit code.
int run_command_line(std::vector<std::string> words, World& world, const CliHooks& hooks);

}  // namespace gavel

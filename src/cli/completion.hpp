#pragma once
// Completion scripts for shells, made from the command tree. Values that only the daemon knows
// (sessions, intents, tools) come from the hidden `gavel __values KIND` while the user types.

#include <string>

#include "cli/command.hpp"

namespace gavel {

std::string bash_completion(const Command& root);
std::string zsh_completion(const Command& root);
std::string fish_completion(const Command& root);

}  // namespace gavel

#pragma once
// What each program's configuration must say so that its own tools go through Gavel, as an edit of
// that file's text. Pure; setup.cpp shows and writes the files.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "cli/world.hpp"
#include "protocol/hooks.hpp"

namespace gavel {

// The program's file: the user's own, or the project's. Error: invalid_argument without a home.
enum class HookPlace { user, project };
Result<std::filesystem::path> hook_path(const World& world, AgentProgram program, HookPlace place);

// How a program asks: by running a command, or by a request over HTTP.
struct HookWay {
  std::vector<std::string> command;
  std::string url;  // of programs with such hooks, instead of the command
};

// The file's text with Gavel's hooks in it; anything else stays as it was.
Result<std::string> with_hooks(AgentProgram program, std::string_view text, const HookWay& way);
// Without them; empty where nothing else was in it.
Result<std::string> without_hooks(AgentProgram program, std::string_view text);

// Gavel's hooks as they stand in a file.
struct FoundHooks {
  std::string command;  // what is run before a tool, as a shell takes it
  std::string url;      // or asked
  bool whole = false;   // every event has it, just as with_hooks writes it
};
// Nothing where no tool is asked for first. Errors: those of with_hooks.
Result<std::optional<FoundHooks>> find_hooks(AgentProgram program, std::string_view text);

// The lines that change, with those around them, as in a unified diff; empty where none do.
std::string line_diff(std::string_view before, std::string_view after);

// What the program's user must know or do beside it.
std::string_view setup_note(AgentProgram program);

}  // namespace gavel

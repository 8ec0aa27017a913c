#pragma once
// What each program's configuration must say so that its own tools go through Gavel, as an edit of
// that file's text. Pure; setup.cpp finds, shows and writes the files.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "protocol/hooks.hpp"

namespace gavel {

// Where the program's configuration is, under the home directory ("~/...") or the project's.
struct HookFile {
  std::string home;
  std::string variable;  // that names the directory instead, for the user's own; may be empty
  std::string below;     // the file in that directory
  std::string project;
};
HookFile hook_file_of(AgentProgram program);

// The file's text with Gavel's hooks in it; anything else stays as it was. `command` runs the hook
// and is what a shell takes.
Result<std::string> with_hooks(AgentProgram program, std::string_view text,
                               const std::vector<std::string>& command);
// Without them; empty where nothing else was in it.
Result<std::string> without_hooks(AgentProgram program, std::string_view text);

// The lines that change, with those around them, as in a unified diff; empty where none do.
std::string line_diff(std::string_view before, std::string_view after);

// What the program's user must know or do beside it.
std::string_view setup_note(AgentProgram program);

}  // namespace gavel

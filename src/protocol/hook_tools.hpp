#pragma once
// Which of Gavel's names a program's own tool has, and where its arguments say what it touches.

#include <string_view>

#include "protocol/hooks.hpp"

namespace gavel {

enum class ToolShape {
  plain,    // its arguments name nothing on this machine
  command,  // a shell command, as a text or a list of words
  path,     // one file or a list of them
  folder,   // a folder; the current one where it is absent
  patch,    // a patch that names its files
};

struct OwnTool {
  AgentProgram program;
  std::string_view name;  // the program's
  std::string_view own;   // Gavel's, after "own__"
  ToolShape shape = ToolShape::plain;
  std::string_view keys = "";  // arguments that may hold it, separated by spaces; the first counts
};

// No program has such a tool: forbidden_event asks for it.
inline constexpr std::string_view kForbiddenEventTool = "forbidden";

// Null for tools that are not known: they are unlisted, so destructive.
const OwnTool* find_own_tool(AgentProgram program, std::string_view name);

}  // namespace gavel

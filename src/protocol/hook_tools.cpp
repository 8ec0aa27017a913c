#include "protocol/hook_tools.hpp"

#include <algorithm>
#include <iterator>

namespace gavel {
namespace {

using enum AgentProgram;
using enum ToolShape;

constexpr OwnTool kTools[] = {
    {claude_code, "AskUserQuestion", "note"},
    {claude_code, "Agent", "task"},
    {claude_code, "Bash", "shell", command, "command"},
    {claude_code, "BashOutput", "note"},
    {claude_code, "Edit", "edit", path, "file_path"},
    {claude_code, "EnterPlanMode", "note"},
    {claude_code, "ExitPlanMode", "note"},
    {claude_code, "Glob", "list", folder, "path"},
    {claude_code, "Grep", "search", folder, "path"},
    {claude_code, "KillShell", "note"},
    {claude_code, "LS", "list", folder, "path"},
    {claude_code, "MultiEdit", "edit", path, "file_path"},
    {claude_code, "NotebookEdit", "edit", path, "notebook_path"},
    {claude_code, "NotebookRead", "read", path, "notebook_path"},
    {claude_code, "Read", "read", path, "file_path"},
    {claude_code, "Task", "task"},
    {claude_code, "TaskCreate", "note"},
    {claude_code, "TaskGet", "note"},
    {claude_code, "TaskList", "note"},
    {claude_code, "TaskOutput", "note"},
    {claude_code, "TaskStop", "note"},
    {claude_code, "TaskUpdate", "note"},
    {claude_code, "TodoWrite", "note"},
    {claude_code, "ToolSearch", "note"},
    {claude_code, "WebFetch", "fetch"},
    {claude_code, "WebSearch", "web-search"},
    {claude_code, "Write", "edit", path, "file_path"},
    {claude_code, kForbiddenEventTool, "forbidden"},

    {codex, "Bash", "shell", command, "command cmd"},
    {codex, "apply_patch", "edit", patch, "command input patch"},
    {codex, "exec_command", "shell", command, "cmd command"},
    {codex, "local_shell", "shell", command, "command cmd"},
    {codex, "shell", "shell", command, "command cmd"},
    {codex, "update_plan", "note"},
    {codex, "view_image", "read", path, "path"},
    {codex, "web_search", "web-search"},
    {codex, kForbiddenEventTool, "forbidden"},

    {gemini, "glob", "list", folder, "dir_path path"},
    {gemini, "google_web_search", "web-search"},
    {gemini, "grep_search", "search", folder, "dir_path path"},
    {gemini, "list_directory", "list", folder, "dir_path path"},
    {gemini, "read_file", "read", path, "file_path absolute_path path"},
    {gemini, "replace", "edit", path, "file_path"},
    {gemini, "run_shell_command", "shell", command, "command"},
    {gemini, "search_file_content", "search", folder, "dir_path path"},
    {gemini, "web_fetch", "fetch"},
    {gemini, "write_file", "edit", path, "file_path"},
    {gemini, "write_todos", "note"},
    {gemini, kForbiddenEventTool, "forbidden"},

    {opencode, "apply_patch", "edit", patch, "patchText"},
    {opencode, "bash", "shell", command, "command"},
    {opencode, "edit", "edit", path, "filePath"},
    {opencode, "glob", "list", folder, "path"},
    {opencode, "grep", "search", folder, "path"},
    {opencode, "list", "list", folder, "path"},
    {opencode, "multiedit", "edit", path, "filePath"},
    {opencode, "patch", "edit", patch, "patchText"},
    {opencode, "question", "note"},
    {opencode, "read", "read", path, "filePath"},
    {opencode, "task", "task"},
    {opencode, "todoread", "note"},
    {opencode, "todowrite", "note"},
    {opencode, "webfetch", "fetch"},
    {opencode, "websearch", "web-search"},
    {opencode, "write", "edit", path, "filePath"},
    {opencode, kForbiddenEventTool, "forbidden"},

    {cursor, "Edit", "edit", path, "file_path path target_file"},
    {cursor, "Glob", "list", folder, "target_directory path"},
    {cursor, "Grep", "search", folder, "path target_directory"},
    {cursor, "LS", "list", folder, "target_directory path"},
    {cursor, "Read", "read", path, "file_path path target_file"},
    {cursor, "Shell", "shell", command, "command"},
    {cursor, "StrReplace", "edit", path, "file_path path target_file"},
    {cursor, "Task", "task"},
    {cursor, "TodoWrite", "note"},
    {cursor, "WebFetch", "fetch"},
    {cursor, "WebSearch", "web-search"},
    {cursor, "Write", "edit", path, "file_path path target_file"},
    {cursor, kForbiddenEventTool, "forbidden"},
};

}  // namespace

const OwnTool* find_own_tool(AgentProgram program, std::string_view name) {
  const auto found = std::find_if(std::begin(kTools), std::end(kTools), [&](const OwnTool& tool) {
    return tool.program == program && tool.name == name;
  });
  return found == std::end(kTools) ? nullptr : found;
}

}  // namespace gavel

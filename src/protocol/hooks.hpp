#pragma once
// The hooks of agent programs: what each sends before and after it uses one of its own tools (its
// shell, its files, the web), in one form. docs/hooks.md has the table of names. Nothing here lets
// anything pass: what is not understood is an error, and errors block.

#include <optional>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"

namespace gavel {

enum class AgentProgram { claude_code, codex, gemini, opencode, cursor };
// "claude-code", "codex", "gemini", "opencode", "cursor"
std::string_view to_string(AgentProgram program);
std::optional<AgentProgram> agent_program_from(std::string_view name);

// prompt: the person said something, and no tool is used.
enum class HookMoment { before, after, prompt };

// How long a hook waits for a held call: by itself, and at most. Programs are told to wait longer.
inline constexpr std::uint64_t kHookWaitSeconds = 50;
inline constexpr std::uint64_t kHookWaitSecondsMax = 240;

struct HookSettings {
  // Where the agent works, from where it has no say in it; empty: the event's workspace roots, or
  // nothing counts as inside.
  std::string project;
  std::string server;      // what the program calls Gavel's own MCP server
  std::string daemon_url;  // where that is
};

struct HookEvent {
  HookMoment moment = HookMoment::before;
  std::string session;  // the program's name of its session, as a part of a log's name
  std::string call_id;  // the program's, which Gavel's MCP server sees too; may be empty
  std::string tool;     // Gavel's name: "own__shell"
  // `command`, `path` (a text or a list) or what the tool has; `directory`, `project`; `input`: the
  // rest as the program sent it.
  json::object arguments;
  // A tool of Gavel's own MCP server: it is decided, done and recorded there.
  bool through_gavel = false;

  // after:
  bool failed = false;
  std::string result;  // JSON text of a CallToolResult
  std::string reason;  // of failed

  std::string prompt;  // what the person said
};

// Errors: invalid_argument, with what is missing.
Result<HookEvent> read_hook(AgentProgram program, std::string_view text,
                            const HookSettings& settings);

// What the program would send before it uses own__forbidden, which no policy allows: for those who
// want to see that the guard refuses. `mark` is the call's id and its argument `input.mark`.
std::string forbidden_event(AgentProgram program, std::string_view session, std::string_view mark,
                            std::string_view directory);

// What the program is to see: both streams and the exit code. Exit code 2 blocks in all of them,
// and says why on standard error.
struct HookReply {
  std::string out;
  std::string err;
  int exit_code = 0;
};
inline constexpr int kHookBlocks = 2;
HookReply allowing_reply(AgentProgram program, HookMoment moment);
HookReply blocking_reply(AgentProgram program, std::string_view why);

// Whether its hooks may be HTTP requests. Their answer says nothing where the call may go on, and
// why where it may not: JSON text of a 200.
bool has_http_hooks(AgentProgram program);
std::string allowing_answer();
std::string blocking_answer(HookMoment moment, std::string_view why);

}  // namespace gavel

#include "cli/hook_setup.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.hpp"
#include "cli/json_edit.hpp"

namespace gavel {
namespace {

constexpr int kTimeoutSeconds = 600;
constexpr std::size_t kDiffLinesMax = 4'000;
constexpr std::size_t kDiffContext = 3;

// Where the program's configuration is, under the home directory or the project's.
struct HookFile {
  std::string home;
  std::string variable;  // that names the directory instead, for the user's own; may be empty
  std::string below;     // the file in that directory
  std::string project;
};

HookFile hook_file_of(AgentProgram program) {
  switch (program) {
    case AgentProgram::claude_code:
      return {".claude", "CLAUDE_CONFIG_DIR", "settings.json", ".claude/settings.json"};
    case AgentProgram::codex:
      return {".codex", "CODEX_HOME", "hooks.json", ".codex/hooks.json"};
    case AgentProgram::gemini:
      return {".gemini", "", "settings.json", ".gemini/settings.json"};
    case AgentProgram::opencode:
      return {".config/opencode", "OPENCODE_CONFIG_DIR", "plugin/gavel.js",
              ".opencode/plugin/gavel.js"};
    case AgentProgram::cursor:
      return {".cursor", "", "hooks.json", ".cursor/hooks.json"};
  }
  return {};
}

std::string as_word(std::string_view word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/._-:=@").find(c) != std::string_view::npos;
  });
  if (plain) return std::string(word);
  std::string out = "'";
  for (const char c : word) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

// Programs let a tool run where its hook's program is missing, is killed or exits with anything
// but 2.
std::string closed(const std::vector<std::string>& command) {
  std::string line;
  for (const auto& word : command) line += (line.empty() ? "" : " ") + as_word(word);
  return line + " || exit 2";
}

// The variables that `gavel run` sets.
constexpr std::pair<std::string_view, std::string_view> kHeaders[] = {
    {"Authorization", "Bearer $GAVEL_TOKEN"},
    {"Gavel-Session", "$GAVEL_SESSION"},
    {"Gavel-Epoch", "$GAVEL_EPOCH"},
    {"Gavel-Project", "$GAVEL_PROJECT"},
};

std::string hook_path_of(AgentProgram program) {
  return fmt::format("/v1/hooks/{}", to_string(program));
}

std::string_view path_of_url(std::string_view url) {
  const auto scheme = url.find("://");
  const auto path = scheme == std::string_view::npos ? scheme : url.find('/', scheme + 3);
  if (path == std::string_view::npos) return {};
  return url.substr(path, url.find('?') - path);
}

// Somebody else's hook may have the same path.
bool is_our_request(AgentProgram program, std::string_view element) {
  const auto parsed = parse_json(element);
  const auto* hooks = parsed ? find_array(*parsed, "hooks") : nullptr;
  if (!has_http_hooks(program) || hooks == nullptr || hooks->size() != 1) return false;
  const auto& hook = hooks->front();
  const auto* headers = find_object(hook, "headers");
  return string_or(hook, "type") == "http" &&
         path_of_url(string_or(hook, "url")) == hook_path_of(program) && headers != nullptr &&
         headers->contains("Gavel-Session");
}

bool is_ours(AgentProgram program, std::string_view element) {
  if (is_our_request(program, element)) return true;
  return element.find(fmt::format(" hook {}", to_string(program))) != std::string_view::npos &&
         element.find("|| exit 2") != std::string_view::npos;
}

std::vector<std::string> events_of(AgentProgram program) {
  switch (program) {
    case AgentProgram::claude_code:
      return {"PreToolUse", "PostToolUse", "PostToolUseFailure", "PermissionDenied",
              "UserPromptSubmit"};
    case AgentProgram::codex:
      return {"PreToolUse", "PostToolUse", "UserPromptSubmit"};
    case AgentProgram::gemini:
      return {"BeforeTool", "AfterTool"};
    case AgentProgram::cursor:
      return {"preToolUse", "postToolUse", "postToolUseFailure"};
    case AgentProgram::opencode:
      break;
  }
  return {};
}

std::string http_element(const std::string& url) {
  std::string headers;
  std::string variables;
  for (const auto& [name, value] : kHeaders) {
    headers += fmt::format("{}\n        \"{}\": \"{}\"", headers.empty() ? "" : ",", name, value);
    variables +=
        fmt::format("{}\"{}\"", variables.empty() ? "" : ", ", value.substr(value.find('$') + 1));
  }
  return fmt::format(
      "{{\n  \"hooks\": [\n    {{\n      \"type\": \"http\",\n      \"url\": {},\n"
      "      \"headers\": {{{}\n      }},\n      \"allowedEnvVars\": [{}],\n"
      "      \"timeout\": {},\n      \"onFailure\": \"block\"\n    }}\n  ]\n}}",
      write_json(json::value(json::string(url))), headers, variables, kTimeoutSeconds);
}

// `command` is what a shell takes.
std::string element_for(AgentProgram program, const std::string& command, const std::string& url) {
  if (!url.empty()) return http_element(url);
  const std::string line = write_json(json::value(json::string(command)));
  switch (program) {
    case AgentProgram::claude_code:
      return fmt::format(
          "{{\n  \"hooks\": [\n    {{\n      \"type\": \"command\",\n      \"command\": {},\n"
          "      \"timeout\": {},\n      \"onFailure\": \"block\"\n    }}\n  ]\n}}",
          line, kTimeoutSeconds);
    case AgentProgram::codex:
      return fmt::format(
          "{{\n  \"hooks\": [\n    {{\n      \"type\": \"command\",\n      \"command\": {},\n"
          "      \"timeout\": {}\n    }}\n  ]\n}}",
          line, kTimeoutSeconds);
    case AgentProgram::gemini:
      return fmt::format(
          "{{\n  \"hooks\": [\n    {{\n      \"name\": \"gavel\",\n      \"type\": \"command\",\n"
          "      \"command\": {},\n      \"timeout\": {}\n    }}\n  ]\n}}",
          line, kTimeoutSeconds * 1000);
    case AgentProgram::cursor:
      return fmt::format("{{\n  \"command\": {},\n  \"timeout\": {},\n  \"failClosed\": true\n}}",
                         line, kTimeoutSeconds);
    case AgentProgram::opencode:
      break;
  }
  return "";
}

// OpenCode has plugins instead of commands: this one runs the command and throws where it blocks.
constexpr std::string_view kPluginMark = "// Written by gavel setup opencode.";
constexpr std::string_view kPlugin = R"(
// Every tool that OpenCode runs by itself is asked for first and reported afterwards; what
// cannot be asked for is not run.
import { spawn } from "node:child_process"

const COMMAND = @COMMAND@

const hook = (event) =>
  new Promise((resolve, reject) => {
    const child = spawn(COMMAND[0], COMMAND.slice(1), { stdio: ["pipe", "ignore", "pipe"] })
    let said = ""
    child.stderr.on("data", (data) => {
      said += data
    })
    child.stdin.on("error", () => {})
    child.on("error", (error) =>
      reject(new Error("Blocked: Gavel's hook cannot run: " + error.message)),
    )
    child.on("close", (code) =>
      code === 0 ? resolve() : reject(new Error(said.trim() || "Blocked: Gavel's hook failed")),
    )
    child.stdin.end(JSON.stringify(event))
  })

export const Gavel = async ({ directory, worktree }) => {
  const running = new Map()
  const project = worktree && worktree !== "/" ? worktree : directory
  const event = (name, input, args) => ({
    hook_event_name: name,
    sessionID: input.sessionID,
    callID: input.callID,
    tool: input.tool,
    args: args ?? {},
    directory,
    workspace_roots: [project],
  })
  return {
    "tool.execute.before": async (input, output) => {
      const asked = event("tool.execute.before", input, output.args)
      await hook(asked)
      running.set(input.callID, { ...asked, args: structuredClone(asked.args) })
    },
    "tool.execute.after": async (input, output) => {
      const asked = running.get(input.callID)
      if (!asked) return
      running.delete(input.callID)
      const said = String(output.output ?? "")
      await hook({ ...asked, hook_event_name: "tool.execute.after", output: said })
    },
    event: async ({ event: seen }) => {
      const part = seen.type === "message.part.updated" ? seen.properties.part : undefined
      if (part?.type !== "tool" || part.state?.status !== "error") return
      const asked = running.get(part.callID)
      if (!asked) return
      running.delete(part.callID)
      const error = String(part.state.error ?? "")
      await hook({ ...asked, hook_event_name: "tool.execute.error", error })
    },
  }
}
)";

std::string plugin_for(const std::vector<std::string>& command) {
  json::array words;
  for (const auto& word : command) words.emplace_back(word);
  std::string text = std::string(kPluginMark) + std::string(kPlugin);
  constexpr std::string_view kPlace = "@COMMAND@";
  text.replace(text.find(kPlace), kPlace.size(), write_json(json::value(words)));
  return text;
}

std::optional<FoundHooks> find_plugin(std::string_view text) {
  constexpr std::string_view kBefore = "const COMMAND = ";
  const auto at = text.find(kBefore);
  if (!text.starts_with(kPluginMark) || at == std::string_view::npos) return std::nullopt;
  const auto rest = text.substr(at + kBefore.size());
  const auto words = parse_json(rest.substr(0, rest.find('\n')));
  if (!words || !words->is_array()) return std::nullopt;
  std::vector<std::string> command;
  for (const auto& word : words->get_array()) {
    if (!word.is_string()) return std::nullopt;
    command.emplace_back(view(word.get_string()));
  }
  return FoundHooks{closed(command), {}, plugin_for(command) == text};
}

// The "command" or "url" of an element of ours.
std::string member_in(const json::value& element, std::string_view name) {
  const auto* hooks = find_array(element, "hooks");
  const bool nested = hooks != nullptr && !hooks->empty();
  return std::string(string_or(nested ? hooks->front() : element, name));
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return lines;
}

struct DiffLine {
  char mark = ' ';
  std::string_view text;
};

std::vector<DiffLine> compare(const std::vector<std::string_view>& before,
                              const std::vector<std::string_view>& after) {
  std::vector<DiffLine> out;
  if (before.size() > kDiffLinesMax || after.size() > kDiffLinesMax) {
    for (const auto line : before) out.push_back({'-', line});
    for (const auto line : after) out.push_back({'+', line});
    return out;
  }
  // Length of the longest common run of lines from (i, j) on.
  const std::size_t width = after.size() + 1;
  std::vector<std::uint16_t> common((before.size() + 1) * width, 0);
  for (std::size_t i = before.size(); i-- > 0;) {
    for (std::size_t j = after.size(); j-- > 0;) {
      common[i * width + j] =
          before[i] == after[j] ? static_cast<std::uint16_t>(common[(i + 1) * width + j + 1] + 1)
                                : std::max(common[(i + 1) * width + j], common[i * width + j + 1]);
    }
  }
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < before.size() || j < after.size()) {
    if (i < before.size() && j < after.size() && before[i] == after[j]) {
      out.push_back({' ', before[i]});
      ++i;
      ++j;
    } else if (j == after.size() ||
               (i < before.size() && common[(i + 1) * width + j] >= common[i * width + j + 1])) {
      out.push_back({'-', before[i++]});
    } else {
      out.push_back({'+', after[j++]});
    }
  }
  return out;
}

}  // namespace

Result<std::filesystem::path> hook_path(const World& world, AgentProgram program, HookPlace place) {
  const HookFile file = hook_file_of(program);
  if (place == HookPlace::project) return std::filesystem::path(world.directory) / file.project;
  if (!file.variable.empty()) {
    if (const auto set = world.variable(file.variable)) {
      return std::filesystem::path(*set) / file.below;
    }
  }
  const auto home = world.variable("HOME");
  if (!home) return fail(ErrorCode::invalid_argument, "HOME is not set; use --here");
  return std::filesystem::path(*home) / file.home / file.below;
}

Result<std::string> with_hooks(AgentProgram program, std::string_view text, const HookWay& way) {
  if (program == AgentProgram::opencode) {
    if (!text.empty() && !text.starts_with(kPluginMark)) {
      return fail(ErrorCode::already_exists, "it is a plugin that somebody else wrote");
    }
    return plugin_for(way.command);
  }
  const std::string element = element_for(program, closed(way.command), way.url);
  const auto wanted = parse_json(element);
  if (!wanted) return std::unexpected(wanted.error());
  // What stands there already, just so, is not touched.
  bool complete = true;
  for (const auto& event : events_of(program)) {
    ASSIGN_OR_RETURN(const auto elements, elements_of(text, {"hooks", event}));
    std::size_t same = 0;
    for (const auto& found : elements) {
      const auto parsed = is_ours(program, found) ? parse_json(found) : wanted;
      if (is_ours(program, found)) same += parsed && *parsed == *wanted ? 1 : 2;
    }
    complete = complete && same == 1;
  }
  if (complete) return std::string(text);
  ASSIGN_OR_RETURN(auto out, without_hooks(program, text));
  if (program == AgentProgram::cursor) {
    ASSIGN_OR_RETURN(out, add_member(out, {"version"}, "1"));
  }
  for (const auto& event : events_of(program)) {
    ASSIGN_OR_RETURN(out, append_element(out, {"hooks", event}, element));
  }
  return out;
}

Result<std::string> without_hooks(AgentProgram program, std::string_view text) {
  if (program == AgentProgram::opencode) {
    return text.starts_with(kPluginMark) ? std::string() : std::string(text);
  }
  std::string out(text);
  for (const auto& event : events_of(program)) {
    ASSIGN_OR_RETURN(out, remove_elements(out, {"hooks", event}, [&](std::string_view element) {
                       return is_ours(program, element);
                     }));
  }
  return out;
}

Result<std::optional<FoundHooks>> find_hooks(AgentProgram program, std::string_view text) {
  if (program == AgentProgram::opencode) return find_plugin(text);
  FoundHooks found{.command = {}, .url = {}, .whole = true};
  for (const auto& event : events_of(program)) {
    ASSIGN_OR_RETURN(const auto elements, elements_of(text, {"hooks", event}));
    std::size_t ours = 0;
    for (const auto& element : elements) {
      if (!is_ours(program, element)) continue;
      ASSIGN_OR_RETURN(const auto parsed, parse_json(element));
      // The first event is the one before a tool.
      if (event == events_of(program).front() && ours == 0) {
        found.command = member_in(parsed, "command");
        found.url = member_in(parsed, "url");
      }
      ++ours;
      const auto wanted = parse_json(element_for(program, found.command, found.url));
      found.whole = found.whole && wanted && parsed == *wanted;
    }
    if (found.command.empty() && found.url.empty()) return std::nullopt;
    found.whole = found.whole && ours == 1;
  }
  return found;
}

std::string line_diff(std::string_view before, std::string_view after) {
  const auto lines = compare(lines_of(before), lines_of(after));
  std::string out;
  std::size_t last_shown = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    bool near = false;
    const std::size_t from = i > kDiffContext ? i - kDiffContext : 0;
    for (std::size_t k = from; k < std::min(lines.size(), i + kDiffContext + 1); ++k) {
      near = near || lines[k].mark != ' ';
    }
    if (!near) continue;
    if (!out.empty() && i != last_shown + 1) out += "...\n";
    last_shown = i;
    out += fmt::format("{} {}\n", lines[i].mark, lines[i].text);
  }
  return out;
}

std::string_view setup_note(AgentProgram program) {
  switch (program) {
    case AgentProgram::codex:
      return "Codex skips hooks that nobody trusted, without a word: start it and trust this one "
             "under /hooks.";
    case AgentProgram::opencode:
      return "OpenCode goes on without a plugin that it cannot load: keep its permissions at "
             "\"ask\" for bash and edit where that matters.";
    case AgentProgram::cursor:
      return "Cursor's hooks are taken from its documentation and were not tried with a real one.";
    case AgentProgram::claude_code:
    case AgentProgram::gemini:
      break;
  }
  return "";
}

}  // namespace gavel

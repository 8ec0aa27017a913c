#include "protocol/hooks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/text.hpp"
#include "protocol/hook_tools.hpp"
#include "protocol/mcp.hpp"

namespace gavel {
namespace {

constexpr std::size_t kHookBytesMax = 16u << 20;
constexpr std::size_t kResultBytesMax = 64u << 10;
constexpr std::size_t kNameMax = 100;
constexpr std::size_t kReasonBytesMax = 4000;

constexpr std::array<std::pair<AgentProgram, std::string_view>, 5> kPrograms = {{
    {AgentProgram::claude_code, "claude-code"},
    {AgentProgram::codex, "codex"},
    {AgentProgram::gemini, "gemini"},
    {AgentProgram::opencode, "opencode"},
    {AgentProgram::cursor, "cursor"},
}};

// What a program calls the moments of a tool's use.
struct Moment {
  std::string_view name;
  HookMoment moment;
  bool failed = false;
  std::string_view tool = "";  // of events that are about one tool only
};
constexpr Moment kMoments[] = {
    {"PreToolUse", HookMoment::before},
    {"PostToolUse", HookMoment::after},
    {"PostToolUseFailure", HookMoment::after, true},
    {"PermissionDenied", HookMoment::after, true},
    {"UserPromptSubmit", HookMoment::prompt},
    {"BeforeTool", HookMoment::before},
    {"AfterTool", HookMoment::after},
    {"tool.execute.before", HookMoment::before},
    {"tool.execute.after", HookMoment::after},
    {"tool.execute.error", HookMoment::after, true},
    {"preToolUse", HookMoment::before},
    {"postToolUse", HookMoment::after},
    {"postToolUseFailure", HookMoment::after, true},
};

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const auto space = text.find(' ');
    if (space != 0) words.push_back(text.substr(0, space));
    text = space == std::string_view::npos ? std::string_view() : text.substr(space + 1);
  }
  return words;
}

// As a part of a log's or a tool's name.
std::string plain_name(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kNameMax)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '.' || c == '-';
    out += plain ? c : '-';
  }
  return out;
}

std::unexpected<Error> wrong(std::string message) {
  return fail(ErrorCode::invalid_argument, std::move(message));
}

std::string_view first_text(const json::value& value,
                            std::initializer_list<std::string_view> keys) {
  for (const auto key : keys) {
    const auto text = string_or(value, key);
    if (!text.empty()) return text;
  }
  return {};
}

// A list of words as one command that a shell takes for the same words.
Result<std::string> quoted_words(const json::array& words) {
  std::string out;
  for (const auto& word : words) {
    if (!word.is_string()) return wrong("a command with a word that is no text");
    out += out.empty() ? "'" : " '";
    for (const char c : view(word.get_string())) {
      if (c == '\'') {
        out += "'\\''";
      } else {
        out += c;
      }
    }
    out += "'";
  }
  return out;
}

struct Patch {
  json::array files;
  bool deletes = false;
};
// The files of a patch in the form that begins with "*** Begin Patch".
Patch files_of_patch(std::string_view text) {
  constexpr std::string_view kAdd = "*** Add File: ";
  constexpr std::string_view kUpdate = "*** Update File: ";
  constexpr std::string_view kDelete = "*** Delete File: ";
  constexpr std::string_view kMove = "*** Move to: ";
  Patch patch;
  while (!text.empty()) {
    const auto end = text.find('\n');
    auto line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    while (line.starts_with(' ') || line.starts_with('\t')) line.remove_prefix(1);
    while (line.ends_with('\r') || line.ends_with(' ')) line.remove_suffix(1);
    for (const auto prefix : {kAdd, kUpdate, kDelete, kMove}) {
      if (!line.starts_with(prefix)) continue;
      patch.files.emplace_back(line.substr(prefix.size()));
      patch.deletes = patch.deletes || prefix == kDelete;
    }
  }
  return patch;
}

std::string blocked_because(std::string_view why) {
  return "Blocked by Gavel: " + for_display(why, kReasonBytesMax);
}

class HookReader {
public:
  HookReader(AgentProgram program, const json::value& body, const HookSettings& settings)
      : program_(program), body_(body), settings_(settings) {}

  Result<HookEvent> read() {
    const auto name = string_or(body_, "hook_event_name");
    const auto moment = std::find_if(std::begin(kMoments), std::end(kMoments),
                                     [&](const Moment& known) { return known.name == name; });
    if (moment == std::end(kMoments)) {
      return wrong(
          fmt::format("the event \"{}\" is not one that Gavel's hook is for; see "
                      "docs/hooks.md",
                      for_display(name, 60)));
    }
    event_.moment = moment->moment;
    event_.failed = moment->failed;
    const auto session = first_text(body_, {"session_id", "sessionID", "conversation_id"});
    if (session.empty()) return wrong("the event names no session");
    event_.session = fmt::format("{}/{}", to_string(program_), plain_name(session));
    if (event_.moment == HookMoment::prompt) {
      event_.prompt = string_or(body_, "prompt");
      if (event_.prompt.empty()) return wrong("the event has no prompt");
      return std::move(event_);
    }
    event_.call_id = first_text(body_, {"tool_use_id", "callID"});
    tool_ = first_text(body_, {"tool_name", "tool"});
    if (tool_.empty()) return wrong("the event names no tool");
    const auto* input = find(body_, "tool_input");
    if (input == nullptr) input = find(body_, "args");
    if (input != nullptr && input->is_object()) {
      input_ = input->get_object();
    } else if (input != nullptr && input->is_string() && program_ == AgentProgram::codex) {
      input_["input"] = *input;
    } else {
      return wrong("the event has no arguments of the tool");
    }
    TRY(read_places());
    if (!read_mcp()) TRY(read_own());
    if (event_.moment == HookMoment::after) read_result();
    return std::move(event_);
  }

private:
  Status read_places() {
    directory_ = first_text(body_, {"cwd", "directory"});
    project_ = settings_.project;
    if (const auto* roots = find_array(body_, "workspace_roots");
        project_.empty() && roots != nullptr && !roots->empty() && roots->front().is_string()) {
      project_ = view(roots->front().get_string());
    }
    // `cwd` is no project: in Codex and Claude Code the agent chooses it.
    if (directory_.empty()) directory_ = project_;
    if (!directory_.starts_with('/') || (!project_.empty() && !project_.starts_with('/'))) {
      return wrong("the event does not say where the agent works");
    }
    return {};
  }

  // MCP tools have the names of their servers in front.
  bool read_mcp() {
    std::string_view server;
    std::string_view tool;
    const auto split = [&](std::string_view prefix, std::string_view between) {
      if (!tool_.starts_with(prefix)) return;
      const auto rest = tool_.substr(prefix.size());
      const auto at = rest.find(between);
      if (at == std::string_view::npos || at == 0) return;
      server = rest.substr(0, at);
      tool = rest.substr(at + between.size());
    };
    const auto* context = find(body_, "mcp_context");
    switch (program_) {
      case AgentProgram::claude_code:
      case AgentProgram::codex:
        split("mcp__", "__");
        break;
      case AgentProgram::gemini:
        if (context != nullptr) {
          server = string_or(*context, "server_name");
          tool = string_or(*context, "tool_name");
        }
        break;
      case AgentProgram::opencode:
        // It says nothing of servers; only Gavel's is told by its name.
        if (!settings_.server.empty() && tool_.starts_with(settings_.server + "_")) {
          server = settings_.server;
          tool = tool_.substr(settings_.server.size() + 1);
        }
        break;
      case AgentProgram::cursor:
        if (tool_.starts_with("MCP:")) {
          server = "cursor";
          tool = tool_.substr(4);
        }
        break;
    }
    if (server.empty() || tool.empty()) return false;
    auto url = string_or(body_, "url");
    if (context != nullptr && url.empty()) url = string_or(*context, "url");
    const bool same_address = url.empty() || url.starts_with(settings_.daemon_url + "/");
    event_.through_gavel = server == settings_.server && same_address;
    event_.tool = "own__mcp." + plain_name(fmt::format("{}.{}", server, tool));
    event_.arguments["input"] = input_;
    return true;
  }

  Status read_own() {
    const OwnTool* own = find_own_tool(program_, tool_);
    const ToolShape shape = own == nullptr ? ToolShape::plain : own->shape;
    event_.tool = "own__" + (own == nullptr ? plain_name(tool_) : std::string(own->own));
    if (own == nullptr || own->own == "mcp") {
      // Unlisted by its own name, which no other tool has.
      event_.tool = "own__" + std::string(to_string(program_)) + "." + plain_name(tool_);
    }
    json::value found;
    if (own != nullptr) {
      for (const auto key : words_of(own->keys)) {
        const auto at = input_.find(key);
        if (at == input_.end()) continue;
        found = at->value();
        input_.erase(at);
        break;
      }
    }
    switch (shape) {
      case ToolShape::plain:
        break;
      case ToolShape::command:
        TRY(read_command(found));
        break;
      case ToolShape::folder:
        if (found.is_null()) found = json::value(directory_);
        [[fallthrough]];
      case ToolShape::path:
        if (!found.is_string() && !found.is_array()) {
          return wrong(fmt::format("{} without a path", for_display(tool_, 60)));
        }
        event_.arguments["path"] = found;
        break;
      case ToolShape::patch: {
        if (!found.is_string()) return wrong("a patch without text");
        Patch patch = files_of_patch(view(found.get_string()));
        // A patch whose files are not seen, or that deletes, is not among the listed tools.
        if (patch.files.empty()) event_.tool = "own__patch";
        if (patch.deletes) event_.tool = "own__delete";
        event_.arguments["path"] = std::move(patch.files);
        input_["patch"] = found;
        break;
      }
    }
    if (shape != ToolShape::plain) event_.arguments["directory"] = directory_;
    if (!project_.empty()) event_.arguments["project"] = project_;
    if (!input_.empty()) event_.arguments["input"] = input_;
    return {};
  }
  Status read_command(const json::value& found) {
    if (found.is_string()) {
      event_.arguments["command"] = found;
    } else if (found.is_array()) {
      ASSIGN_OR_RETURN(auto words, quoted_words(found.get_array()));
      event_.arguments["command"] = words;
    } else {
      return wrong(fmt::format("{} without a command", for_display(tool_, 60)));
    }
    const json::value input = input_;
    const auto workdir =
        first_text(input, {"workdir", "working_directory", "dir_path", "directory"});
    if (!workdir.empty()) {
      directory_ = workdir.starts_with('/') ? std::string(workdir)
                                            : fmt::format("{}/{}", directory_, workdir);
    }
    return {};
  }

  void read_result() {
    const json::value* response = nullptr;
    for (const std::string_view key : {"tool_response", "tool_output", "output", "error"}) {
      if (response == nullptr) response = find(body_, key);
    }
    std::string text;
    if (response != nullptr && response->is_string()) {
      text = view(response->get_string());
    } else if (response != nullptr && !response->is_null()) {
      const auto* error = find(*response, "error");
      event_.failed = event_.failed || (error != nullptr && !error->is_null());
      text = write_json(*response);
    }
    const bool cut = text.size() > kResultBytesMax;
    if (cut) {
      text.resize(kResultBytesMax);
      while (!text.empty() && !is_valid_utf8(text)) text.pop_back();
      text += "\n(cut here)";
    }
    if (event_.failed) {
      event_.reason = text.empty() ? "the program says that it failed" : for_display(text, 500);
    }
    json::object result{{"content", json::array{json::object{{"type", "text"}, {"text", text}}}},
                        {"isError", event_.failed}};
    // The agent saw more than what is recorded.
    if (cut) result["_meta"] = json::object{{meta::kCut, true}};
    event_.result = write_json(result);
  }

  AgentProgram program_;
  const json::value& body_;
  const HookSettings& settings_;
  HookEvent event_;
  std::string_view tool_;
  json::object input_;
  std::string directory_;
  std::string project_;
};

}  // namespace

std::string_view to_string(AgentProgram program) {
  for (const auto& [known, name] : kPrograms) {
    if (known == program) return name;
  }
  return "";
}

std::optional<AgentProgram> agent_program_from(std::string_view name) {
  for (const auto& [known, its_name] : kPrograms) {
    if (its_name == name) return known;
  }
  return std::nullopt;
}

Result<HookEvent> read_hook(AgentProgram program, std::string_view text,
                            const HookSettings& settings) {
  ASSIGN_OR_RETURN(const auto body,
                   parse_json(text, {.max_bytes = kHookBytesMax, .max_depth = 128}));
  if (!body.is_object()) return wrong("the event is no JSON object");
  return HookReader(program, body, settings).read();
}

std::string forbidden_event(AgentProgram program, std::string_view session, std::string_view mark,
                            std::string_view directory) {
  const json::object input{{"mark", mark}};
  if (program == AgentProgram::opencode) {
    return write_json(json::object{{"hook_event_name", "tool.execute.before"},
                                   {"sessionID", session},
                                   {"callID", mark},
                                   {"tool", kForbiddenEventTool},
                                   {"args", input},
                                   {"directory", directory}});
  }
  std::string_view moment = "PreToolUse";
  if (program == AgentProgram::gemini) moment = "BeforeTool";
  if (program == AgentProgram::cursor) moment = "preToolUse";
  json::object event{{"hook_event_name", moment},
                     {"cwd", directory},
                     {"tool_name", kForbiddenEventTool},
                     {"tool_input", input}};
  event[program == AgentProgram::cursor ? "conversation_id" : "session_id"] = session;
  if (program != AgentProgram::gemini) event["tool_use_id"] = mark;
  return write_json(event);
}

HookReply allowing_reply(AgentProgram program, HookMoment moment) {
  HookReply reply;
  // The program's own rules still hold: Gavel tightens them and never speaks for them.
  if (program == AgentProgram::cursor && moment == HookMoment::before) {
    reply.out = R"({"permission":"allow"})"
                "\n";
  }
  return reply;
}

HookReply blocking_reply(AgentProgram program, std::string_view why) {
  HookReply reply;
  const auto reason = blocked_because(why);
  reply.exit_code = kHookBlocks;
  reply.err = reason + "\n";
  if (program == AgentProgram::cursor) {
    reply.out = write_json(json::object{
                    {"permission", "deny"}, {"user_message", reason}, {"agent_message", reason}}) +
                "\n";
  }
  return reply;
}

bool has_http_hooks(AgentProgram program) {
  return program == AgentProgram::claude_code;
}

std::string allowing_answer() {
  return "{}";
}

std::string blocking_answer(HookMoment moment, std::string_view why) {
  const auto reason = blocked_because(why);
  if (moment != HookMoment::before) {
    return write_json(json::object{{"decision", "block"}, {"reason", reason}});
  }
  return write_json(
      json::object{{"hookSpecificOutput", json::object{{"hookEventName", "PreToolUse"},
                                                       {"permissionDecision", "deny"},
                                                       {"permissionDecisionReason", reason}}}});
}

}  // namespace gavel

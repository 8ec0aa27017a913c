#include "cli/doctor_guard.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "cli/child.hpp"
#include "cli/hook_setup.hpp"
#include "policy/own_tools.hpp"
#include "protocol/mcp.hpp"

namespace gavel {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kSession = "gavel-doctor";
constexpr std::chrono::seconds kHookPatience{20};
constexpr AgentProgram kPrograms[] = {AgentProgram::claude_code, AgentProgram::codex,
                                      AgentProgram::gemini, AgentProgram::opencode,
                                      AgentProgram::cursor};

// No two calls have the same.
std::string mark_of(const Context& context, std::size_t number) {
  return fmt::format("{}-{}-{}", context.now().ms, context.world().process_id, number);
}

// N of the first "SESSION#N" in a text; 0 where there is none.
std::uint64_t intent_in(std::string_view text, const std::string& session) {
  const auto name = session + "#";
  const auto at = text.find(name);
  std::uint64_t number = 0;
  if (at == std::string_view::npos) return number;
  for (const char c : text.substr(at + name.size(), 18)) {
    if (c < '0' || c > '9') break;
    number = number * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return number;
}

// Whether the daemon's log has the call that bears `mark`, and refused it.
bool was_refused(const Client& client, const std::string& session, std::uint64_t intent,
                 const std::string& mark) {
  if (intent == 0) return false;
  const auto found =
      client.get(fmt::format("/v1/sessions/{}/intents/{}", percent_encode(session), intent));
  const auto* entries = found ? find_array(*found, "entries") : nullptr;
  if (entries == nullptr) return false;
  bool asked = false;
  bool aborted = false;
  for (const auto& entry : *entries) {
    const auto kind = string_or(entry, "kind");
    if (kind == "intent") {
      const auto* arguments = find(entry, "arguments");
      asked = arguments != nullptr && write_json(*arguments).find(mark) != std::string::npos;
    }
    if (kind == "decision") aborted = string_or(entry, "ruling") == "abort";
  }
  return asked && aborted;
}

struct Asked {
  bool blocked = false;
  std::string said;
};

// As the program asks, outside of any `gavel run` but with its token, which nobody else gets.
Result<Asked> ask_over_http(const Context& context, const DaemonAddress& daemon,
                            const std::string& url, const std::string& event) {
  if (!url.starts_with(daemon.url + "/")) {
    return fail(ErrorCode::invalid_argument, fmt::format("it asks {} and not this daemon, {}",
                                                         for_display(url, 200), daemon.url));
  }
  if (!url.starts_with("https://")) return Asked{false, "whoever listens there without TLS may"};
  ASSIGN_OR_RETURN(const auto token, context.token(Identity::agent));
  ASSIGN_OR_RETURN(const auto client, Client::make(daemon, token));
  ASSIGN_OR_RETURN(const auto body, parse_json(event));
  const auto answer = client.post(url.substr(daemon.url.size()), body, kHookPatience);
  // What is no answer blocks.
  if (!answer) return Asked{true, answer.error().message};
  const auto* output = find(*answer, "hookSpecificOutput");
  if (output == nullptr || string_or(*output, "permissionDecision") != "deny") return Asked{};
  return Asked{true, std::string(string_or(*output, "permissionDecisionReason"))};
}

// The command as the program runs it, outside of any `gavel run`.
Result<Asked> ask_command(const Context& context, const std::string& command,
                          const std::string& event) {
  auto environment = context.world().environment;
  environment.erase("GAVEL_SESSION");
  environment.erase("GAVEL_EPOCH");
  ASSIGN_OR_RETURN(auto ended,
                   run_with_input({"/bin/sh", "-c", command}, environment, event, kHookPatience));
  if (ended.code == kHookBlocks) return Asked{true, std::move(ended.err)};
  return Asked{false, fmt::format("exit code {}", ended.code)};
}

Finding check_file(const Context& context, const Client& client, AgentProgram program,
                   const fs::path& file, const FoundHooks& hooks, const std::string& mark) {
  const auto name = to_string(program);
  Finding finding{Health::failed, fmt::format("guard {}", name), {}, {}};
  const auto again = fmt::format("gavel setup {}", name);
  const auto event = forbidden_event(program, kSession, mark, context.world().directory);
  const auto asked = hooks.url.empty() ? ask_command(context, hooks.command, event)
                                       : ask_over_http(context, client.address(), hooks.url, event);
  if (!asked) {
    finding.text = fmt::format("{}: its hook cannot be asked: {}", file.string(),
                               for_display(asked.error().message, 300));
    finding.advice = again;
    return finding;
  }
  if (!asked->blocked) {
    finding.text =
        fmt::format("NOT LIVE: {}: its hook lets a forbidden call go on{}", file.string(),
                    asked->said.empty() ? "" : fmt::format(" ({})", asked->said));
    finding.advice = again;
    return finding;
  }
  const auto session = fmt::format("{}/{}", name, kSession);
  const auto intent = intent_in(asked->said, session);
  if (!was_refused(client, session, intent, mark)) {
    finding.text = fmt::format("{}: its hook blocks, but nothing of it is in this daemon's log: {}",
                               file.string(), for_display(asked->said, 300));
    finding.advice =
        "agents can do nothing until it asks a daemon that runs: gavel up, or " + again;
    return finding;
  }
  if (!hooks.whole) {
    return {Health::warning, finding.check,
            fmt::format("{}: live, but it is not as gavel setup writes it: what comes of calls may "
                        "be missed, or a failing hook may let them go on",
                        file.string()),
            again};
  }
  return {
      Health::ok, finding.check,
      fmt::format("live: {} was refused what is forbidden ({}#{})", file.string(), session, intent),
      program == AgentProgram::codex ? "only Codex knows whether it trusts it: look at /hooks"
                                     : ""};
}

}  // namespace

void check_hooks(const Context& context, const Client& client, std::vector<Finding>& out) {
  std::size_t number = 0;
  for (const auto program : kPrograms) {
    const auto check = fmt::format("guard {}", to_string(program));
    bool guarded = false;
    fs::path home;
    for (const auto place : {HookPlace::user, HookPlace::project}) {
      const auto file = hook_path(context.world(), program, place);
      if (!file) continue;
      if (place == HookPlace::user) home = *file;
      const auto text = read_text_file(*file);
      if (!text) continue;
      const auto hooks = find_hooks(program, *text);
      if (!hooks) {
        out.push_back({Health::failed, check,
                       fmt::format("{}: {}", file->string(), hooks.error().message),
                       "correct it; the program may run without hooks"});
        guarded = true;
      } else if (*hooks) {
        out.push_back(
            check_file(context, client, program, *file, **hooks, mark_of(context, ++number)));
        guarded = true;
      }
    }
    std::error_code error;
    // The plugin of OpenCode lies one folder deeper.
    const auto folder =
        program == AgentProgram::opencode ? home.parent_path().parent_path() : home.parent_path();
    if (!guarded && !home.empty() && fs::exists(folder, error)) {
      out.push_back({Health::warning, check,
                     fmt::format("{} has no hooks of Gavel: what it does by itself is not asked "
                                 "for",
                                 to_string(program)),
                     fmt::format("gavel setup {}", to_string(program))});
    }
  }
}

void check_mcp(const Context& context, const Client& client, std::vector<Finding>& out) {
  constexpr std::string_view kListener = "stop gavel up and look at what listens there";
  const std::string session(kSession);
  const auto mark = mark_of(context, 0);
  const auto params = write_json(
      json::object{{"name", kForbiddenTool}, {"arguments", json::object{{"mark", mark}}}});
  const auto ask = [&](std::string token) -> Result<json::value> {
    ASSIGN_OR_RETURN(const auto asked, Client::make(client.address(), std::move(token)));
    return asked.mcp("/mcp?session=" + session, "tools/call", params, context.hooks().version);
  };
  const auto finding = [&](Health health, std::string text, std::string_view advice) {
    out.push_back({health, "guard mcp", std::move(text), std::string(advice)});
  };
  const auto token = context.token(Identity::agent);
  if (!token) {
    finding(Health::warning, "not asked: " + token.error().message, "see gavel token list");
    return;
  }
  const auto stranger = ask("");
  const auto answer = ask(*token);
  if (stranger) {
    finding(Health::failed, fmt::format("NOT LIVE: {}/mcp answers who has no token", client.url()),
            kListener);
    return;
  }
  if (!answer || stranger.error().code != ErrorCode::unauthenticated) {
    finding(Health::failed, answer ? stranger.error().message : answer.error().message,
            "see the daemon's log");
    return;
  }
  const auto* error = find(*answer, "isError");
  if (error == nullptr || !error->is_bool() || !error->get_bool()) {
    finding(Health::failed,
            fmt::format("NOT LIVE: {}/mcp let a forbidden call go on", client.url()), kListener);
    return;
  }
  const auto* said = find(*answer, "_meta");
  const auto intent = said == nullptr ? 0 : intent_in(string_or(*said, meta::kIntent), session);
  if (!was_refused(client, session, intent, mark)) {
    finding(Health::failed,
            fmt::format("{}/mcp refuses everything: {}", client.url(),
                        for_display(write_json(*answer), 300)),
            "see the daemon's log");
    return;
  }
  finding(
      Health::ok,
      fmt::format("live: {}/mcp refused what is forbidden ({}#{})", client.url(), session, intent),
      "");
}

}  // namespace gavel

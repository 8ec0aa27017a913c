// gavel hook: what an agent program runs before and after it uses one of its own tools. It asks
// the daemon and answers in the program's form. Whatever goes wrong blocks: exit code 2 and the
// reason on standard error. The command line that `gavel setup` writes adds `|| exit 2`, so that a
// missing binary and a signal block too.

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/links.hpp"
#include "protocol/hooks.hpp"

namespace gavel {
namespace {

constexpr std::size_t kEventBytesMax = 16u << 20;
constexpr std::chrono::seconds kAnswerMargin{15};
// Beyond that the process ends by itself, long before the program stops waiting for its hook.
constexpr unsigned kLifeMarginSeconds = 30;

struct HookOptions {
  std::string program;
  std::string project;
  std::string server = "gavel";
  std::uint64_t wait = kHookWaitSeconds;
};

Result<std::string> read_event(std::istream& in) {
  std::string text;
  std::string block(64u << 10, '\0');
  while (in.read(block.data(), static_cast<std::streamsize>(block.size())) || in.gcount() > 0) {
    text.append(block, 0, static_cast<std::size_t>(in.gcount()));
    if (text.size() > kEventBytesMax) return fail(ErrorCode::too_large, "the event is too large");
  }
  return text;
}

// Where the program was started: what the event says of directories may be the agent's choice.
std::string project_of(const World& world, AgentProgram program) {
  switch (program) {
    case AgentProgram::claude_code:
      return world.variable("CLAUDE_PROJECT_DIR").value_or("");
    case AgentProgram::gemini:
      return world.variable("GEMINI_PROJECT_DIR").value_or(world.directory);
    case AgentProgram::codex:
      return world.directory;
    case AgentProgram::opencode:
    case AgentProgram::cursor:
      break;
  }
  return "";
}

Result<std::uint64_t> epoch_of(const World& world) {
  const auto text = world.variable("GAVEL_EPOCH").value_or("1");
  std::uint64_t epoch = 0;
  for (const char c : text) {
    if (c < '0' || c > '9' || epoch > 1'000'000'000) {
      return fail(ErrorCode::invalid_argument, "GAVEL_EPOCH is no epoch");
    }
    epoch = epoch * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return epoch;
}

// Asks for leave; an error where there is none.
Status ask(const Client& client, const std::string& base, const HookEvent& event,
           const HookOptions& options, std::uint64_t epoch) {
  const std::chrono::seconds wait(options.wait);
  ASSIGN_OR_RETURN(const auto answer,
                   client.post(base + "/permits",
                               json::object{{"tool", event.tool},
                                            {"arguments", event.arguments},
                                            {"call_id", event.call_id},
                                            {"client", options.program},
                                            {"epoch", epoch},
                                            {"wait_ms", std::chrono::milliseconds(wait).count()}},
                               wait + kAnswerMargin));
  const auto kind = string_or(answer, "kind");
  if (kind == "granted") return {};
  const auto text = string_or(answer, "text");
  return fail(kind == "pending" ? ErrorCode::timeout : ErrorCode::denied,
              text.empty() ? "no leave was given" : std::string(text));
}

Status tell(const Client& client, const std::string& base, const HookEvent& event) {
  ASSIGN_OR_RETURN(const auto result, parse_json(event.result));
  ASSIGN_OR_RETURN(
      const auto recorded,
      client.post(base + "/outcomes", json::object{{"call_id", event.call_id},
                                                   {"tool", event.tool},
                                                   {"arguments", event.arguments},
                                                   {"kind", event.failed ? "failed" : "ok"},
                                                   {"result", result},
                                                   {"reason", event.reason}}));
  (void)recorded;
  return {};
}

Status tell_prompt(const Client& client, const std::string& base, const HookEvent& event,
                   const HookOptions& options, std::uint64_t epoch) {
  ASSIGN_OR_RETURN(const auto recorded,
                   client.post(base + "/prompts", json::object{{"text", event.prompt},
                                                               {"client", options.program},
                                                               {"epoch", epoch}}));
  (void)recorded;
  return {};
}

Result<HookReply> answer(Context& context, const HookOptions& options, AgentProgram program) {
  auto& world = context.world();
  if (options.wait > kHookWaitSecondsMax) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("--wait is at most {}", kHookWaitSecondsMax));
  }
  ASSIGN_OR_RETURN(const auto text, read_event(world.in));
  HookSettings settings;
  settings.project = options.project.empty() ? project_of(world, program) : options.project;
  settings.server = options.server;
  ASSIGN_OR_RETURN(const auto daemon, context.daemon_address());
  settings.daemon_url = daemon.url;
  ASSIGN_OR_RETURN(auto event, read_hook(program, text, settings));
  if (event.through_gavel) return allowing_reply(program, event.moment);
  TRY(resolve_links(event.arguments));
  ASSIGN_OR_RETURN(const auto epoch, epoch_of(world));
  ASSIGN_OR_RETURN(const auto client, context.client(Identity::agent));
  const auto session = world.variable("GAVEL_SESSION").value_or(event.session);
  const auto base = "/v1/sessions/" + percent_encode(session);
  switch (event.moment) {
    case HookMoment::before:
      TRY(ask(client, base, event, options, epoch));
      break;
    case HookMoment::after:
      TRY(tell(client, base, event));
      break;
    case HookMoment::prompt:
      TRY(tell_prompt(client, base, event, options, epoch));
      break;
  }
  return allowing_reply(program, event.moment);
}

Result<int> run_hook(Context& context, const HookOptions& options) {
  auto& world = context.world();
  if (world.limit_life) {
    world.limit_life(static_cast<unsigned>(std::min(options.wait, kHookWaitSecondsMax)) +
                     kLifeMarginSeconds);
  }
  const auto program = agent_program_from(options.program);
  // One form fits all: exit code 2 blocks, whoever asks.
  HookReply reply =
      blocking_reply(program.value_or(AgentProgram::claude_code), "there is no such program");
  if (program) {
    auto given = answer(context, options, *program);
    reply = given ? std::move(*given) : blocking_reply(*program, given.error().message);
  }
  world.out << reply.out << std::flush;
  world.err << reply.err << std::flush;
  if (!world.out) return kHookBlocks;
  return reply.exit_code;
}

}  // namespace

Command hook_command() {
  auto options = std::make_shared<HookOptions>();
  Command command("hook", "answer an agent program's hook: its own tools through Gavel");
  command.description =
      "Reads the program's event on standard input, asks the daemon, and exits with 0 (go on) or 2 "
      "(blocked; the reason is on standard error). Anything that goes wrong blocks. gavel setup "
      "writes it into the program's configuration.";
  auto& program = command.argument("PROGRAM", options->program, "whose hook it is");
  program.choices = {"claude-code", "codex", "gemini", "opencode", "cursor"};
  command.option("--wait", "SECONDS", options->wait,
                 "how long a held call is waited for, at most 240 (50)");
  command.option("--project", "DIR", options->project,
                 "where the agent may write (where the program was started)", Values::directory);
  command.option("--server", "NAME", options->server,
                 "what the program calls Gavel's MCP server; its tools are decided there (gavel)");
  command.run = [options](Context& context) { return run_hook(context, *options); };
  return command;
}

}  // namespace gavel

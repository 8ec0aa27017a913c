// gavel mcp: stands in an MCP client's configuration before a stdio server's command. The client
// talks to Gavel's daemon, which runs the server for as long as this connection lives.
//
//   client ──stdin──► gavel mcp ──POST /v1/attach, Upgrade: gavel-stdio──► daemon ──stdio──► server

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <memory>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/daemon.hpp"
#include "cli/pump.hpp"
#include "cli/session_name.hpp"

namespace gavel {
namespace {

struct McpOptions {
  std::string name;
  std::string session;
  std::vector<std::string> program;
};

constexpr int kNamesTriedMax = 32;

json::object environment_json(const World& world) {
  json::object out;
  for (const auto& [name, value] : world.environment) {
    // Gavel's own, which are of the agent's side, and the shell's, which describe another process.
    const bool ours = name.starts_with("GAVEL_") || name == "_" || name == "SHLVL" ||
                      name == "PWD" || name == "OLDPWD";
    if (!ours && is_valid_utf8(value) && is_valid_utf8(name)) out[name] = value;
  }
  return out;
}

json::array words_json(const std::vector<std::string>& words) {
  json::array out;
  for (const auto& word : words) out.emplace_back(word);
  return out;
}

// Attaches under `name`; where that was made up here and is taken, under name-2, name-3, ...
Result<HttpUpgraded> attach(const Context& context, const Client& client,
                            const McpOptions& options) {
  const auto derived = server_name_for(options.program);
  for (int number = 1;; ++number) {
    std::string name = options.name.empty() ? derived : options.name;
    if (number > 1) name += fmt::format("-{}", number);
    auto attached = client.upgrade("/v1/attach",
                                   json::object{{"name", name},
                                                {"command", words_json(options.program)},
                                                {"environment", environment_json(context.world())},
                                                {"directory", context.world().directory},
                                                {"session", options.session}},
                                   "gavel-stdio");
    const bool taken = !attached && attached.error().code == ErrorCode::already_exists;
    if (!taken || !options.name.empty() || number == kNamesTriedMax) {
      if (attached) {
        context.note(fmt::format("gavel: {} is attached to session {}", name,
                                 for_display(attached->session, 300)));
      }
      return attached;
    }
  }
}

Result<int> run_mcp(Context& context, const McpOptions& options) {
  if (options.program.empty()) {
    return fail(ErrorCode::invalid_argument,
                "no server to wrap; write: gavel mcp -- SERVER ARGS...");
  }
  TRY(ensure_daemon(context));
  ASSIGN_OR_RETURN(const auto client, context.client(Identity::operator_only));
  ASSIGN_OR_RETURN(auto attached, attach(context, client, options));
  std::signal(SIGPIPE, SIG_IGN);
  ASSIGN_OR_RETURN(const auto end,
                   pump(attached.socket, attached.leftovers, STDIN_FILENO, STDOUT_FILENO));
  if (end == PumpEnd::socket) {
    return fail(ErrorCode::unavailable,
                "the daemon ended the connection: it stopped, or the server could not be kept "
                "running; see gavel upstreams and the daemon's log");
  }
  return kExitOk;
}

}  // namespace

Command mcp_command() {
  auto options = std::make_shared<McpOptions>();
  Command command("mcp", "wrap a stdio MCP server: put it before the command in a client's config");
  command.description =
      "Starts a daemon if none runs. The server sees the client's environment and directory; its "
      "calls are logged, decided and recorded.";
  command.option("--name", "NAME", options->name, "what the server is called (from its command)");
  command.option("--session", "S", options->session,
                 "the session of its calls, which this takes over (a new one)", Values::session);
  command.program(options->program, "the server and its arguments");
  command.run = [options](Context& context) { return run_mcp(context, *options); };
  return command;
}

}  // namespace gavel

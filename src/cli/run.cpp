// gavel run: runs an agent on a session. It becomes the session's driver (a new epoch), and the
// agent finds its way to Gavel in its environment.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "base/text.hpp"
#include "cli/child.hpp"
#include "cli/commands.hpp"
#include "cli/session_name.hpp"

namespace gavel {
namespace {

struct RunOptions {
  std::string session;
  bool no_wake = false;
  std::vector<std::string> program;
};

constexpr int kCannotStart = 126;
constexpr int kNoSuchProgram = 127;

struct Driver {
  std::uint64_t epoch = 0;  // 0: the session does not exist yet
  std::string mcp_url;
};

Result<Driver> join(const Client& client, const std::string& session) {
  const auto base = "/v1/sessions/" + percent_encode(session);
  auto found = client.get(base);
  if (!found && found.error().code != ErrorCode::not_found) {
    return std::unexpected(found.error());
  }
  Driver driver;
  driver.mcp_url = fmt::format("{}/mcp?session={}", client.url(), percent_encode(session));
  if (found) {
    driver.epoch = static_cast<std::uint64_t>(int_or(*found, "epoch", 0));
    driver.mcp_url += fmt::format("&epoch={}", driver.epoch);
  }
  return driver;
}

Result<Driver> become_driver(const Client& client, const std::string& session,
                             std::string_view program) {
  constexpr std::chrono::minutes kWakePatience{10};
  ASSIGN_OR_RETURN(
      const auto woken,
      client.post("/v1/sessions/" + percent_encode(session) + "/wake",
                  json::object{{"client", program}, {"reason", "gavel run"}}, kWakePatience));
  return Driver{static_cast<std::uint64_t>(int_or(woken, "epoch", 0)),
                std::string(string_or(woken, "mcp_url"))};
}

Result<int> run_run(Context& context, const RunOptions& options) {
  if (options.program.empty()) {
    return fail(ErrorCode::invalid_argument,
                "no program to run; write: gavel run --session S -- PROGRAM ARGS...");
  }
  auto& world = context.world();
  const auto program = std::filesystem::path(options.program.front()).filename().string();
  const auto session = options.session.empty()
                           ? session_name_for(program, context.now(), world.process_id)
                           : options.session;
  ASSIGN_OR_RETURN(const auto token, context.token(Identity::agent));
  ASSIGN_OR_RETURN(const auto client, context.client(Identity::agent));
  auto driver = options.no_wake ? join(client, session) : become_driver(client, session, program);
  if (!driver) return std::unexpected(driver.error());
  ASSIGN_OR_RETURN(const auto state, context.state());

  Environment environment = world.environment;
  environment["GAVEL_SESSION"] = session;
  environment["GAVEL_URL"] = client.url();
  environment["GAVEL_MCP_URL"] = driver->mcp_url;
  environment["GAVEL_TOKEN"] = token;
  // There lie the tokens of people.
  environment.erase("GAVEL_STATE");
  // For the agent's own connections: its libraries do not know the certificate of this daemon.
  const auto& trust = client.address().trust;
  if (!trust.certificate.empty()) {
    environment["GAVEL_CA"] = trust.certificate;
    environment["GAVEL_CERTIFICATE"] = trust.certificate;  // for gavel itself: this one, no other
  }
  // Beside those that the system trusts; most agents are programs of Node or Bun.
  if (const auto ca = environment.find("GAVEL_CA"); ca != environment.end()) {
    environment.try_emplace("NODE_EXTRA_CA_CERTS", ca->second);
  }
  // Hooks over HTTP send it in a header.
  environment["GAVEL_PROJECT"] = percent_encode(world.directory);
  environment.erase("GAVEL_EPOCH");
  if (driver->epoch > 0) environment["GAVEL_EPOCH"] = std::to_string(driver->epoch);
  if (options.session.empty()) {
    context.note(fmt::format("gavel: session {}, epoch {}", session, driver->epoch));
  }
  world.out.flush();
  auto code = run_child(options.program, environment);
  if (code) return *code;
  (void)report(code.error(), world, context.globals());
  return code.error().code == ErrorCode::not_found ? kNoSuchProgram : kCannotStart;
}

}  // namespace

Command run_command() {
  auto options = std::make_shared<RunOptions>();
  Command command("run", "run an agent on a session, its tools through Gavel");
  command.description =
      "The agent finds GAVEL_MCP_URL and GAVEL_TOKEN in its environment; also GAVEL_SESSION, "
      "GAVEL_EPOCH, GAVEL_URL, GAVEL_PROJECT (this directory, percent-encoded), and over TLS "
      "GAVEL_CA, the daemon's certificate, which NODE_EXTRA_CA_CERTS names too where it is not "
      "set. Running again with the same session takes it over: what is done stays done. "
      "Exits with the agent's exit code.";
  command.option("--session", "S", options->session, "the session (a new one)", Values::session);
  command.flag(
      "--no-wake", options->no_wake,
      "join the session's driver instead of taking over: for an agent that remembers what it did");
  command.program(options->program, "the agent and its arguments");
  command.run = [options](Context& context) { return run_run(context, *options); };
  return command;
}

}  // namespace gavel

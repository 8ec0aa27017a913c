// gavel login and gavel logout: a person's login at an upstream server over HTTP (docs/oauth.md).
// The daemon does it; this shows the URL and carries the browser's answer back.

#include <fmt/format.h>

#include <memory>

#include "base/text.hpp"
#include "cli/child.hpp"
#include "cli/commands.hpp"
#include "cli/redirect_listener.hpp"

namespace gavel {
namespace {

// Less than the daemon waits (runtime/upstream_login.hpp).
constexpr std::chrono::minutes kBrowserPatience{9};
// The daemon asks several servers before it has an answer.
constexpr std::chrono::seconds kLoginPatience{120};

struct LoginCommandOptions {
  std::string server;
  bool no_browser = false;
  std::uint64_t port = 0;
};

std::string path_of(const std::string& server) {
  return "/v1/upstreams/" + percent_encode(server);
}

void show_url(Context& context, const std::string& url, bool open_browser) {
  if (context.json()) {
    context.print_json(json::object{{"url", url}});
  } else {
    context.print(fmt::format("To log in, open this in a browser on this machine:\n\n{}\n\n", url));
  }
  context.world().out.flush();
  if (!open_browser) return;
  if (const auto started = start_detached({"xdg-open", url}, "/dev/null"); !started) {
    context.note("no browser could be started (xdg-open); open the address by hand");
  }
}

Result<int> run_login(Context& context, const LoginCommandOptions& options) {
  ASSIGN_OR_RETURN(const auto client, context.client());
  const auto path = path_of(options.server);
  ASSIGN_OR_RETURN(const auto before, client.get(path + "/login"));
  const auto wanted = options.port != 0
                          ? options.port
                          : static_cast<std::uint64_t>(int_or(before, "redirect_port", 0));
  if (wanted > UINT16_MAX) return fail(ErrorCode::invalid_argument, "--port is no port");
  ASSIGN_OR_RETURN(auto listener, RedirectListener::open(static_cast<std::uint16_t>(wanted)));
  const json::object begin{{"redirect_uri", listener.redirect_uri()}};
  ASSIGN_OR_RETURN(const auto begun, client.post(path + "/login", begin, kLoginPatience));
  const bool open_browser = !options.no_browser && !context.json();
  show_url(context, std::string(string_or(begun, "url")), open_browser);
  json::value done;
  const auto take = [&](std::string query) -> Status {
    const json::object answer{{"query", std::move(query)}};
    ASSIGN_OR_RETURN(done, client.post(path + "/login/answer", answer, kLoginPatience));
    return {};
  };
  TRY(listener.wait(deadline_in(kBrowserPatience), take));
  if (context.json()) {
    context.print_json(done);
    return kExitOk;
  }
  context.print(fmt::format("logged in at {}\n", for_display(options.server, 100)));
  context.note("see it with: gavel upstreams");
  return kExitOk;
}

Result<int> run_logout(Context& context, const std::string& server) {
  ASSIGN_OR_RETURN(const auto client, context.client());
  ASSIGN_OR_RETURN(const auto done, client.post(path_of(server) + "/logout", json::object{}));
  if (context.json()) {
    context.print_json(done);
    return kExitOk;
  }
  context.print(
      fmt::format("logged out of {}: its tokens are forgotten here\n", for_display(server, 100)));
  return kExitOk;
}

}  // namespace

Command login_command() {
  auto options = std::make_shared<LoginCommandOptions>();
  Command command("login", "log in at a tool server that asks for it");
  command.description =
      "The browser comes back to a port on this machine, and the daemon keeps the tokens.";
  command.argument("SERVER", options->server, "its name in gavel.yaml");
  command.flag("--no-browser", options->no_browser, "only print the address");
  command.option("--port", "N", options->port,
                 "the port on 127.0.0.1 that the browser comes back to (the policy's "
                 "redirect_port, else any)");
  command.run = [options](Context& context) { return run_login(context, *options); };
  return command;
}

Command logout_command() {
  auto server = std::make_shared<std::string>();
  Command command("logout", "forget the login at a tool server");
  command.argument("SERVER", *server, "its name in gavel.yaml");
  command.run = [server](Context& context) { return run_logout(context, *server); };
  return command;
}

}  // namespace gavel

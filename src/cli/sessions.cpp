// gavel sessions: what runs, what waits, who drives.

#include <fmt/format.h>

#include <memory>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/format.hpp"
#include "cli/session_text.hpp"

namespace gavel {
namespace {

struct SessionsOptions {
  std::string prefix;
  std::uint64_t limit = 100;
};

constexpr std::uint64_t kPageMax = 500;

Result<int> run_sessions(Context& context, const SessionsOptions& options) {
  ASSIGN_OR_RETURN(const auto client, context.client());
  json::array sessions;
  std::string after;
  bool more = false;
  while (sessions.size() < options.limit) {
    const auto page = std::min<std::uint64_t>(kPageMax, options.limit - sessions.size());
    ASSIGN_OR_RETURN(
        const auto answer,
        client.get(fmt::format("/v1/sessions?prefix={}&after={}&limit={}",
                               percent_encode(options.prefix), percent_encode(after), page)));
    if (const auto* list = find_array(answer, "sessions")) {
      sessions.insert(sessions.end(), list->begin(), list->end());
    }
    after = string_or(answer, "next");
    more = !after.empty();
    if (!more) break;
  }
  if (context.json()) {
    context.print_json(json::object{
        {"sessions", std::move(sessions)},
        {"next", more ? json::value(after) : json::value(nullptr)},
    });
    return kExitOk;
  }
  if (sessions.empty()) {
    context.note("no sessions yet; start one with: gavel run -- PROGRAM");
    return kExitOk;
  }
  context.print(sessions_table(sessions, context.now()).render(context.style(), context.columns()));
  if (more) {
    context.note(fmt::format("more follow; show them with --limit {}", options.limit * 2));
  }
  return kExitOk;
}

}  // namespace

Command sessions_command() {
  auto options = std::make_shared<SessionsOptions>();
  Command command("sessions", "list sessions: what runs, what waits, who drives");
  command.argument("PREFIX", options->prefix, "only names that begin like this", Values::session,
                   Presence::optional);
  command.option("--limit", "N", options->limit, "at most so many (100)");
  command.run = [options](Context& context) { return run_sessions(context, *options); };
  return command;
}

}  // namespace gavel

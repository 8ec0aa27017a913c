// gavel deny: refuses a held call. The agent gets the reason as the tool's result.

#include <fmt/format.h>

#include <memory>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/vote.hpp"

namespace gavel {
namespace {

struct DenyOptions {
  std::string intent;
  std::string reason;
};

Result<int> run_deny(Context& context, const DenyOptions& options) {
  ASSIGN_OR_RETURN(const auto client, context.client());
  ASSIGN_OR_RETURN(const auto found, find_pending(client, options.intent));
  ASSIGN_OR_RETURN(const auto session,
                   client.post(intent_target(found.ref, "vote"),
                               json::object{{"verdict", "deny"},
                                            {"reason", options.reason},
                                            {"digest", string_or(found.shown, "digest")}}));
  if (context.json()) {
    context.print_json(session);
    return kExitOk;
  }
  context.print(fmt::format("denied {} {}\n", for_display(to_string(found.ref), 200),
                            for_display(string_or(found.shown, "tool"), 100)));
  return kExitOk;
}

}  // namespace

Command deny_command() {
  auto options = std::make_shared<DenyOptions>();
  Command command("deny", "refuse a held call; the agent reads the reason");
  command.argument("INTENT", options->intent, "SESSION#N, or N where one pending call has it",
                   Values::intent);
  command.option("--reason", "TEXT", options->reason, "why: the agent and the record get it");
  command.run = [options](Context& context) { return run_deny(context, *options); };
  return command;
}

}  // namespace gavel

// gavel resolve: a person says what became of a call whose outcome is unknown.

#include <fmt/format.h>

#include <memory>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/vote.hpp"

namespace gavel {
namespace {

struct ResolveOptions {
  std::string intent;
  std::string kind;
  std::string reason;
};

Result<int> run_resolve(Context& context, const ResolveOptions& options) {
  ASSIGN_OR_RETURN(const auto client, context.client());
  ASSIGN_OR_RETURN(const auto found, find_pending(client, options.intent));
  const auto name = for_display(to_string(found.ref), 200);
  if (string_or(found.shown, "phase") != "unknown") {
    return fail(ErrorCode::conflict,
                fmt::format("{} did not act yet, so it has no outcome to resolve; decide it with "
                            "gavel approve or gavel deny",
                            name));
  }
  ASSIGN_OR_RETURN(const auto session,
                   client.post(intent_target(found.ref, "resolve"),
                               json::object{{"kind", options.kind}, {"reason", options.reason}}));
  if (context.json()) {
    context.print_json(session);
    return kExitOk;
  }
  context.print(fmt::format("resolved {}: {}\n", name, options.kind));
  return kExitOk;
}

}  // namespace

Command resolve_command() {
  auto options = std::make_shared<ResolveOptions>();
  Command command("resolve", "say what became of a call whose outcome is unknown");
  command.argument("INTENT", options->intent, "SESSION#N, or N where one pending call has it",
                   Values::intent);
  command.argument("OUTCOME", options->kind, "ok: it happened; failed: it did not").choices = {
      "ok", "failed"};
  command.option("--reason", "TEXT", options->reason, "how you know, for the record");
  command.run = [options](Context& context) { return run_resolve(context, *options); };
  return command;
}

}  // namespace gavel

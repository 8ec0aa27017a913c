// gavel approve: lets a held call act. It shows exactly what is approved and sends the digest of
// what it showed, so that nothing else can be approved by it (I7).

#include <fmt/format.h>

#include <memory>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/session_text.hpp"
#include "cli/vote.hpp"

namespace gavel {
namespace {

struct ApproveOptions {
  std::string intent;
  std::string reason;
  bool yes = false;
};

Result<int> run_approve(Context& context, const ApproveOptions& options) {
  ASSIGN_OR_RETURN(const auto client, context.client());
  ASSIGN_OR_RETURN(const auto found, find_pending(client, options.intent));
  const auto name = for_display(to_string(found.ref), 200);
  if (string_or(found.shown, "phase") == "unknown") {
    return fail(ErrorCode::conflict,
                fmt::format("{} was approved and attempted, and its outcome is unknown: look what "
                            "became of it, then say so with: gavel resolve '{}' ok|failed",
                            name, name));
  }
  if (!options.yes) {
    context.world().err << pending_text(found.shown, context.now(), context.error_style());
    ASSIGN_OR_RETURN(const bool sure, confirm(context, "Approve exactly this?"));
    if (!sure) {
      context.note("not approved; it is still held");
      return mapping(ErrorCode::cancelled).exit_code;
    }
  }
  ASSIGN_OR_RETURN(const auto session,
                   client.post(intent_target(found.ref, "vote"),
                               json::object{{"verdict", "allow"},
                                            {"reason", options.reason},
                                            {"digest", string_or(found.shown, "digest")}}));
  if (context.json()) {
    context.print_json(session);
    return kExitOk;
  }
  const auto fate = fate_of(context, client, found.ref);
  context.print(fmt::format(
      "approved {} {} ({}); it is now {}\n", name, for_display(string_or(found.shown, "tool"), 100),
      for_display(string_or(found.shown, "effect"), 40), fate ? *fate : "recorded"));
  return kExitOk;
}

}  // namespace

Command approve_command() {
  auto options = std::make_shared<ApproveOptions>();
  Command command("approve", "let a held call act");
  command.description =
      "Shows what exactly is approved and asks. The approval holds for these arguments, this "
      "effect and this policy alone.";
  command.argument("INTENT", options->intent, "SESSION#N, or N where one pending call has it",
                   Values::intent);
  command.option("--reason", "TEXT", options->reason, "why, for the record");
  command.flag("-y,--yes", options->yes, "do not ask");
  command.run = [options](Context& context) { return run_approve(context, *options); };
  return command;
}

}  // namespace gavel

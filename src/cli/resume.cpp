// gavel resume: lifts a halt or freeze.

#include <fmt/format.h>

#include <memory>

#include "base/text.hpp"
#include "cli/commands.hpp"

namespace gavel {
namespace {

struct ResumeOptions {
  std::string scope = "everything";
  std::string reason;
};

Result<int> run_resume(Context& context, const ResumeOptions& options) {
  ASSIGN_OR_RETURN(const auto client, context.client());
  ASSIGN_OR_RETURN(const auto answer,
                   client.post("/v1/resume",
                               json::object{{"scope", options.scope}, {"reason", options.reason}}));
  if (context.json()) {
    context.print_json(answer);
    return kExitOk;
  }
  context.print(fmt::format("{} resumed\n", for_display(options.scope, 200)));
  return kExitOk;
}

}  // namespace

Command resume_command() {
  auto options = std::make_shared<ResumeOptions>();
  Command command("resume", "lift a halt or freeze");
  command.argument("SCOPE", options->scope, "what was halted or frozen (everything)", Values::scope,
                   Presence::optional);
  command.option("--reason", "TEXT", options->reason, "why, for the record");
  command.run = [options](Context& context) { return run_resume(context, *options); };
  return command;
}

}  // namespace gavel

// gavel approvals: what waits for a person.

#include <fmt/format.h>

#include <memory>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/session_text.hpp"

namespace gavel {
namespace {

Result<int> run_approvals(Context& context) {
  ASSIGN_OR_RETURN(const auto client, context.client());
  ASSIGN_OR_RETURN(const auto answer, client.get("/v1/pending"));
  if (context.json()) {
    context.print_json(answer);
    return kExitOk;
  }
  const auto* pending = find_array(answer, "pending");
  if (pending == nullptr || pending->empty()) {
    context.note("nothing waits for a person");
    return kExitOk;
  }
  context.print(pending_table(*pending, context.now()).render(context.style(), context.columns()));
  bool held = false;
  bool unknown = false;
  for (const auto& item : *pending) {
    const auto origins = provenance_text(item, context.style());
    if (!origins.empty()) {
      context.print(fmt::format("\n{}#{}\n{}", for_display(string_or(item, "session"), 300),
                                int_or(item, "intent", 0), origins));
    }
    (string_or(item, "phase") == "unknown" ? unknown : held) = true;
  }
  if (held) context.note("decide with: gavel approve INTENT, or gavel deny INTENT");
  if (unknown) context.note("say what became of it with: gavel resolve INTENT ok|failed");
  return kExitOk;
}

}  // namespace

Command approvals_command() {
  Command command("approvals", "list what waits for a person: held calls and unknown outcomes");
  command.run = run_approvals;
  return command;
}

}  // namespace gavel

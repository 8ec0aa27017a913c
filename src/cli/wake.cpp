// gavel wake: takes a session over. Elects a new epoch, so that whoever drove it before can append
// nothing more; resolves what was in flight; shows what was done so far.

#include <fmt/format.h>

#include <memory>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/session_text.hpp"

namespace gavel {
namespace {

struct WakeOptions {
  std::string session;
  std::string reason = "gavel wake";
};

constexpr std::chrono::minutes kWakePatience{10};

Result<int> run_wake(Context& context, const WakeOptions& options) {
  ASSIGN_OR_RETURN(const auto client, context.client());
  const auto base = "/v1/sessions/" + percent_encode(options.session);
  // A name that was mistyped must not become a session.
  TRY(client.get(base));
  ASSIGN_OR_RETURN(auto woken,
                   client.post(base + "/wake",
                               json::object{{"client", "gavel wake"}, {"reason", options.reason}},
                               kWakePatience));
  ASSIGN_OR_RETURN(const auto transcript, client.get(base + "/transcript"));
  const auto* intents = find_array(transcript, "intents");
  const json::array none;
  if (context.json()) {
    if (woken.is_object()) {
      woken.as_object()["intents"] = intents == nullptr ? none : *intents;
    }
    context.print_json(woken);
    return kExitOk;
  }
  context.print(fmt::format("{} is at epoch {}; drivers of older epochs are refused\n",
                            for_display(options.session, 200), int_or(woken, "epoch", 0)));
  context.print(fmt::format("{}\n", for_display(string_or(woken, "mcp_url"), 500)));
  if (intents != nullptr && !intents->empty()) {
    context.print("\n");
    context.print(
        transcript_table(*intents, context.now()).render(context.style(), context.columns()));
  }
  return kExitOk;
}

}  // namespace

Command wake_command() {
  auto options = std::make_shared<WakeOptions>();
  Command command("wake", "take a session over: new epoch, nothing lost, nothing twice");
  command.argument("SESSION", options->session, "its name", Values::session);
  command.option("--reason", "TEXT", options->reason, "why, for the record");
  command.run = [options](Context& context) { return run_wake(context, *options); };
  return command;
}

}  // namespace gavel

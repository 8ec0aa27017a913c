// gavel halt: stops a scope at once. What committed before may finish; nothing commits after (I6).

#include "cli/halts.hpp"

#include <fmt/format.h>

#include <memory>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/format.hpp"
#include "cli/session_text.hpp"

namespace gavel {
namespace {

struct HaltOptions {
  std::string scope = "everything";
  std::string reason;
  bool list = false;
};

Result<int> list_halts(Context& context, const Client& client) {
  ASSIGN_OR_RETURN(const auto answer, client.get("/v1/halts"));
  if (context.json()) {
    context.print_json(answer);
    return kExitOk;
  }
  const auto* halts = find_array(answer, "halts");
  if (halts == nullptr || halts->empty()) {
    context.note("nothing is halted");
    return kExitOk;
  }
  context.print(halts_table(*halts, context.now()).render(context.style(), context.columns()));
  return kExitOk;
}

Result<int> run_halt(Context& context, const HaltOptions& options, std::string_view mode) {
  ASSIGN_OR_RETURN(const auto client, context.client());
  if (options.list) return list_halts(context, client);
  ASSIGN_OR_RETURN(const auto answer,
                   client.post("/v1/halts", json::object{{"scope", options.scope},
                                                         {"mode", mode},
                                                         {"reason", options.reason}}));
  if (context.json()) {
    context.print_json(answer);
    return kExitOk;
  }
  const auto scope = for_display(options.scope, 200);
  context.print(fmt::format("{} {}: {}\n", scope, mode == "halt" ? "halted" : "frozen",
                            mode == "halt" ? "nothing is dispatched any more"
                                           : "nothing but reads is dispatched any more"));
  const std::string argument = scope == "everything" ? "" : " " + scope;
  context.note("lift it with: gavel resume" + argument);
  return kExitOk;
}

Command halting_command(std::string name, std::string summary, std::string_view mode) {
  auto options = std::make_shared<HaltOptions>();
  Command command(std::move(name), std::move(summary));
  command.argument("SCOPE", options->scope,
                   "everything, session:NAME, agent:NAME or toolset:NAME (everything)",
                   Values::scope, Presence::optional);
  command.option("--reason", "TEXT", options->reason, "why: agents and the record get it");
  command.flag("--list", options->list, "only show what is halted or frozen");
  command.run = [options, mode](Context& context) { return run_halt(context, *options, mode); };
  return command;
}

}  // namespace

Table halts_table(const json::array& halts, Timestamp now) {
  Table table({{.title = "SCOPE", .shrink = Shrink::may},
               {.title = "MODE"},
               {.title = "BY"},
               {.title = "SINCE"},
               {.title = "REASON", .shrink = Shrink::may}});
  for (const auto& halt : halts) {
    const std::string mode(string_or(halt, "mode"));
    table.add({{std::string(string_or(halt, "scope")), Tone::strong},
               {mode, tone_of(mode)},
               std::string(string_or(halt, "by")),
               relative_text(time_of(halt, "since"), now),
               std::string(string_or(halt, "reason"))});
  }
  return table;
}

Command halt_command() {
  return halting_command("halt", "stop everything in a scope at once", "halt");
}

Command freeze_command() {
  return halting_command("freeze", "stop everything but reads in a scope", "freeze");
}

}  // namespace gavel

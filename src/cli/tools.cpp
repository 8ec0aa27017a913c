// gavel tools: what may be called, how bad it could be, and what policy says to it.

#include <memory>

#include "cli/commands.hpp"
#include "cli/table.hpp"

namespace gavel {
namespace {

struct ToolsOptions {
  std::string toolset;
};

Result<int> run_tools(Context& context, const ToolsOptions& options) {
  ASSIGN_OR_RETURN(const auto client, context.client());
  ASSIGN_OR_RETURN(const auto answer, client.get("/v1/tools"));
  json::array tools;
  if (const auto* all = find_array(answer, "tools")) {
    for (const auto& tool : *all) {
      if (options.toolset.empty() || string_or(tool, "toolset") == options.toolset) {
        tools.push_back(tool);
      }
    }
  }
  if (context.json()) {
    context.print_json(json::object{{"tools", std::move(tools)}});
    return kExitOk;
  }
  if (tools.empty()) {
    context.note("no tools; name servers in gavel.yaml (gavel init), and see gavel upstreams");
    return kExitOk;
  }
  Table table({{.title = "TOOL", .shrink = Shrink::may},
               {.title = "EFFECT"},
               {.title = "VERDICT"},
               {.title = "RULE", .shrink = Shrink::may},
               {.title = "LISTED"},
               {.title = "DESCRIPTION", .shrink = Shrink::may}});
  for (const auto& tool : tools) {
    const std::string effect(string_or(tool, "effect"));
    const std::string verdict(string_or(tool, "verdict"));
    const auto* definition = find(tool, "definition");
    const bool listed = bool_or(tool, "listed", false);
    table.add({{std::string(string_or(tool, "name")), Tone::strong},
               {effect, tone_of(effect)},
               {verdict, tone_of(verdict)},
               std::string(string_or(tool, "rule")),
               {listed ? "yes" : "no", listed ? Tone::dim : Tone::warning},
               {definition == nullptr ? "" : std::string(string_or(*definition, "description")),
                Tone::dim}});
  }
  context.print(table.render(context.style(), context.columns()));
  return kExitOk;
}

}  // namespace

Command tools_command() {
  auto options = std::make_shared<ToolsOptions>();
  Command command("tools", "list the tools, their worst effect and what policy says");
  command.argument("SERVER", options->toolset, "only tools of this server", Values::any,
                   Presence::optional);
  command.run = [options](Context& context) { return run_tools(context, *options); };
  return command;
}

}  // namespace gavel

// gavel tools: what may be called, how bad it could be, what policy says to it, and which
// definitions are accepted.

#include <fmt/format.h>

#include <memory>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/table.hpp"
#include "cli/tool_text.hpp"
#include "cli/vote.hpp"
#include "policy/tool_flags.hpp"

namespace gavel {
namespace {

struct ToolsOptions {
  std::string toolset;
};

struct ToolOptions {
  std::string tool;
  std::string digest;
  std::string reason;
  bool yes = false;
};

Table tools_table(const json::array& tools) {
  Table table({{.title = "TOOL", .shrink = Shrink::may},
               {.title = "EFFECT"},
               {.title = "VERDICT"},
               {.title = "RULE", .shrink = Shrink::may},
               {.title = "LISTED"},
               {.title = "TRUST", .shrink = Shrink::may},
               {.title = "DESCRIPTION", .shrink = Shrink::may}});
  for (const auto& tool : tools) {
    const std::string effect(string_or(tool, "effect"));
    const std::string verdict(string_or(tool, "verdict"));
    const auto* definition = find(tool, "definition");
    const bool listed = bool_or(tool, "listed", false);
    const bool held = string_or(tool, "standing", "accepted") != "accepted";
    const auto marks = marks_text(tool);
    table.add({{reveal_hidden(string_or(tool, "name")), Tone::strong},
               {effect, tone_of(effect)},
               {verdict, tone_of(verdict)},
               std::string(string_or(tool, "rule")),
               {listed ? "yes" : "no", listed ? Tone::dim : Tone::warning},
               {marks.empty() ? "ok" : marks, held            ? Tone::bad
                                              : marks.empty() ? Tone::dim
                                                              : Tone::warning},
               {definition == nullptr ? "" : reveal_hidden(string_or(*definition, "description")),
                Tone::dim}});
  }
  return table;
}

Result<int> run_tools(Context& context, const ToolsOptions& options) {
  ASSIGN_OR_RETURN(const auto client, context.client());
  ASSIGN_OR_RETURN(const auto answer, client.get("/v1/tools"));
  json::array tools;
  std::size_t held = 0;
  if (const auto* all = find_array(answer, "tools")) {
    for (const auto& tool : *all) {
      if (!options.toolset.empty() && string_or(tool, "toolset") != options.toolset) continue;
      held += string_or(tool, "standing", "accepted") != "accepted" ? 1 : 0;
      tools.push_back(tool);
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
  context.print(tools_table(tools).render(context.style(), context.columns()));
  if (held > 0) {
    context.note(
        fmt::format("{} of them wait for you: look with gavel tools diff TOOL, then gavel "
                    "tools accept TOOL or gavel tools refuse TOOL",
                    held));
  }
  return kExitOk;
}

Result<json::value> fetch(const Client& client, const std::string& tool) {
  return client.get("/v1/tools/" + percent_encode(tool));
}

// The definition that `tool` has now against the accepted one, and its flags.
std::string tool_text(const json::value& tool, const Style& style) {
  static const json::value kNothing;
  const auto* said = find(tool, "said");
  const auto* says = find(tool, "says");
  std::string out = fmt::format(
      "{}  {}  {}\n", style.paint(Tone::strong, reveal_hidden(string_or(tool, "name"))),
      for_display(string_or(tool, "standing"), 40), string_or(tool, "digest").substr(0, 12));
  if (const auto* accepted = find_object(tool, "accepted")) {
    out += fmt::format("accepted by {} at {}  {}\n", for_display(string_or(*accepted, "by"), 60),
                       for_display(string_or(*accepted, "since"), 40),
                       string_or(*accepted, "digest").substr(0, 12));
  }
  out += style.paint(Tone::bad, flags_text(tool));
  const auto diff = definition_diff(said == nullptr ? kNothing : *said,
                                    says == nullptr ? kNothing : *says, style);
  return out + (diff.empty() ? "its definition is the accepted one\n" : diff);
}

Result<int> run_diff(Context& context, const ToolOptions& options) {
  ASSIGN_OR_RETURN(const auto client, context.client());
  ASSIGN_OR_RETURN(const auto tool, fetch(client, options.tool));
  if (context.json()) {
    context.print_json(tool);
  } else {
    context.print(tool_text(tool, context.style()));
  }
  return kExitOk;
}

Result<int> run_judge(Context& context, const ToolOptions& options, bool accept) {
  ASSIGN_OR_RETURN(const auto client, context.client());
  std::string digest = options.digest;
  if (digest.empty()) {
    ASSIGN_OR_RETURN(const auto tool, fetch(client, options.tool));
    digest = std::string(string_or(tool, "digest"));
    if (!options.yes) {
      context.world().err << tool_text(tool, context.error_style());
      ASSIGN_OR_RETURN(const bool sure,
                       confirm(context, accept ? "Accept exactly this?" : "Refuse exactly this?"));
      if (!sure) {
        context.note("nothing changed");
        return mapping(ErrorCode::cancelled).exit_code;
      }
    }
  }
  ASSIGN_OR_RETURN(const auto tool,
                   client.post(fmt::format("/v1/tools/{}/{}", percent_encode(options.tool),
                                           accept ? "accept" : "refuse"),
                               json::object{{"digest", digest}, {"reason", options.reason}}));
  if (context.json()) {
    context.print_json(tool);
  } else {
    context.print(fmt::format("{}: {}\n", reveal_hidden(string_or(tool, "name")),
                              for_display(string_or(tool, "standing"), 40)));
  }
  return kExitOk;
}

Command judge_command(std::string name, std::string summary, bool accept) {
  auto options = std::make_shared<ToolOptions>();
  Command command(std::move(name), std::move(summary));
  command.description = "Shows what changed and asks. It binds to the definition that was shown.";
  command.argument("TOOL", options->tool, "as gavel tools lists it: pg__query", Values::tool);
  command.option("--digest", "HEX", options->digest,
                 "of the definition that was looked at (gavel tools diff --json); does not ask");
  command.option("--reason", "TEXT", options->reason, "why, for the record");
  command.flag("-y,--yes", options->yes, "do not ask");
  command.run = [options, accept](Context& context) {
    return run_judge(context, *options, accept);
  };
  return command;
}

}  // namespace

Command tools_command() {
  auto options = std::make_shared<ToolsOptions>();
  Command command("tools",
                  "list the tools, their worst effect, what policy says and whom to trust");
  command.argument("SERVER", options->toolset, "only tools of this server", Values::any,
                   Presence::optional);
  command.run = [options](Context& context) { return run_tools(context, *options); };

  auto diff_options = std::make_shared<ToolOptions>();
  Command diff("diff", "show what a tool's definition says now, against the accepted one");
  diff.argument("TOOL", diff_options->tool, "as gavel tools lists it: pg__query", Values::tool);
  diff.run = [diff_options](Context& context) { return run_diff(context, *diff_options); };
  command.subcommands = {
      std::move(diff),
      judge_command("accept", "accept a tool's definition: it is shown to agents", true),
      judge_command("refuse", "refuse a tool's definition: it stays away from agents", false)};
  return command;
}

}  // namespace gavel

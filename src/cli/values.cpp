// gavel __values: what a completion script offers where only the daemon knows. Prints nothing where
// there is no daemon: a shell that completes must not complain.

#include <fmt/format.h>

#include <memory>
#include <set>

#include "base/text.hpp"
#include "cli/commands.hpp"

namespace gavel {
namespace {

struct ValuesOptions {
  std::string kind;
};

using Candidates = std::set<std::string>;

void add_members(const json::value& answer, std::string_view list, std::string_view member,
                 std::string_view prefix, Candidates& out) {
  if (const auto* items = find_array(answer, list)) {
    for (const auto& item : *items) {
      out.insert(fmt::format("{}{}", prefix, for_display(string_or(item, member), 200)));
    }
  }
}

Result<Candidates> candidates(const Client& client, std::string_view kind) {
  Candidates out;
  if (kind == "session" || kind == "scope") {
    ASSIGN_OR_RETURN(const auto answer, client.get("/v1/sessions?limit=200"));
    add_members(answer, "sessions", "session", kind == "scope" ? "session:" : "", out);
  }
  if (kind == "intent") {
    ASSIGN_OR_RETURN(const auto answer, client.get("/v1/pending"));
    if (const auto* pending = find_array(answer, "pending")) {
      for (const auto& item : *pending) {
        out.insert(fmt::format("{}#{}", for_display(string_or(item, "session"), 200),
                               int_or(item, "intent", 0)));
      }
    }
  }
  if (kind == "scope") {
    out.insert("everything");
    ASSIGN_OR_RETURN(const auto answer, client.get("/v1/upstreams"));
    add_members(answer, "upstreams", "name", "toolset:", out);
  }
  if (kind == "tool") {
    ASSIGN_OR_RETURN(const auto answer, client.get("/v1/tools"));
    add_members(answer, "tools", "name", "", out);
  }
  return out;
}

Result<int> run_values(Context& context, const ValuesOptions& options) {
  const auto client = context.client();
  if (!client) return kExitOk;
  const auto found = candidates(*client, options.kind);
  if (!found) return kExitOk;
  for (const auto& candidate : *found) context.print(candidate + "\n");
  return kExitOk;
}

}  // namespace

Command values_command() {
  auto options = std::make_shared<ValuesOptions>();
  Command command("__values", "candidates for shell completion");
  command.hidden = true;
  command.argument("KIND", options->kind, "session, intent, scope, tool or incident");
  command.run = [options](Context& context) { return run_values(context, *options); };
  return command;
}

}  // namespace gavel

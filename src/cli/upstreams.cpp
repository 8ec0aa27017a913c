// gavel upstreams: the servers that the tools live on, and how they are.

#include <fmt/format.h>

#include <memory>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/table.hpp"

namespace gavel {
namespace {

struct UpstreamsOptions {
  bool show_stderr = false;
};

std::string number(const json::value& object, std::string_view key) {
  const auto value = int_or(object, key, 0);
  return value == 0 ? "-" : std::to_string(value);
}

Table upstreams_table(const json::array& upstreams) {
  Table table({{.title = "SERVER"},
               {.title = "HEALTH"},
               {.title = "IMPLEMENTATION", .shrink = Shrink::may},
               {.title = "ERA"},
               {.title = "PID", .align = Align::right},
               {.title = "RUNNING", .align = Align::right},
               {.title = "QUEUED", .align = Align::right},
               {.title = "RESTARTS", .align = Align::right},
               {.title = "LAST ERROR", .shrink = Shrink::may}});
  for (const auto& upstream : upstreams) {
    const std::string health(string_or(upstream, "health"));
    table.add({{std::string(string_or(upstream, "name")), Tone::strong},
               {health, tone_of(health)},
               fmt::format("{} {}", string_or(upstream, "server"), string_or(upstream, "version")),
               std::string(string_or(upstream, "era")),
               number(upstream, "pid"),
               number(upstream, "in_flight"),
               number(upstream, "queued"),
               number(upstream, "restarts"),
               {std::string(string_or(upstream, "last_error")), Tone::bad}});
  }
  return table;
}

std::string stderr_text(const json::array& upstreams) {
  std::string out;
  for (const auto& upstream : upstreams) {
    std::string_view rest = string_or(upstream, "stderr");
    while (!rest.empty()) {
      const auto end = rest.find('\n');
      out += fmt::format("{}: {}\n", for_display(string_or(upstream, "name"), 60),
                         for_display(rest.substr(0, end), 1000));
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
  }
  return out;
}

Result<int> run_upstreams(Context& context, const UpstreamsOptions& options) {
  ASSIGN_OR_RETURN(const auto client, context.client());
  ASSIGN_OR_RETURN(const auto answer, client.get("/v1/upstreams"));
  if (context.json()) {
    context.print_json(answer);
    return kExitOk;
  }
  const auto* upstreams = find_array(answer, "upstreams");
  if (upstreams == nullptr || upstreams->empty()) {
    context.note("no servers; name some in gavel.yaml (gavel init), or wrap one: gavel mcp -- ...");
    return kExitOk;
  }
  context.print(upstreams_table(*upstreams).render(context.style(), context.columns()));
  if (options.show_stderr) context.print("\n" + stderr_text(*upstreams));
  return kExitOk;
}

}  // namespace

Command upstreams_command() {
  auto options = std::make_shared<UpstreamsOptions>();
  Command command("upstreams", "list the tool servers and how they are");
  command.flag("--stderr", options->show_stderr, "also what they wrote to standard error last");
  command.run = [options](Context& context) { return run_upstreams(context, *options); };
  return command;
}

}  // namespace gavel

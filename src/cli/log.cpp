// gavel log: a session's entries, as they stand in its log.

#include <fmt/format.h>

#include <memory>

#include "cli/commands.hpp"
#include "cli/entry_text.hpp"
#include "cli/log_pages.hpp"

namespace gavel {
namespace {

struct LogOptions {
  std::string session;
  std::uint64_t from = 0;
  std::uint64_t limit = 0;
  std::uint64_t last = 0;
  std::vector<std::string> kinds;
};

bool wanted(const json::value& entry, const LogOptions& options) {
  if (options.kinds.empty()) return true;
  const auto kind = string_or(entry, "kind");
  return std::ranges::any_of(options.kinds, [&](const auto& k) { return k == kind; });
}

Result<int> run_log(Context& context, const LogOptions& options) {
  ASSIGN_OR_RETURN(const auto client, context.client());
  std::uint64_t from = std::max<std::uint64_t>(options.from, 1);
  if (options.last > 0) {
    ASSIGN_OR_RETURN(const auto tail, tail_of(client, options.session));
    from = tail > options.last ? tail - options.last + 1 : 1;
  }
  const auto style = context.style();
  std::uint64_t printed = 0;
  TRY(read_entries(client, options.session, from, [&](const json::value& entry) {
    if (!wanted(entry, options)) return true;
    if (context.json()) {
      context.print_json(entry);
    } else {
      if (printed == 0) context.print(entry_line_titles(style));
      context.print(entry_line(entry, style, context.columns()));
    }
    ++printed;
    return options.limit == 0 || printed < options.limit;
  }));
  if (printed == 0) context.note("no entries there");
  return kExitOk;
}

}  // namespace

Command log_command() {
  auto options = std::make_shared<LogOptions>();
  Command command("log", "print a session's entries");
  command.description = "With --json, one entry per line.";
  command.argument("SESSION", options->session, "its name, or that of a control log",
                   Values::session);
  command.option("--from", "N", options->from, "begin at this position");
  command.option("-n,--last", "N", options->last, "only the last N entries");
  command.option("--limit", "N", options->limit, "stop after N entries");
  command.option("--kind", "KIND", options->kinds, "only entries of this kind; may be repeated");
  command.run = [options](Context& context) { return run_log(context, *options); };
  return command;
}

}  // namespace gavel

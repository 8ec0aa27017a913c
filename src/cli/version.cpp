// gavel version: of this program, and of the daemon if one runs.

#include <fmt/format.h>

#include "cli/commands.hpp"

namespace gavel {
namespace {

Result<int> run_version(Context& context) {
  const auto& version = context.hooks().version;
  if (context.json()) {
    context.print_json(json::object{{"version", version}});
  } else {
    context.print(fmt::format("gavel {}\n", version));
  }
  return kExitOk;
}

}  // namespace

Command version_command() {
  Command command("version", "print the version");
  command.run = run_version;
  return command;
}

}  // namespace gavel

// gavel incidents: runs the catalogue of what can go wrong, each scenario once without Gavel and
// once with it, by the scripts under incidents/.

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "cli/child.hpp"
#include "cli/commands.hpp"

namespace gavel {
namespace fs = std::filesystem;

namespace {

struct IncidentsOptions {
  std::vector<std::string> names;
  bool verbose = false;
  bool narrated = false;
};

Result<fs::path> incidents_directory(const World& world) {
  std::vector<fs::path> places;
  if (const auto given = world.variable("GAVEL_INCIDENTS")) places.emplace_back(*given);
  places.push_back(fs::path(world.directory) / "incidents");
  const auto beside = fs::path(world.program).parent_path();
  places.push_back(beside / "../share/gavel/incidents");
  places.push_back(beside / "share/gavel/incidents");
  for (const auto& place : places) {
    std::error_code error;
    if (fs::exists(place / "run.py", error)) return place.lexically_normal();
  }
  return fail(ErrorCode::not_found,
              "the incidents are not here: run this in a checkout of Gavel, or set "
              "GAVEL_INCIDENTS to its incidents directory");
}

Result<int> run_script(Context& context, std::vector<std::string> arguments) {
  const auto& world = context.world();
  ASSIGN_OR_RETURN(const auto directory, incidents_directory(world));
  std::vector<std::string> command = {"python3", (directory / "run.py").string()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  if (context.json()) command.emplace_back("--json");
  context.world().out.flush();
  auto code = run_child(command, world.environment);
  if (!code && code.error().code == ErrorCode::not_found) {
    return fail(ErrorCode::not_found, "the incidents need python3; install it and try again");
  }
  return code;
}

}  // namespace

Command incidents_command() {
  Command command("incidents", "play what can go wrong, without Gavel and with it");
  auto options = std::make_shared<IncidentsOptions>();
  Command run("run", "run all incidents, or those named");
  run.arguments("NAME", options->names, "a number (1), a folder, or a part of its name (zombie)",
                Values::incident);
  run.flag("--verbose", options->verbose, "show what the programs say");
  run.flag("--narrated", options->narrated, "tell the story step by step");
  run.run = [options](Context& context) {
    std::vector<std::string> arguments = {"run"};
    arguments.insert(arguments.end(), options->names.begin(), options->names.end());
    arguments.insert(arguments.end(), {"--binary", context.world().program});
    if (options->verbose) arguments.emplace_back("--verbose");
    if (options->narrated) arguments.emplace_back("--narrated");
    return run_script(context, std::move(arguments));
  };
  Command list("list", "list the incidents");
  list.run = [](Context& context) { return run_script(context, {"list"}); };
  command.subcommands = {std::move(run), std::move(list)};
  return command;
}

}  // namespace gavel

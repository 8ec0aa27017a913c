// gavel setup: puts Gavel's hooks into a program's configuration, shows first what changes, and
// takes them out again.

#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>
#include <memory>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/discovery.hpp"
#include "cli/hook_setup.hpp"
#include "cli/vote.hpp"

namespace gavel {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kBackup = ".before-gavel";

struct SetupOptions {
  std::string program;
  bool here = false;
  bool undo = false;
  bool yes = false;
  bool show = false;
  std::uint64_t wait = 0;  // 0: as long as the hook does by itself
};

// What the program is to run, with the options that this command was given.
std::vector<std::string> command_for(const Context& context, AgentProgram program,
                                     const SetupOptions& options) {
  const auto& world = context.world();
  std::vector<std::string> command = {world.program.empty() ? "gavel" : world.program, "hook",
                                      std::string(to_string(program))};
  if (options.wait > 0) command.insert(command.end(), {"--wait", std::to_string(options.wait)});
  const auto& globals = context.globals();
  // The program that runs it later need not have the variable that is set here.
  if (!globals.state.empty() || world.variable("GAVEL_STATE")) {
    if (const auto state = state_directory(globals.state, world)) {
      command.insert(command.end(), {"--state", *state});
    }
  }
  if (!globals.url.empty()) command.insert(command.end(), {"--url", globals.url});
  return command;
}

struct Change {
  fs::path file;
  bool existed = false;
  std::string before;
  std::string after;
};

Result<Change> change_for(const Context& context, AgentProgram program,
                          const SetupOptions& options) {
  Change change;
  ASSIGN_OR_RETURN(change.file, hook_path(context.world(), program,
                                          options.here ? HookPlace::project : HookPlace::user));
  auto text = read_text_file(change.file);
  if (!text && text.error().code != ErrorCode::not_found) return std::unexpected(text.error());
  change.existed = text.has_value();
  if (text) change.before = std::move(*text);
  auto after = options.undo
                   ? without_hooks(program, change.before)
                   : with_hooks(program, change.before, command_for(context, program, options));
  if (!after) {
    return fail(after.error().code,
                fmt::format("{} is not changed: {}", change.file.string(), after.error().message));
  }
  change.after = std::move(*after);
  if (!options.undo) return change;
  // Nobody has changed it since: it becomes, byte for byte, what it was.
  const auto backup = read_text_file(change.file.string() + std::string(kBackup));
  const auto redone =
      with_hooks(program, backup.value_or(""), command_for(context, program, options));
  if (redone && *redone == change.before) change.after = backup.value_or("");
  return change;
}

Status write_change(const Change& change, const SetupOptions& options) {
  const fs::path backup = change.file.string() + std::string(kBackup);
  std::error_code error;
  if (options.undo) {
    const bool empty = change.after.find_first_not_of(" \t\r\n{}") == std::string::npos;
    if (empty && !fs::exists(backup, error)) {
      fs::remove(change.file, error);
    } else {
      struct stat found = {};
      const unsigned mode = ::stat(change.file.c_str(), &found) == 0 ? found.st_mode & 0777U : 0600;
      TRY(write_text_file(change.file, change.after, mode, Replace::yes));
    }
    fs::remove(backup, error);
    return {};
  }
  fs::create_directories(change.file.parent_path(), error);
  if (error) {
    return fail(
        ErrorCode::permission_denied,
        fmt::format("cannot create {}: {}", change.file.parent_path().string(), error.message()));
  }
  struct stat found = {};
  const unsigned mode = ::stat(change.file.c_str(), &found) == 0 ? found.st_mode & 0777U : 0600;
  // The first backup is the one from before Gavel.
  if (change.existed && !fs::exists(backup, error)) {
    TRY(write_text_file(backup, change.before, mode, Replace::no));
  }
  return write_text_file(change.file, change.after, mode, Replace::yes);
}

Result<int> run_setup(Context& context, const SetupOptions& options) {
  const auto program = agent_program_from(options.program);
  if (!program) return fail(ErrorCode::invalid_argument, "no such program");
  ASSIGN_OR_RETURN(auto change, change_for(context, *program, options));
  // Whoever keeps their settings elsewhere and links to them keeps the link.
  std::error_code error;
  if (const auto real = fs::canonical(change.file, error); !error) change.file = real;
  const auto shown = change.file.string();
  if (change.after == change.before) {
    context.print(fmt::format("{}: nothing to change\n", shown));
    return kExitOk;
  }
  context.print(
      fmt::format("--- {}\n+++ {}\n{}", shown, shown, line_diff(change.before, change.after)));
  if (options.show) return kExitOk;
  if (!options.yes) {
    ASSIGN_OR_RETURN(const bool sure, confirm(context, "Write this?"));
    if (!sure) {
      context.note("nothing was written");
      return mapping(ErrorCode::cancelled).exit_code;
    }
  }
  TRY(write_change(change, options));
  context.print(fmt::format("{} {}\n", options.undo ? "restored" : "wrote", shown));
  if (!options.undo && !setup_note(*program).empty()) {
    context.note(setup_note(*program));
  }
  return kExitOk;
}

}  // namespace

Command setup_command() {
  auto options = std::make_shared<SetupOptions>();
  Command command("setup", "put Gavel's hooks into an agent program's configuration");
  command.description =
      "Shows what changes in the program's file, asks, and writes it beside a backup; other "
      "settings and comments stay. Doing it again changes nothing. --undo takes the hooks out.";
  auto& program = command.argument("PROGRAM", options->program, "which program");
  program.choices = {"claude-code", "codex", "gemini", "opencode", "cursor"};
  command.flag("--here", options->here, "this project's configuration instead of your own");
  command.flag("--undo", options->undo, "take them out again");
  command.flag("--show", options->show, "only show what would change");
  command.option("--wait", "SECONDS", options->wait,
                 "how long a held call is waited for, at most 240 (50)");
  command.flag("-y,--yes", options->yes, "do not ask");
  command.run = [options](Context& context) { return run_setup(context, *options); };
  return command;
}

}  // namespace gavel

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
  bool http = false;
  std::uint64_t wait = 0;  // 0: as long as the hook does by itself
};

// What the program is to ask over HTTP.
Result<std::string> url_for(const Context& context, AgentProgram program,
                            const SetupOptions& options) {
  if (!has_http_hooks(program)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} has no hooks over HTTP; leave out --http", to_string(program)));
  }
  ASSIGN_OR_RETURN(const auto daemon, context.daemon_address());
  if (!daemon.url.starts_with("https://")) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the daemon at {} serves no TLS: whatever listens there while it is "
                            "down could let every call pass with an empty answer. Give it a "
                            "certificate (daemon.tls, docs/api.md), or leave out --http",
                            daemon.url));
  }
  auto url = fmt::format("{}/v1/hooks/{}", daemon.url, to_string(program));
  if (options.wait > 0) url += fmt::format("?wait={}", options.wait);
  return url;
}

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

Result<std::string> in_file(const fs::path& file, Result<std::string> text) {
  if (text) return text;
  return fail(text.error().code,
              fmt::format("{} is not changed: {}", file.string(), text.error().message));
}

// The file's text without the hooks.
Result<std::string> undone(const Change& change, AgentProgram program,
                           std::vector<std::string> command) {
  ASSIGN_OR_RETURN(auto after, in_file(change.file, without_hooks(program, change.before)));
  HookWay way{std::move(command), {}};
  if (const auto found = find_hooks(program, change.before); found && *found) {
    way.url = (*found)->url;
  }
  // Nobody has changed it since: it becomes, byte for byte, what it was.
  auto backup = read_text_file(change.file.string() + std::string(kBackup)).value_or("");
  const auto redone = with_hooks(program, backup, way);
  return redone && *redone == change.before ? std::move(backup) : std::move(after);
}

Result<Change> change_for(const Context& context, AgentProgram program,
                          const SetupOptions& options) {
  Change change;
  ASSIGN_OR_RETURN(change.file, hook_path(context.world(), program,
                                          options.here ? HookPlace::project : HookPlace::user));
  auto text = read_text_file(change.file);
  if (!text && text.error().code != ErrorCode::not_found) return std::unexpected(text.error());
  change.existed = text.has_value();
  if (text) change.before = std::move(*text);
  if (options.undo) {
    ASSIGN_OR_RETURN(change.after, undone(change, program, command_for(context, program, options)));
    return change;
  }
  HookWay way;
  if (options.http) {
    ASSIGN_OR_RETURN(way.url, url_for(context, program, options));
  } else {
    way.command = command_for(context, program, options);
  }
  ASSIGN_OR_RETURN(change.after, in_file(change.file, with_hooks(program, change.before, way)));
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
  if (options.wait > kHookWaitSecondsMax) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("--wait is at most {}", kHookWaitSecondsMax));
  }
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
  command.flag("--http", options->http,
               "hooks over HTTP instead of commands, for agents under gavel run (claude-code)");
  command.flag("--undo", options->undo, "take them out again");
  command.flag("--show", options->show, "only show what would change");
  command.option("--wait", "SECONDS", options->wait,
                 "how long a held call is waited for, at most 240 (50)");
  command.flag("-y,--yes", options->yes, "do not ask");
  command.run = [options](Context& context) { return run_setup(context, *options); };
  return command;
}

}  // namespace gavel

#pragma once
// A subcommand as data: its name, its options bound to typed variables, and what it runs. The
// parser (parser.hpp), the completion scripts (completion.hpp) and docs/cli.md are all made from
// this one declaration.
//
//   Command log_command() {
//     auto options = std::make_shared<LogOptions>();
//     Command command("log", "prints a session's entries");
//     command.argument("SESSION", options->session, "its name", Values::session);
//     command.option("--from", "N", options->from, "the first position");
//     command.run = [options](Context& context) { return run_log(context, *options); };
//     return command;
//   }

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.hpp"

namespace gavel {

class Context;

// What a value may be: for completion.
enum class Values { any, file, directory, session, intent, scope, tool, incident };

// The variable that an option fills. It outlives the parsing: commands keep theirs in a shared
// struct.
using Target = std::variant<bool*, std::string*, std::uint64_t*, std::vector<std::string>*>;

struct CommandOption {
  std::string names;  // "--from", or "-f,--follow"
  std::string value;  // "N"; empty for a flag
  std::string help;
  Target target;
  Values values = Values::any;
  std::vector<std::string> choices;  // where not empty: one of these
};

enum class Presence { required, optional };

struct CommandArgument {
  std::string name;  // "SESSION"
  std::string help;
  Target target;
  Values values = Values::any;
  std::vector<std::string> choices;
  Presence presence = Presence::required;
};

struct Command {
  Command(std::string its_name, std::string its_summary);

  CommandOption& option(std::string names, std::string value, std::string& target, std::string help,
                        Values values = Values::any);
  CommandOption& option(std::string names, std::string value, std::uint64_t& target,
                        std::string help);
  CommandOption& option(std::string names, std::string value, std::vector<std::string>& target,
                        std::string help, Values values = Values::any);
  CommandOption& flag(std::string names, bool& target, std::string help);
  CommandArgument& argument(std::string name_in_help, std::string& target, std::string help,
                            Values values = Values::any, Presence presence = Presence::required);
  // Takes all that is left; optional.
  CommandArgument& arguments(std::string name_in_help, std::vector<std::string>& target,
                             std::string help, Values values = Values::any);
  // Everything after "--" goes here, as it is.
  void program(std::vector<std::string>& target, std::string help);

  std::string name;
  std::string summary;
  std::string group;        // heading in the help
  std::string description;  // more than the summary; may be empty
  bool hidden = false;
  std::vector<CommandOption> options;
  std::vector<CommandArgument> positionals;
  std::vector<std::string>* rest = nullptr;  // of program()
  std::string rest_help;
  std::vector<Command> subcommands;
  // The exit code, or the error that becomes one. Empty where a subcommand is needed.
  std::function<Result<int>(Context&)> run;
};

}  // namespace gavel

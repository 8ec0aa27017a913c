#pragma once
// Words of a command line to a Command and its filled variables. CLI11 is used in parser.cpp alone.

#include <string>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "cli/command.hpp"

namespace gavel {

// The command to run; it lives in the tree.
struct ParsedCommand {
  const Command* command = nullptr;
  std::vector<std::string> path;  // {"policy", "check"}
};
// --help or --version was asked for: print this and end well.
struct ParsedText {
  std::string text;
};
using Parsed = std::variant<ParsedCommand, ParsedText>;

// `root` is the tree; its options are global and accepted before and after subcommands. Errors:
// invalid_argument, with a suggestion for an unknown subcommand or option.
Result<Parsed> parse_command_line(const Command& root, std::vector<std::string> words);

}  // namespace gavel

#pragma once
// The commands that the shell classifier knows, as data. A command that is not here is a program
// that nobody looked at.

#include <span>
#include <string_view>

#include "core/entry.hpp"

namespace gavel {

// What the words are that are no options.
enum class Operands {
  text,       // no files
  reads,      // files to read
  listed,     // files whose names, sizes and dates are shown, not what is in them
  pattern,    // a pattern, then files to read
  writes,     // files to write
  copies,     // files to read, then one to write
  moves,      // files to remove, then one to write
  assigns,    // names of variables, with or without a value
  directory,  // the directory to go to
};

struct KnownCommand {
  std::string_view name;
  Effect effect = Effect::read;  // of the command itself, whatever it is given
  Operands operands = Operands::text;
  // Options that make it more than it seems: letters, and long names separated by spaces.
  std::string_view bad_letters = "";
  std::string_view bad_names = "";
  // Letters of options that make it look at everything below a directory.
  std::string_view deep_letters = "";
  std::string_view why = "";  // of an effect beyond read: "deletes"
};

const KnownCommand* find_command(std::string_view name);

// Commands that run another one. `letters` are options with a value of their own, `flags` those
// without; any other option is not understood. `skip` operands stand before the command.
struct Wrapper {
  std::string_view name;
  std::string_view letters = "";
  std::string_view flags = "";
  int skip = 0;
  Effect least = Effect::read;
};
const Wrapper* find_wrapper(std::string_view name);

// git's subcommands.
struct GitCommand {
  std::string_view name;
  Effect effect = Effect::read;
  std::string_view bad_letters = "";
  std::string_view bad_names = "";
  Effect worse = Effect::destructive;  // with a bad option
  bool lists = false;                  // reads without operands, writes with them
};
const GitCommand* find_git_command(std::string_view name);

// Variables that may be set for a command without changing what it is.
bool is_harmless_variable(std::string_view name);

}  // namespace gavel

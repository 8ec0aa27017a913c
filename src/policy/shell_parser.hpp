#pragma once
// Shell text as the simple commands in it, wherever they stand: in pipes, lists, loops, subshells,
// functions' and substitutions' insides. The grammar is POSIX sh with what bash adds in daily use;
// what is not understood here is an error, never a guess.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace gavel {

struct ShellWord {
  std::string text;    // without its quotes
  bool known = true;   // false: a variable, a substitution or braces decide what it is
  bool glob = false;   // it holds unquoted *, ? or [
  bool tilde = false;  // it begins with an unquoted ~
  bool plain = true;   // nothing of it was quoted
};

struct ShellRedirect {
  bool writes = false;  // else it reads
  ShellWord target;
};

struct ShellCommand {
  std::vector<std::pair<std::string, ShellWord>> assignments;
  std::vector<ShellWord> words;
  std::vector<ShellRedirect> redirects;
  bool fed = false;    // its standard input is a pipe, a here document or a file
  bool loops = false;  // it may run again after commands that stand behind it
};

inline constexpr std::size_t kShellBytesMax = 256u << 10;
inline constexpr std::size_t kShellDepthMax = 24;
inline constexpr std::size_t kShellCommandsMax = 2'000;

// In the order in which they stand, those inside a word before the command that the word belongs
// to. The error says what was not understood and where.
Result<std::vector<ShellCommand>> parse_shell(std::string_view text, std::size_t depth = 0);

}  // namespace gavel

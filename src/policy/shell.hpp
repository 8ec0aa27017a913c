#pragma once
// What a shell command could do at worst. It is parsed (policy/shell_parser.hpp), each simple
// command in it is looked up in a table of known ones (policy/shell_commands.hpp), and the worst
// counts. What is not known to be harmless is not: an unknown program is destructive, text that is
// not understood is irreversible.

#include <string>
#include <string_view>

#include "policy/paths.hpp"

namespace gavel {

struct ShellClass {
  Effect effect = Effect::irreversible;
  std::string reason;  // "rm deletes"
  bool operator==(const ShellClass&) const = default;
};

ShellClass classify_shell(std::string_view command, const PathContext& context);

}  // namespace gavel

#pragma once
// Programs in other small languages that stand in shell commands, as far as they are surely
// harmless.

#include <string_view>

namespace gavel {

// One sed command that prints, deletes lines of the output or substitutes; nothing that runs or
// writes.
bool is_plain_sed(std::string_view script);

// An awk program that runs nothing, reads nothing but its files and writes only to its output.
bool is_plain_awk(std::string_view program);

}  // namespace gavel

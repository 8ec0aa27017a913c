#pragma once
// What a tool's definition says, for people: marks in a list, and what changed. Hidden characters
// are shown as <U+200B>, control characters as blanks.

#include <string>

#include "base/json.hpp"
#include "cli/style.hpp"

namespace gavel {

// "instructions in description: do not tell the user", a line each; of a Tool of docs/api.md.
std::string flags_text(const json::value& tool);
// The same in one cell of a table: "changed, instructions"; empty where all is well.
std::string marks_text(const json::value& tool);

// What two definitions differ in, member by member, old lines with "-" and new ones with "+".
// `said` is null where nothing was accepted before.
std::string definition_diff(const json::value& said, const json::value& says, const Style& style);

}  // namespace gavel

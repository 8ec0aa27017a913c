#pragma once
// What is suspicious of a tool's definition, told by rule from its text alone: characters that
// nobody sees, instructions to the model, names that look like another server's, descriptions that
// speak of another server's tools. A net, not a wall: a clever text passes, and a harmless one may
// be flagged. What the first two find holds the tool until a person accepts it; the others warn.

#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "policy/policy.hpp"

namespace gavel {

enum class FlagKind : std::uint8_t { hidden_characters, instructions, look_alike, shadowing };
std::string_view to_string(FlagKind kind);

struct ToolFlag {
  FlagKind kind = FlagKind::instructions;
  std::string where;  // "description", "inputSchema.properties.path.description"
  std::string text;   // what was found, for people; hidden characters as <U+200B>
  bool operator==(const ToolFlag&) const = default;
};

// Of one definition, as its server lists it: hidden characters and instructions, in any of its
// names and texts. At most kFlagsMax.
std::vector<ToolFlag> flags_of(const json::object& definition);
inline constexpr std::size_t kFlagsMax = 16;

// Whether a flag of flags_of holds its tool.
bool holds(FlagMode mode, const std::vector<ToolFlag>& flags);

struct NamedTool {
  std::string_view toolset;      // "pg"
  std::string_view name;         // the server's own: "query"
  std::string_view description;  // may be empty
};
// Of tools among each other: look-alikes and shadowing, between servers only. One list for each
// tool, in their order. Linear in the length of all texts.
std::vector<std::vector<ToolFlag>> flags_among(const std::vector<NamedTool>& tools);

// Names that people take for each other have the same skeleton: case, homoglyphs (Cyrillic, Greek,
// full-width), digits that look like letters, separators. Hidden characters leave nothing.
std::string skeleton(std::string_view name);

// The text with its hidden characters as <U+200B>, so that a person sees them.
std::string reveal_hidden(std::string_view text);

}  // namespace gavel

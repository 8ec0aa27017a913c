#pragma once
// Log entries (docs/formats/entries.md, as the API gives them) as text for people. Pure.

#include <string>

#include "base/json.hpp"
#include "cli/style.hpp"
#include "cli/table.hpp"

namespace gavel {

// What the entry says, in one line: "pg__query {"sql":"..."} destructive".
std::string entry_summary(const json::value& entry);

// "  17  04:43:00.123  intent     agent      pg__query ..." cut at `columns` (0: not cut).
std::string entry_line(const json::value& entry, const Style& style, std::size_t columns);
// The titles over such lines.
std::string entry_line_titles(const Style& style);

// The intent that an entry is about: its own position for an intent entry; 0 where it is none.
std::int64_t intent_of(const json::value& entry);

// One intent's whole life, from the entries that are about it, oldest first.
std::string intent_story(std::string_view session, const json::array& entries, const Style& style);

}  // namespace gavel

#pragma once
// Objects of docs/api.md as text for people. Pure: JSON and the time in, text out.

#include <string>

#include "base/ids.hpp"
#include "base/json.hpp"
#include "cli/style.hpp"
#include "cli/table.hpp"

namespace gavel {

// The ISO time member, or 0.
Timestamp time_of(const json::value& object, std::string_view key);

Table sessions_table(const json::array& sessions, Timestamp now);
// One session as labelled lines.
std::string session_text(const json::value& session, Timestamp now, const Style& style);
// The intents of a transcript.
Table transcript_table(const json::array& intents, Timestamp now);

// Pending intents, with what to type next.
Table pending_table(const json::array& pending, Timestamp now);
// One pending intent in full: what exactly an approval would approve (I7).
std::string pending_text(const json::value& pending, Timestamp now, const Style& style);
// Where its arguments come from, a line for each part, the worst first; empty where nobody looked.
std::string provenance_text(const json::value& object, const Style& style);
// "waits for an approval", "may be confirmed in 30s", "outcome unknown"
std::string wait_text(const json::value& pending, Timestamp now);

// Labelled lines, the labels in one column: "  tool     pg__query".
struct Labelled {
  std::string label;
  std::string text;
  Tone tone = Tone::plain;
};
std::string fields_text(const std::vector<Labelled>& fields, const Style& style);

// Untrusted JSON, indented, each line made safe for a terminal. What is over the limits is cut, and
// the last line says so.
struct BlockLimits {
  std::size_t lines = 60;
  std::size_t line_bytes = 400;
};
std::string json_block(const json::value& value, std::string_view indent,
                       const BlockLimits& limits);
// Compact, on one line.
std::string json_line(const json::value& value, std::size_t bytes_max);

}  // namespace gavel

#pragma once
// Entries as bytes and as JSON. The byte form is the one that logs keep; docs/formats/entries.md is
// its spec: a header, then fields as (number, type, value), so that an older build skips fields it
// does not know. decode never trusts its input: any bytes give an Entry (perhaps an UnknownEntry)
// or `corrupted`.

#include <string>
#include <string_view>

#include "base/json.hpp"
#include "core/entry.hpp"

namespace gavel {

inline constexpr std::uint8_t kEntryVersion = 1;

// The entry's bytes, without its position: the log knows where it stands.
std::string encode(const Entry& entry);

// Errors: corrupted (cut short, a length that does not fit), unsupported (a newer kEntryVersion).
// Kinds, roles and enum values that this build does not know make an UnknownEntry that encodes to
// the same body; field numbers that it does not know are skipped.
Result<Entry> decode(Position position, std::string_view bytes);

// For the API, the command line and people:
// {"position":3,"kind":"intent","at":"2026-11-21T04:43:00.123Z",...}.
json::object to_json(const Entry& entry);

// "2026-11-21T04:43:00.123Z"
std::string to_iso8601(Timestamp at);

}  // namespace gavel

#pragma once
// Entries as bytes and as JSON. The byte form is the one that logs keep; docs/formats/entries.md is
// its spec: a header, then fields as (number, type, value), so that an older build skips fields it
// does not know. decode never trusts its input: any bytes give an Entry (perhaps an UnknownEntry)
// or `corrupted`.

#include <functional>
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

// Gives a payload's bytes, wherever they are.
using PayloadReader = std::function<Result<std::string>(const Payload&)>;

// The payload's JSON, a string where it is none, null where it is empty. What cannot be read is
// {"missing":"its digest","why":"..."}.
json::value to_json(const Payload& payload, const PayloadReader& read);

// For the API, the command line and people:
// {"position":3,"kind":"intent","at":"2026-11-21T04:43:00.123Z",...}. Without `read`, a payload
// that is not in the entry is {"digest":"...","size":N}.
json::object to_json(const Entry& entry, const PayloadReader* read = nullptr);

// [{"argument":"sql","origin":"untrusted","source":12,"tool":"tickets__read","text":"..."}]
json::array to_json(const std::vector<ArgumentOrigin>& origins);

// "2026-11-21T04:43:00.123Z"
std::string to_iso8601(Timestamp at);

}  // namespace gavel

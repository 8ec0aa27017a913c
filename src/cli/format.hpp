#pragma once
// Times, spans and sizes in words.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.hpp"

namespace gavel {

// "850ms", "12.3s", "4m 05s", "3h 20m", "2d 4h". A negative span has a '-' in front.
std::string span_text(Duration span);
// "just now", "12s ago", "in 5m"; `-` for a time of 0.
std::string relative_text(Timestamp then, Timestamp now);
// "512 B", "3.4 KiB"
std::string bytes_text(std::uint64_t bytes);

// "2026-11-21T04:43:00.123Z" (fraction optional); nothing where the text is anything else.
std::optional<Timestamp> parse_iso8601(std::string_view text);
// "04:43:00.123" of the UTC day.
std::string clock_text(Timestamp at);

// "1 session", "2 sessions"
std::string count_text(std::uint64_t count, std::string_view thing);

}  // namespace gavel

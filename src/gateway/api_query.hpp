#pragma once
// Numbers in paths and queries.

#include <cstdint>
#include <string_view>

#include "base/ids.hpp"
#include "base/result.hpp"

namespace gavel {

// The number at `key`, or `fallback` where it is missing. invalid_argument where it is none or
// outside [least, most].
Result<std::uint64_t> query_number(std::string_view query, std::string_view key,
                                   std::uint64_t fallback, std::uint64_t least, std::uint64_t most);
Result<std::uint64_t> parse_number(std::string_view name, std::string_view text,
                                   std::uint64_t least, std::uint64_t most);
// The intent that a path names.
Result<IntentId> parse_intent(std::string_view text);

}  // namespace gavel

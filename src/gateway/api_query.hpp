#pragma once
// Numbers in queries.

#include <cstdint>
#include <string_view>

#include "base/result.hpp"

namespace gavel {

// The number at `key`, or `fallback` where it is missing. invalid_argument where it is none or
// outside [least, most].
Result<std::uint64_t> query_number(std::string_view query, std::string_view key,
                                   std::uint64_t fallback, std::uint64_t least, std::uint64_t most);
Result<std::uint64_t> parse_number(std::string_view name, std::string_view text,
                                   std::uint64_t least, std::uint64_t most);

}  // namespace gavel

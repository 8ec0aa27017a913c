#pragma once
// What paths and queries say.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "base/json.hpp"
#include "base/result.hpp"

namespace gavel {

// invalid_argument where the query has a parameter that is not in `known`, has one twice, or one
// that does not decode to UTF-8: a misspelt filter would mean everything.
Status check_query(std::string_view query, std::span<const std::string_view> known);

// `what` "server", `name` "bx": "there is no server \"bx\"; did you mean \"box\"? There is: box,
// lib".
std::string nothing_called(std::string_view what, std::string_view name,
                           std::span<const std::string_view> known);

// invalid_argument where the object has another member than these, or one that is no text: neither
// would be seen.
Status check_members(const json::value& body, std::initializer_list<std::string_view> known);

// The number at `key`, or `fallback` where it is missing. invalid_argument where it is none or
// outside [least, most].
Result<std::uint64_t> query_number(std::string_view query, std::string_view key,
                                   std::uint64_t fallback, std::uint64_t least, std::uint64_t most);
Result<std::uint64_t> parse_number(std::string_view name, std::string_view text,
                                   std::uint64_t least, std::uint64_t most);
// The intent that a path names.
Result<IntentId> parse_intent(std::string_view text);

}  // namespace gavel

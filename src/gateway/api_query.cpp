#include "gateway/api_query.hpp"

#include <fmt/format.h>

#include <charconv>

#include "base/text.hpp"
#include "gateway/http_types.hpp"

namespace gavel {

Result<std::uint64_t> parse_number(std::string_view name, std::string_view text,
                                   std::uint64_t least, std::uint64_t most) {
  std::uint64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size() || value < least || value > most) {
    return fail(ErrorCode::invalid_argument,
                most == UINT64_MAX ? fmt::format("{} must be a number from {} on, not \"{}\"", name,
                                                 least, for_display(text, 40))
                                   : fmt::format("{} must be a number from {} to {}, not \"{}\"",
                                                 name, least, most, for_display(text, 40)));
  }
  return value;
}

Result<std::uint64_t> query_number(std::string_view query, std::string_view key,
                                   std::uint64_t fallback, std::uint64_t least,
                                   std::uint64_t most) {
  const auto text = query_value(query, key);
  if (!text) return fallback;
  return parse_number(key, *text, least, most);
}

Result<IntentId> parse_intent(std::string_view text) {
  ASSIGN_OR_RETURN(const auto number, parse_number("the intent", text, 1, UINT64_MAX));
  return IntentId{number};
}

}  // namespace gavel

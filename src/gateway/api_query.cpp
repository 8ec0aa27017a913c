#include "gateway/api_query.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/text.hpp"
#include "gateway/http_types.hpp"

namespace gavel {

Status check_members(const json::value& body, std::initializer_list<std::string_view> known) {
  for (const auto& member : body.as_object()) {
    const std::string_view name{member.key().data(), member.key().size()};
    const bool is_known = std::find(known.begin(), known.end(), name) != known.end();
    if (is_known && member.value().is_string()) continue;
    if (is_known) {
      return fail(ErrorCode::invalid_argument, fmt::format("\"{}\" must be a text", name));
    }
    return fail(ErrorCode::invalid_argument,
                fmt::format("\"{}\" is not known here; there is: {}", for_display(name, 100),
                            fmt::join(known, ", ")));
  }
  return {};
}

std::string nothing_called(std::string_view what, std::string_view name,
                           std::span<const std::string_view> known) {
  const auto near = nearest(name, known);
  return fmt::format("there is no {} \"{}\"{} {}", what, for_display(name, 100),
                     near.empty() ? ";" : fmt::format("; did you mean \"{}\"?", near),
                     known.empty() ? std::string("There is none here")
                                   : fmt::format("There is: {}", fmt::join(known, ", ")));
}

Status check_query(std::string_view query, std::span<const std::string_view> known) {
  std::set<std::string_view> seen;
  while (!query.empty()) {
    const auto pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const auto name = pair.substr(0, pair.find('='));
    if (pair.empty()) continue;
    if (std::ranges::find(known, name) == known.end()) {
      return fail(ErrorCode::invalid_argument, nothing_called("query parameter", name, known));
    }
    if (!seen.insert(name).second) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("the query has \"{}\" twice; give it once", name));
    }
    if (!query_value(pair, name)) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("the query's \"{}\" does not decode to UTF-8: write every byte that "
                              "is no letter or digit as %XX of UTF-8",
                              name));
    }
  }
  return {};
}

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

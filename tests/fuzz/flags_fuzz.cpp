// What a server says of its tools, as a JSON list of definitions or as one text.
//   - No flag carries a hidden character, and there are never more than kFlagsMax.
//   - Revealing hidden characters leaves none, twice as good as once.
//   - Hidden characters in a description are always flagged.
//   - Names with the same letters in another case have the same skeleton.
#include <algorithm>
#include <vector>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "bytes.hpp"
#include "policy/tool_flags.hpp"

namespace {

using namespace gavel;

void check_flags(const std::vector<ToolFlag>& flags) {
  for (const auto& flag : flags) {
    ASSERT(!flag.where.empty() && !to_string(flag.kind).empty());
    ASSERT(reveal_hidden(flag.text) == flag.text && reveal_hidden(flag.where) == flag.where);
    ASSERT(is_valid_utf8(flag.text));
  }
}

void check_definition(const json::object& definition) {
  const auto flags = flags_of(definition);
  ASSERT(flags.size() <= kFlagsMax);
  check_flags(flags);
  ASSERT(flags_of(definition) == flags);
}

void check_text(std::string_view text) {
  // As all JSON is.
  if (!is_valid_utf8(text)) return;
  const auto revealed = reveal_hidden(text);
  ASSERT(reveal_hidden(revealed) == revealed);
  const auto bones = skeleton(text);
  ASSERT(skeleton(bones) == bones);
  std::string upper(text);
  std::ranges::transform(upper, upper.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  ASSERT(skeleton(upper) == bones);
  const auto flags = flags_of(json::object{{"description", json::string(text)}});
  check_flags(flags);
  const bool hidden = std::ranges::any_of(
      flags, [](const ToolFlag& flag) { return flag.kind == FlagKind::hidden_characters; });
  ASSERT(revealed == text || hidden);
}

void check_list(const json::array& list) {
  std::vector<NamedTool> tools;
  for (const auto& item : list) {
    if (!item.is_object()) continue;
    check_definition(item.get_object());
    tools.push_back({tools.size() % 2 == 0 ? "a" : "b", string_or(item, "name"),
                     string_or(item, "description")});
  }
  const auto among = flags_among(tools);
  ASSERT(among.size() == tools.size());
  for (const auto& flags : among) check_flags(flags);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = fuzz::text_of(data, size);
  check_text(text);
  const auto value = parse_json(text, {.max_bytes = 64u << 10, .max_depth = 64});
  if (value && value->is_array()) check_list(value->get_array());
  if (value && value->is_object()) check_definition(value->get_object());
  return 0;
}

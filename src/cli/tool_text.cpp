#include "cli/tool_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

#include "base/text.hpp"
#include "policy/tool_flags.hpp"

namespace gavel {
namespace {

// More lines than this are compared as one block.
constexpr std::size_t kLinesMax = 2000;
constexpr std::size_t kLineMax = 2000;

// A member's value as lines: text as it reads, anything else as indented JSON.
std::vector<std::string> lines_of(const json::value* value) {
  std::vector<std::string> lines;
  if (value == nullptr) return lines;
  const std::string text =
      value->is_string() ? std::string(view(value->get_string())) : pretty_json(*value);
  std::string_view rest = text;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    lines.push_back(for_display(reveal_hidden(rest.substr(0, end)), kLineMax));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  return lines;
}

// The longest common subsequence decides what stayed.
std::string lines_diff(const std::vector<std::string>& before,
                       const std::vector<std::string>& after, const Style& style) {
  const auto line = [&](char mark, const std::string& text) {
    const auto tone = mark == '-' ? Tone::bad : mark == '+' ? Tone::good : Tone::dim;
    return style.paint(tone, fmt::format("  {} {}", mark, text)) + "\n";
  };
  std::string out;
  if (before.size() > kLinesMax || after.size() > kLinesMax) {
    for (const auto& text : before) out += line('-', text);
    for (const auto& text : after) out += line('+', text);
    return out;
  }
  const std::size_t width = after.size() + 1;
  std::vector<std::size_t> common((before.size() + 1) * width, 0);
  for (std::size_t i = before.size(); i-- > 0;) {
    for (std::size_t j = after.size(); j-- > 0;) {
      common[i * width + j] =
          before[i] == after[j] ? common[(i + 1) * width + j + 1] + 1
                                : std::max(common[(i + 1) * width + j], common[i * width + j + 1]);
    }
  }
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < before.size() || j < after.size()) {
    if (i < before.size() && j < after.size() && before[i] == after[j]) {
      out += line(' ', before[i]);
      ++i, ++j;
    } else if (j == after.size() ||
               (i < before.size() && common[(i + 1) * width + j] >= common[i * width + j + 1])) {
      out += line('-', before[i++]);
    } else {
      out += line('+', after[j++]);
    }
  }
  return out;
}

std::set<std::string> members_of(const json::value& definition) {
  std::set<std::string> names;
  if (!definition.is_object()) return names;
  for (const auto& member : definition.get_object()) names.emplace(member.key());
  return names;
}

}  // namespace

std::string flags_text(const json::value& tool) {
  std::string out;
  if (const auto* flags = find_array(tool, "flags")) {
    for (const auto& flag : *flags) {
      out += fmt::format("{} in {}: {}\n", for_display(string_or(flag, "kind"), 40),
                         for_display(reveal_hidden(string_or(flag, "where")), 200),
                         for_display(reveal_hidden(string_or(flag, "text")), 300));
    }
  }
  return out;
}

std::string marks_text(const json::value& tool) {
  const auto standing = string_or(tool, "standing", "accepted");
  std::set<std::string> kinds;
  if (const auto* flags = find_array(tool, "flags")) {
    for (const auto& flag : *flags) kinds.emplace(for_display(string_or(flag, "kind"), 40));
  }
  std::string out = standing == "accepted" ? std::string{} : for_display(standing, 40);
  for (const auto& kind : kinds) out += (out.empty() ? "" : ", ") + kind;
  return out;
}

std::string definition_diff(const json::value& said, const json::value& says, const Style& style) {
  std::set<std::string> names = members_of(said);
  names.merge(members_of(says));
  std::string out;
  for (const auto& name : names) {
    const auto* before = find(said, name);
    const auto* after = find(says, name);
    if (before != nullptr && after != nullptr && *before == *after) continue;
    out += style.paint(Tone::strong, for_display(name, 60)) + "\n" +
           lines_diff(lines_of(before), lines_of(after), style);
  }
  return out;
}

}  // namespace gavel

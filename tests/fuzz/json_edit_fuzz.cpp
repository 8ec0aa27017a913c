// Other programs' configuration files as `gavel init` and `gavel setup` edit them. An edit that
// succeeds leaves text that can be edited again, holds what was asked for, keeps every member that
// was there and every comment, and is taken back without a trace in the settings.
#include <algorithm>

#include "base/assert.hpp"
#include "base/json.hpp"
#include "bytes.hpp"
#include "cli/hook_setup.hpp"
#include "cli/json_edit.hpp"

namespace {

using namespace gavel;

constexpr std::string_view kElement = R"({"gavel":"here"})";
bool is_ours(std::string_view text) {
  return text.contains("\"gavel\":\"here\"");
}

// Both as JSON, where they are: comments are for those that read them.
void check_kept(std::string_view before, std::string_view after,
                const std::vector<std::string>& path) {
  const auto old_value = parse_json(before);
  if (!old_value || !old_value->is_object()) return;
  const auto new_value = parse_json(after);
  ASSERT(new_value.has_value());
  for (const auto& member : old_value->get_object()) {
    const std::string_view key(member.key().data(), member.key().size());
    const auto* now = find(*new_value, key);
    ASSERT(now != nullptr);
    if (key != path.front()) ASSERT(canonical_json(*now) == canonical_json(member.value()));
  }
}

void check_append(std::string_view text, const std::vector<std::string>& path) {
  const auto elements = elements_of(text, path);
  const auto added = append_element(text, path, kElement);
  if (!added) return;
  const auto now = elements_of(*added, path);
  ASSERT(now && elements && now->size() == elements->size() + 1);
  ASSERT(is_ours(now->back()));
  check_kept(text, *added, path);
  const auto removed = remove_elements(*added, path, is_ours);
  ASSERT(removed.has_value());
  const auto left = elements_of(*removed, path);
  ASSERT(left && std::ranges::none_of(*left, is_ours));
  if (!elements->empty() && std::ranges::none_of(*elements, is_ours)) {
    ASSERT(*left == *elements);
    check_kept(text, *removed, path);
  }
}

void check_member(std::string_view text) {
  const auto set = add_member(text, {"gavel-version"}, "1");
  if (!set) return;
  check_kept(text, *set, {"gavel-version"});
  ASSERT(add_member(*set, {"gavel-version"}, "2") == set);
}

void check_hooks(std::string_view text) {
  for (const auto program : {AgentProgram::claude_code, AgentProgram::codex, AgentProgram::gemini,
                             AgentProgram::cursor}) {
    HookWay way{{"/usr/bin/gavel", "hook", std::string(to_string(program))}, {}};
    for (const auto* url : {"", "https://127.0.0.1:7420/v1/hooks/claude-code"}) {
      if (*url != 0 && !has_http_hooks(program)) continue;
      way.url = url;
      const auto with = with_hooks(program, text, way);
      if (!with) continue;
      ASSERT(with_hooks(program, *with, way) == with);
      ASSERT(without_hooks(program, *with).has_value());
      (void)line_diff(text, *with);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = fuzz::text_of(data, size);
  check_append(text, {"hooks", "PreToolUse"});
  check_append(text, {"list"});
  check_member(text);
  check_hooks(text);
  return 0;
}

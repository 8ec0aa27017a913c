#include "cli/entry_text.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "base/text.hpp"
#include "cli/format.hpp"
#include "cli/session_text.hpp"

namespace gavel {
namespace {

constexpr std::size_t kArgumentsInLine = 300;
constexpr std::size_t kTextInLine = 400;
constexpr std::size_t kKindColumns = 14;
constexpr std::size_t kAuthorColumns = 12;

std::string text(const json::value& entry, std::string_view key) {
  return std::string(string_or(entry, key));
}

// `prefix` + the member, or nothing where the member is empty.
std::string with(std::string_view prefix, const json::value& entry, std::string_view key) {
  const auto value = string_or(entry, key);
  return value.empty() ? std::string{} : fmt::format("{}{}", prefix, value);
}

// A payload (arguments, a result) in one line.
std::string payload_line(const json::value& entry, std::string_view key) {
  const auto* payload = find(entry, key);
  if (payload == nullptr || payload->is_null()) return {};
  return json_line(*payload, kArgumentsInLine);
}

// What a tool said: the text of its content, or the result as it is.
std::string result_line(const json::value& entry) {
  const auto* result = find(entry, "result");
  const auto* content = result == nullptr ? nullptr : find_array(*result, "content");
  std::string out;
  if (content != nullptr) {
    for (const auto& item : *content) {
      const auto said = string_or(item, "text");
      if (!said.empty()) out += fmt::format("{}{}", out.empty() ? "" : " ", said);
    }
  }
  return out.empty() ? payload_line(entry, "result") : for_display(out, kArgumentsInLine);
}

std::string number(const json::value& entry, std::string_view key) {
  return std::to_string(int_or(entry, key, 0));
}

std::string about(const json::value& entry) {
  return "#" + number(entry, "intent");
}

using Summarize = std::string (*)(const json::value&);

std::string summarize_opened(const json::value& e) {
  return fmt::format("by {}{}", text(e, "agent"), with(", ", e, "client"));
}
std::string summarize_elected(const json::value& e) {
  return fmt::format("epoch {}, driver {}{}", number(e, "epoch"), text(e, "driver"),
                     with(": ", e, "reason"));
}
std::string summarize_intent(const json::value& e) {
  return fmt::format("{} {} {}", text(e, "tool"), text(e, "effect"), payload_line(e, "arguments"));
}
// "; sql from untrusted #12", of what has a source; a denial's reason says it.
std::string origins_line(const json::value& vote) {
  std::string line;
  const auto* parts =
      string_or(vote, "verdict") == "deny" ? nullptr : find_array(vote, "provenance");
  for (const auto& part : parts == nullptr ? json::array{} : *parts) {
    const auto source = number(part, "source");
    if (source != "0") {
      line += fmt::format("; {} from {} #{}", text(part, "argument"), text(part, "origin"), source);
    }
  }
  return line;
}
std::string summarize_vote(const json::value& e) {
  // The author column names the voter already, unless somebody wrote for another.
  const bool own = string_or(e, "voter") == string_or(e, "author");
  return fmt::format("{}{} {}{}{}{}", about(e), own ? "" : with(" ", e, "voter"),
                     text(e, "verdict"), with(" by rule ", e, "rule"), with(": ", e, "reason"),
                     origins_line(e));
}
std::string summarize_held(const json::value& e) {
  const auto not_before = parse_iso8601(string_or(e, "not_before"));
  const auto expires = parse_iso8601(string_or(e, "expires_at"));
  return fmt::format("{} {}{}{}", about(e), text(e, "reason"),
                     not_before ? ", not before " + clock_text(*not_before) : "",
                     expires ? ", expires " + clock_text(*expires) : "");
}
std::string summarize_decision(const json::value& e) {
  return fmt::format("{} {}{}{}{}", about(e), text(e, "ruling"), with(" ", e, "code"),
                     with(" by rule ", e, "rule"), with(": ", e, "reason"));
}
std::string summarize_attempt(const json::value& e) {
  return fmt::format("{} attempt {}, fencing token {}", about(e), number(e, "number"),
                     number(e, "fencing_token"));
}
std::string summarize_outcome(const json::value& e) {
  const auto result = result_line(e);
  return fmt::format("{} {} by {} in {}{}{}{}{}", about(e), text(e, "outcome"), text(e, "source"),
                     span_text(Duration{int_or(e, "took_ms", 0)}),
                     with(", said by ", e, "resolver"), with(": ", e, "reason"),
                     result.empty() ? "" : ": ", result);
}
std::string summarize_about(const json::value& e) {
  return about(e);
}
std::string summarize_probed(const json::value& e) {
  return fmt::format("{} {}{}", about(e), text(e, "verdict"), with(": ", e, "reason"));
}
std::string summarize_task(const json::value& e) {
  return fmt::format("{} is the server's task {}", about(e), text(e, "task"));
}
std::string summarize_refused(const json::value& e) {
  return fmt::format("{}: {} ({}){}", text(e, "who"), text(e, "what"), text(e, "code"),
                     with(": ", e, "reason"));
}
std::string summarize_prompt(const json::value& e) {
  return text(e, "text");
}
std::string summarize_halt(const json::value& e) {
  return fmt::format("{}{}", text(e, "mode"), with(": ", e, "reason"));
}
std::string summarize_reason(const json::value& e) {
  return text(e, "reason");
}
std::string summarize_policy(const json::value& e) {
  return text(e, "version").substr(0, 12);
}
std::string summarize_tool(const json::value& e) {
  return fmt::format("{} {}{}", text(e, "tool"), text(e, "digest").substr(0, 12),
                     with(": ", e, "reason"));
}
std::string summarize_budget(const json::value& e) {
  return fmt::format("{} for {}#{}: {}, {}", text(e, "budget"), text(e, "session"),
                     number(e, "intent"),
                     count_text(static_cast<std::uint64_t>(int_or(e, "calls", 0)), "call"),
                     span_text(Duration{int_or(e, "wall_clock_ms", 0)}));
}

using Row = std::pair<std::string_view, Summarize>;
constexpr std::array kSummaries = {
    Row{"session_opened", summarize_opened},
    Row{"epoch_elected", summarize_elected},
    Row{"intent", summarize_intent},
    Row{"vote", summarize_vote},
    Row{"held", summarize_held},
    Row{"decision", summarize_decision},
    Row{"attempt", summarize_attempt},
    Row{"outcome", summarize_outcome},
    Row{"delivered", summarize_about},
    Row{"replayed", summarize_about},
    Row{"probed", summarize_probed},
    Row{"task", summarize_task},
    Row{"refused", summarize_refused},
    Row{"prompt", summarize_prompt},
    Row{"halt", summarize_halt},
    Row{"resume", summarize_reason},
    Row{"policy_activated", summarize_policy},
    Row{"budget_reserved", summarize_budget},
    Row{"budget_settled", summarize_budget},
    Row{"tool_pinned", summarize_tool},
    Row{"tool_refused", summarize_tool},
};

// The kind's own tone, or that of what it says.
Tone entry_tone(const json::value& entry) {
  const auto kind = string_or(entry, "kind");
  for (const auto* key : {"ruling", "outcome", "verdict"}) {
    if (const auto word = string_or(entry, key); !word.empty()) return tone_of(word);
  }
  return tone_of(kind);
}

std::string payload_block(std::string_view label, const json::value& entry, std::string_view key,
                          const Style& style) {
  const auto* payload = find(entry, key);
  if (payload == nullptr || payload->is_null()) return {};
  return fmt::format("  {}\n", style.paint(Tone::dim, label)) + json_block(*payload, "    ", {});
}

std::string padded(std::string_view text, std::size_t columns) {
  const auto cut = truncate(text, columns);
  return cut + std::string(columns - display_width(cut), ' ');
}

std::string kind_cell(const json::value& entry, const Style& style) {
  return style.paint(entry_tone(entry),
                     padded(for_display(string_or(entry, "kind"), 100), kKindColumns));
}

std::string author_cell(const json::value& entry) {
  return padded(for_display(string_or(entry, "author"), 100), kAuthorColumns);
}

// The intent itself, at the head of its story.
std::string intent_head(std::string_view session, const json::value& entry, const Style& style) {
  const auto effect = for_display(text(entry, "effect"), 40);
  return style.paint(Tone::strong, fmt::format("{}#{}", for_display(session, 300),
                                               int_or(entry, "position", 0))) +
         "\n" +
         fields_text({{"tool", for_display(text(entry, "tool"), 200), Tone::strong},
                      {"effect", effect, tone_of(effect)},
                      {"requester", for_display(text(entry, "requester"), 200)},
                      {"proposed", for_display(text(entry, "at"), 40)},
                      {"epoch", number(entry, "epoch")},
                      {"key", for_display(text(entry, "key"), 200)},
                      {"digest", text(entry, "digest").substr(0, 12)},
                      {"policy", text(entry, "policy_version").substr(0, 12)}},
                     style) +
         payload_block("arguments", entry, "arguments", style) + "\n";
}

}  // namespace

std::int64_t intent_of(const json::value& entry) {
  if (string_or(entry, "kind") == "intent") return int_or(entry, "position", 0);
  return int_or(entry, "intent", 0);
}

std::string entry_summary(const json::value& entry) {
  for (const auto& [kind, summarize] : kSummaries) {
    if (kind == string_or(entry, "kind")) return for_display(summarize(entry), kTextInLine);
  }
  return json_line(entry, kTextInLine);
}

std::string entry_line_titles(const Style& style) {
  return style.paint(Tone::dim,
                     fmt::format("{:>6}  {:<12}  {:<{}}  {:<{}}  {}", "#", "TIME", "KIND",
                                 kKindColumns, "AUTHOR", kAuthorColumns, "WHAT")) +
         "\n";
}

std::string entry_line(const json::value& entry, const Style& style, std::size_t columns) {
  constexpr std::size_t kBefore = 6 + 2 + 12 + 2 + kKindColumns + 2 + kAuthorColumns + 2;
  constexpr std::size_t kSummaryMin = 10;
  const auto at = time_of(entry, "at");
  std::string summary = entry_summary(entry);
  if (columns > kBefore + kSummaryMin) summary = truncate(summary, columns - kBefore);
  return fmt::format(
      "{:>6}  {}  {}  {}  {}\n", int_or(entry, "position", 0),
      style.paint(Tone::dim, fmt::format("{:<12}", at.ms == 0 ? "-" : clock_text(at))),
      kind_cell(entry, style), author_cell(entry), summary);
}

std::string intent_story(std::string_view session, const json::array& entries, const Style& style) {
  std::string out;
  Timestamp before{};
  for (const auto& entry : entries) {
    const auto at = time_of(entry, "at");
    const auto kind = string_or(entry, "kind");
    if (kind == "intent") {
      before = at;
      out += intent_head(session, entry, style);
      continue;
    }
    out += fmt::format("  {}  {}  {}  {}\n",
                       style.paint(Tone::dim, fmt::format("{:>8}", "+" + span_text(at - before))),
                       kind_cell(entry, style), author_cell(entry), entry_summary(entry));
    if (kind == "vote") out += provenance_text(entry, style);
    if (kind == "outcome") out += payload_block("result", entry, "result", style);
    if (kind == "probed") out += payload_block("evidence", entry, "evidence", style);
  }
  return out;
}

}  // namespace gavel

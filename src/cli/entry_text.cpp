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
std::string summarize_vote(const json::value& e) {
  return fmt::format("{} {} {}{}{}", about(e), text(e, "voter"), text(e, "verdict"),
                     with(" by rule ", e, "rule"), with(": ", e, "reason"));
}
std::string summarize_held(const json::value& e) {
  return fmt::format("{} {}{}", about(e), text(e, "reason"), with(" until ", e, "expires_at"));
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
  return fmt::format("{} {} by {} in {}{}{} {}", about(e), text(e, "outcome"), text(e, "source"),
                     span_text(Duration{int_or(e, "took_ms", 0)}), with(": ", e, "reason"),
                     with(", said by ", e, "resolver"), payload_line(e, "result"));
}
std::string summarize_about(const json::value& e) {
  return about(e);
}
std::string summarize_probed(const json::value& e) {
  return fmt::format("{} {}{}", about(e), text(e, "verdict"), with(": ", e, "reason"));
}
std::string summarize_refused(const json::value& e) {
  return fmt::format("{}: {} ({}){}", text(e, "who"), text(e, "what"), text(e, "code"),
                     with(": ", e, "reason"));
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
    Row{"refused", summarize_refused},
    Row{"halt", summarize_halt},
    Row{"resume", summarize_reason},
    Row{"policy_activated", summarize_policy},
    Row{"budget_reserved", summarize_budget},
    Row{"budget_settled", summarize_budget},
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
  constexpr std::size_t kLinesMax = 60;
  const auto* payload = find(entry, key);
  if (payload == nullptr || payload->is_null()) return {};
  return fmt::format("  {}\n", style.paint(Tone::dim, label)) +
         json_block(*payload, "    ", kLinesMax);
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
  return style.paint(Tone::dim, fmt::format("{:>6}  {:<12}  {:<14}  {:<12}  {}", "#", "TIME",
                                            "KIND", "AUTHOR", "WHAT")) +
         "\n";
}

std::string entry_line(const json::value& entry, const Style& style, std::size_t columns) {
  constexpr std::size_t kAuthorColumns = 12;
  constexpr std::size_t kBefore = 6 + 2 + 12 + 2 + 14 + 2 + kAuthorColumns + 2;
  const auto kind = for_display(string_or(entry, "kind"), 14);
  const auto author = truncate(for_display(string_or(entry, "author"), 100), kAuthorColumns);
  const auto at = time_of(entry, "at");
  std::string summary = entry_summary(entry);
  if (columns > kBefore + 10) summary = truncate(summary, columns - kBefore);
  return fmt::format(
      "{:>6}  {}  {}{}  {}{}  {}\n", int_or(entry, "position", 0),
      style.paint(Tone::dim, fmt::format("{:<12}", at.ms == 0 ? "-" : clock_text(at))),
      style.paint(entry_tone(entry), kind),
      std::string(14 - std::min<std::size_t>(14, kind.size()), ' '), author,
      std::string(kAuthorColumns - display_width(author), ' '), summary);
}

std::string intent_story(std::string_view session, const json::array& entries, const Style& style) {
  std::string out;
  Timestamp before{};
  for (const auto& entry : entries) {
    const auto at = time_of(entry, "at");
    if (string_or(entry, "kind") == "intent") {
      const auto effect = text(entry, "effect");
      out += style.paint(Tone::strong, fmt::format("{}#{}", for_display(session, 300),
                                                   int_or(entry, "position", 0)));
      out += '\n';
      out += fields_text({{"tool", for_display(text(entry, "tool"), 200), Tone::strong},
                          {"effect", effect, tone_of(effect)},
                          {"requester", for_display(text(entry, "requester"), 200)},
                          {"proposed", for_display(text(entry, "at"), 40)},
                          {"epoch", number(entry, "epoch")},
                          {"key", for_display(text(entry, "key"), 200)},
                          {"digest", text(entry, "digest").substr(0, 12)},
                          {"policy", text(entry, "policy_version").substr(0, 12)}},
                         style);
      out += payload_block("arguments", entry, "arguments", style);
      out += '\n';
      before = at;
      continue;
    }
    const auto kind = for_display(string_or(entry, "kind"), 20);
    out += fmt::format("  {}  {}{}  {}  {}\n",
                       style.paint(Tone::dim, fmt::format("{:>8}", "+" + span_text(at - before))),
                       style.paint(entry_tone(entry), kind),
                       std::string(14 - std::min<std::size_t>(14, kind.size()), ' '),
                       for_display(string_or(entry, "author"), 60), entry_summary(entry));
    if (kind == "outcome") out += payload_block("result", entry, "result", style);
    if (kind == "probed") out += payload_block("evidence", entry, "evidence", style);
  }
  return out;
}

}  // namespace gavel

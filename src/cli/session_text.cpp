#include "cli/session_text.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "cli/format.hpp"
#include "core/provenance.hpp"

namespace gavel {
namespace {

constexpr std::size_t kProvenanceLine = 600;

std::string text_of(const json::value& object, std::string_view key) {
  return std::string(string_or(object, key));
}

std::string number_or_dash(const json::value& object, std::string_view key) {
  const auto number = int_or(object, key, 0);
  return number == 0 ? "-" : std::to_string(number);
}

Cell count_cell(const json::value& object, std::string_view key, Tone tone) {
  const auto number = int_or(object, key, 0);
  return {number == 0 ? "-" : std::to_string(number), number == 0 ? Tone::dim : tone};
}

// "ann, bob"
std::string names_in(const json::value& object, std::string_view key) {
  std::string names;
  const auto* list = find_array(object, key);
  for (const auto& name : list == nullptr ? json::array{} : *list) {
    if (!name.is_string()) continue;
    if (!names.empty()) names += ", ";
    names += view(name.get_string());
  }
  return names;
}

std::string counter(const json::value& session, std::string_view key) {
  const auto* counters = find(session, "counters");
  return std::to_string(counters == nullptr ? 0 : int_or(*counters, key, 0));
}

}  // namespace

Timestamp time_of(const json::value& object, std::string_view key) {
  return parse_iso8601(string_or(object, key)).value_or(Timestamp{});
}

Table sessions_table(const json::array& sessions, Timestamp now) {
  Table table({{.title = "SESSION", .shrink = Shrink::may},
               {.title = "AGENT", .shrink = Shrink::may},
               {.title = "EPOCH", .align = Align::right},
               {.title = "ENTRIES", .align = Align::right},
               {.title = "RUNNING", .align = Align::right},
               {.title = "HELD", .align = Align::right},
               {.title = "UNKNOWN", .align = Align::right},
               {.title = "LAST"},
               {.title = "CLIENT", .shrink = Shrink::may}});
  for (const auto& session : sessions) {
    table.add({{text_of(session, "session"), Tone::strong},
               text_of(session, "agent"),
               number_or_dash(session, "epoch"),
               number_or_dash(session, "tail"),
               count_cell(session, "in_flight", Tone::accent),
               count_cell(session, "held", Tone::warning),
               count_cell(session, "unknown", Tone::bad),
               relative_text(time_of(session, "last_at"), now),
               {text_of(session, "client"), Tone::dim}});
  }
  return table;
}

std::string fields_text(const std::vector<Labelled>& fields, const Style& style) {
  std::size_t width = 0;
  for (const auto& field : fields) width = std::max(width, field.label.size());
  std::string out;
  for (const auto& field : fields) {
    if (field.text.empty()) continue;
    out +=
        fmt::format("  {}  {}\n", style.paint(Tone::dim, fmt::format("{:<{}}", field.label, width)),
                    style.paint(field.tone, field.text));
  }
  return out;
}

std::string json_block(const json::value& value, std::string_view indent,
                       const BlockLimits& limits) {
  const std::string pretty = escape_invisible(pretty_json(value));
  std::string_view rest = pretty;
  std::string out;
  bool cut = false;
  for (std::size_t line = 0; !rest.empty(); ++line) {
    if (line == limits.lines) {
      cut = true;
      break;
    }
    const auto end = rest.find('\n');
    const auto text = rest.substr(0, end);
    cut = cut || text.size() > limits.line_bytes;
    out += fmt::format("{}{}\n", indent, for_display(text, limits.line_bytes));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  if (cut) out += fmt::format("{}… CUT: this is not all of it; see all with --json\n", indent);
  return out;
}

std::string json_line(const json::value& value, std::size_t bytes_max) {
  return for_display(escape_invisible(write_json(value)), bytes_max);
}

std::string session_text(const json::value& session, Timestamp now, const Style& style) {
  const auto clean = [&](std::string_view key) { return for_display(text_of(session, key), 200); };
  const auto held = int_or(session, "held", 0);
  const auto running = int_or(session, "in_flight", 0);
  const auto unknown = int_or(session, "unknown", 0);
  std::string waiting = fmt::format("{} running, {} held, {} unknown", running, held, unknown);
  const Tone tone = unknown > 0 ? Tone::bad : held > 0 ? Tone::warning : Tone::plain;
  std::string driver = clean("driver");
  if (driver.empty()) driver = "nobody";
  const auto opened = time_of(session, "opened_at");
  const auto last = time_of(session, "last_at");
  std::string out = style.paint(Tone::strong, clean("session")) + "\n";
  out += fields_text(
      {{"agent", clean("agent")},
       {"client", clean("client")},
       {"driver", fmt::format("{}, epoch {}", driver, int_or(session, "epoch", 0))},
       {"opened", fmt::format("{} ({})", clean("opened_at"), relative_text(opened, now))},
       {"last", fmt::format("{} ({})", clean("last_at"), relative_text(last, now))},
       {"entries", number_or_dash(session, "tail")},
       {"now", waiting, tone},
       {"so far",
        fmt::format("{} proposed, {} committed, {} aborted; {} ok, {} failed, {} "
                    "replayed, {} refused",
                    counter(session, "intents"), counter(session, "committed"),
                    counter(session, "aborted"), counter(session, "ok"), counter(session, "failed"),
                    counter(session, "replayed"), counter(session, "refused"))}},
      style);
  return out;
}

Table transcript_table(const json::array& intents, Timestamp now) {
  Table table({{.title = "#", .align = Align::right},
               {.title = "WHEN"},
               {.title = "TOOL", .shrink = Shrink::may},
               {.title = "EFFECT"},
               {.title = "PHASE"},
               {.title = "ARGUMENTS", .shrink = Shrink::may},
               {.title = "REASON", .shrink = Shrink::may}});
  for (const auto& intent : intents) {
    const auto* arguments = find(intent, "arguments");
    const auto effect = text_of(intent, "effect");
    const auto phase = text_of(intent, "phase");
    table.add({std::to_string(int_or(intent, "intent", 0)),
               relative_text(time_of(intent, "proposed_at"), now),
               {text_of(intent, "tool"), Tone::strong},
               {effect, tone_of(effect)},
               {phase, tone_of(phase)},
               arguments == nullptr ? "" : json_line(*arguments, 200),
               {text_of(intent, "reason"), Tone::dim}});
  }
  return table;
}

std::string wait_text(const json::value& pending, Timestamp now) {
  if (string_or(pending, "phase") == "unknown") return "outcome unknown";
  const auto hold = string_or(pending, "hold");
  if (hold == "settling") return "waits until the last write is seen";
  const auto not_before = time_of(pending, "not_before");
  const bool early = hold == "two_step" && not_before > now;
  const std::string acts = early ? relative_text(not_before, now) : "";
  if (const auto people = names_in(pending, "approved_by"); !people.empty()) {
    if (early) return fmt::format("approved by {}; acts {}", people, acts);
    return fmt::format("approved by {}; waits for a halt to end or a write to be seen", people);
  }
  const auto expires = time_of(pending, "expires_at");
  const std::string until = expires.ms == 0 ? "" : ", expires " + relative_text(expires, now);
  if (early) return fmt::format("waits for a confirmation, acts {} or later{}", acts, until);
  return (hold == "two_step" ? "waits for a confirmation" : "waits for an approval") + until;
}

Table pending_table(const json::array& pending, Timestamp now) {
  Table table({{.title = "INTENT"},
               {.title = "TOOL", .shrink = Shrink::may},
               {.title = "EFFECT"},
               {.title = "ARGUMENTS", .shrink = Shrink::may},
               {.title = "REQUESTER", .shrink = Shrink::may},
               {.title = "SINCE"},
               {.title = "STATE", .shrink = Shrink::may}});
  for (const auto& item : pending) {
    const auto* arguments = find(item, "arguments");
    const auto effect = text_of(item, "effect");
    const bool unknown = string_or(item, "phase") == "unknown";
    table.add(
        {{fmt::format("{}#{}", text_of(item, "session"), int_or(item, "intent", 0)), Tone::strong},
         text_of(item, "tool"),
         {effect, tone_of(effect)},
         arguments == nullptr ? "" : json_line(*arguments, 300),
         text_of(item, "requester"),
         relative_text(time_of(item, "proposed_at"), now),
         {wait_text(item, now), unknown ? Tone::bad : Tone::warning}});
  }
  return table;
}

std::string provenance_text(const json::value& object, const Style& style) {
  std::string out;
  const auto* parts = find_array(object, "provenance");
  for (const auto& part : parts == nullptr ? json::array{} : *parts) {
    ArgumentOrigin origin;
    origin.origin = origin_from(string_or(part, "origin")).value_or(Origin::lost);
    origin.argument = text_of(part, "argument");
    origin.source = Position{static_cast<std::uint64_t>(int_or(part, "source", 0))};
    origin.tool = text_of(part, "tool");
    origin.text = text_of(part, "text");
    const bool bad = origin.origin == Origin::untrusted || origin.origin == Origin::lost;
    out += fmt::format("  {}  {}\n", style.paint(Tone::dim, "from"),
                       style.paint(bad ? Tone::warning : Tone::plain,
                                   for_display(to_text(origin), kProvenanceLine)));
  }
  return out;
}

std::string pending_text(const json::value& pending, Timestamp now, const Style& style) {
  const auto clean = [&](std::string_view key) { return for_display(text_of(pending, key), 500); };
  const auto effect = clean("effect");
  std::string out = style.paint(
      Tone::strong, fmt::format("{}#{}", clean("session"), int_or(pending, "intent", 0)));
  out += '\n';
  out += fields_text({{"tool", clean("tool"), Tone::strong},
                      {"effect", effect, tone_of(effect)},
                      {"requester", clean("requester")},
                      {"rule", clean("rule")},
                      {"reason", clean("reason")},
                      {"state", for_display(wait_text(pending, now), 200)},
                      {"digest", clean("digest").substr(0, 12)}},
                     style);
  if (const auto* arguments = find(pending, "arguments")) {
    // Who approves must see all of it: limits only against what no terminal can take.
    constexpr BlockLimits kAll{.lines = 100'000, .line_bytes = 1u << 20};
    out += fmt::format("  {}\n", style.paint(Tone::dim, "arguments"));
    out += json_block(*arguments, "    ", kAll);
  }
  out += provenance_text(pending, style);
  if (const auto* votes = find_array(pending, "votes")) {
    for (const auto& vote : *votes) {
      const auto verdict = for_display(string_or(vote, "verdict"), 40);
      out += fmt::format("  {} {} {}  {}\n", style.paint(Tone::dim, "vote"),
                         for_display(string_or(vote, "voter"), 80),
                         style.paint(tone_of(verdict), verdict),
                         for_display(string_or(vote, "reason"), 300));
    }
  }
  return out;
}

}  // namespace gavel

#include "cli/explanation_text.hpp"

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/session_text.hpp"
#include "cli/table.hpp"
#include "core/codec.hpp"

namespace gavel {

json::object explained_json(const Explanation& explanation) {
  const auto& assessment = explanation.assessment;
  json::array rules;
  for (const auto& rule : explanation.rules) {
    rules.push_back(json::object{{"rule", rule.rule},
                                 {"line", rule.line},
                                 {"matched", rule.matched},
                                 {"verdict", to_string(rule.verdict)},
                                 {"why", rule.why}});
  }
  return {{"verdict", to_string(assessment.verdict)},
          {"effect", to_string(assessment.effect)},
          {"effect_reason", explanation.effect_reason},
          {"rule", assessment.rule},
          {"reason", assessment.reason},
          {"policy_version", assessment.policy_version},
          {"provenance", to_json(assessment.provenance)},
          {"rules", std::move(rules)}};
}

std::string explanation_text(const json::value& explanation, const Style& style,
                             std::size_t columns) {
  const auto clean = [&](std::string_view key) {
    return for_display(string_or(explanation, key), 1000);
  };
  const auto verdict = clean("verdict");
  auto effect = clean("effect");
  const auto effect_tone = tone_of(effect);
  if (const auto why = clean("effect_reason"); !why.empty()) effect += " (" + why + ")";
  std::string out = fields_text({{"verdict", verdict, tone_of(verdict)},
                                 {"effect", effect, effect_tone},
                                 {"rule", clean("rule")},
                                 {"reason", clean("reason")},
                                 {"policy", clean("policy_version").substr(0, 12)}},
                                style);
  out += provenance_text(explanation, style);
  if (const auto* problems = find_array(explanation, "problems")) {
    for (const auto& problem : *problems) {
      if (!problem.is_string()) continue;
      out += fmt::format("\n  {} {}\n", style.paint(Tone::bad, "but such a call is refused:"),
                         for_display(view(problem.get_string()), 1000));
    }
  }
  const auto* rules = find_array(explanation, "rules");
  if (rules == nullptr || rules->empty()) return out;
  Table table({{.title = "RULE", .shrink = Shrink::may},
               {.title = "LINE", .align = Align::right},
               {.title = "MATCHES"},
               {.title = "VERDICT"},
               {.title = "WHY", .shrink = Shrink::may}});
  for (const auto& rule : *rules) {
    const bool matched = bool_or(rule, "matched", false);
    const auto line = int_or(rule, "line", 0);
    const std::string word(string_or(rule, "verdict"));
    table.add({{std::string(string_or(rule, "rule")), matched ? Tone::strong : Tone::dim},
               line == 0 ? "-" : std::to_string(line),
               {matched ? "yes" : "no", matched ? Tone::good : Tone::dim},
               {word, matched ? tone_of(word) : Tone::dim},
               {std::string(string_or(rule, "why")), Tone::dim}});
  }
  return out + "\n" + table.render(style, columns);
}

}  // namespace gavel

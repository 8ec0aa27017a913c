#include "runtime/tool_trust.hpp"

#include <fmt/format.h>

#include "runtime/control_plane.hpp"
#include "runtime/upstream.hpp"

namespace gavel {

std::string_view to_string(Standing standing) {
  switch (standing) {
    case Standing::accepted:
      return "accepted";
    case Standing::unseen:
      return "unseen";
    case Standing::changed:
      return "changed";
    case Standing::flagged:
      return "flagged";
    case Standing::refused:
      return "refused";
  }
  return "refused";
}

TrustRules trust_rules(const ServerSpec& server) {
  TrustRules rules;
  rules.mode = server.pins;
  rules.flags = server.flags;
  if (!is_attached(server.name)) {
    rules.pins = LogId{fmt::format("{}toolset/{}", kControlPrefix, server.name)};
    return rules;
  }
  json::array command;
  for (const auto& word : server.command) command.emplace_back(word);
  rules.pins = LogId{fmt::format("{}attached/{}.{}", kControlPrefix, public_name(server.name),
                                 canonical_digest(command).short_hex())};
  return rules;
}

json::object pinned_part(const json::object& definition) {
  json::object pinned;
  for (const std::string_view member :
       {"name", "title", "description", "inputSchema", "outputSchema", "annotations"}) {
    if (const auto* value = find(definition, member)) pinned[member] = *value;
  }
  return pinned;
}

Standing standing_of(const TrustRules& rules, const ToolPin* pin, const Digest& digest,
                     const std::vector<ToolFlag>& flags) {
  const bool pinned = pin != nullptr && !pin->digest.is_zero();
  if (pin != nullptr && pin->refused == digest) return Standing::refused;
  const bool flagged = holds(rules.flags, flags);
  if (pinned && pin->digest == digest) {
    return flagged && !pin->by_person ? Standing::flagged : Standing::accepted;
  }
  if (rules.mode == Pins::off) return flagged ? Standing::flagged : Standing::accepted;
  if (pinned) return Standing::changed;
  return flagged ? Standing::flagged : Standing::unseen;
}

std::string held_text(Standing standing, std::string_view tool) {
  const auto why = [&]() -> std::string_view {
    switch (standing) {
      case Standing::unseen:
        return "nobody has accepted this tool yet";
      case Standing::changed:
        return "its definition is another than the accepted one (name, description, schemas or "
               "annotations)";
      case Standing::flagged:
        return "its definition holds hidden characters or instructions";
      default:
        return "a person refused its definition";
    }
  }();
  return fmt::format(
      "{} was not called: {}. A person decides: gavel tools diff {}, then gavel tools accept {} or "
      "gavel tools refuse {}. Do without it until then.",
      tool, why, tool, tool, tool);
}

}  // namespace gavel

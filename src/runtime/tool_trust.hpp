#pragma once
// Trust in tools: what of a tool's definition is pinned, and whether it may be shown to agents and
// called. The pins stand in a control log per server (core/state.hpp); this compares them with what
// the server says now. Pure.

#include <string>

#include "core/state.hpp"
#include "policy/policy.hpp"
#include "policy/tool_flags.hpp"

namespace gavel {

enum class Standing {
  accepted,  // what the server says is what was accepted
  unseen,    // nothing was accepted yet, and the policy asks
  changed,   // the server says something else than was accepted
  flagged,   // a flag holds it
  refused,   // a person does not want this definition
};
std::string_view to_string(Standing standing);

// What a server is trusted with.
struct TrustRules {
  LogId pins;  // its control log
  Pins mode = Pins::first_use;
  FlagMode flags = FlagMode::hold;
};
// A server of the policy has the control log of its toolset. One that somebody attached has one by
// its name and its command, so that its pins outlive the connection.
TrustRules trust_rules(const ServerSpec& server);

// What is pinned of a definition: name, title, description, schemas and annotations, as the server
// lists them.
json::object pinned_part(const json::object& definition);

// `pin` is null where there is none; `digest` is of pinned_part.
Standing standing_of(const TrustRules& rules, const ToolPin* pin, const Digest& digest,
                     const std::vector<ToolFlag>& flags);

// Why a call of it is refused and who decides, for the model. `tool` is Gavel's name.
std::string held_text(Standing standing, std::string_view tool);

}  // namespace gavel

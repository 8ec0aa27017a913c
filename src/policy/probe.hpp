#pragma once
// Probes: a read that tells whether an effect happened. Before it is asked, its argument templates
// are filled from the call; its answer is judged by the schemas of the policy. Where neither says
// anything, the answer is unclear, and a person decides.

#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"
#include "policy/policy.hpp"

namespace gavel {

// Whether every "${...}" in the probe's arguments is one that expand_probe knows, and its SQL only
// reads; the error says what is wrong.
Status check_probe_arguments(const ProbeSpec& probe);

// The probe's arguments for this call: "${args.NAME}" and "${key}" filled in (policy/policy.hpp).
// In the probe tool's SQL argument they can change values only, never the statement. Errors:
// invalid_argument where the call lacks an argument that a template names, or its SQL would do more
// than read.
Result<json::object> expand_probe(const ProbeSpec& probe, const json::value& call_arguments,
                                  std::string_view key);

// What a CallToolResult says: `happened` where it satisfies that schema, `absent` where it
// satisfies that one (unset: where it does not satisfy `happened`). Unclear where it is an error,
// satisfies both or neither, or a schema cannot be evaluated.
ProbeVerdict judge_probe(const ProbeSpec& probe, const json::value& result);

}  // namespace gavel

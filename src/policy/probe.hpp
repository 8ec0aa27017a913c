#pragma once
// Probes: a read that tells whether an effect happened. Before it is asked, its argument templates
// are filled from the call; its answer is judged by the schemas of the policy. Where neither says
// anything, the answer is unclear, and a person decides.

#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"
#include "policy/policy.hpp"

namespace gavel {

// Whether every "${...}" in `arguments` is one that expand_probe knows; the error names the bad
// one.
Status check_probe_templates(const json::object& arguments);

// The probe's arguments for this call: "${args.NAME}" and "${key}" filled in (policy/policy.hpp).
// Errors: invalid_argument where the call lacks an argument that a template names.
Result<json::object> expand_probe(const ProbeSpec& probe, const json::value& call_arguments,
                                  std::string_view key);

// What a CallToolResult says: `happened` where it satisfies that schema, `absent` where it
// satisfies that one (unset: where it does not satisfy `happened`). Unclear where it is an error,
// satisfies both or neither, or a schema cannot be evaluated.
ProbeVerdict judge_probe(const ProbeSpec& probe, const json::value& result);

}  // namespace gavel

#pragma once
// An Explanation (docs/api.md): why a policy says what it says, for people and programs. Pure.

#include <string>

#include "base/json.hpp"
#include "cli/style.hpp"
#include "policy/policy.hpp"

namespace gavel {

// As the API gives it.
json::object explained_json(const Explanation& explanation);
std::string explanation_text(const json::value& explanation, const Style& style,
                             std::size_t columns);

}  // namespace gavel

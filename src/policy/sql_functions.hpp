#pragma once
// What PostgreSQL's built-in functions do, by name. A function that is not known here may do
// anything that its author could; it counts as a write, because creating it was classed higher.
// Private to policy.

#include <string_view>

#include "core/entry.hpp"

namespace gavel {

struct FunctionClass {
  Effect effect = Effect::write;
  std::string_view what;  // "advances a sequence"; empty for reads
};

// `name` without schema, as the parser folds it: in small letters unless it was quoted.
FunctionClass classify_function(std::string_view name);

}  // namespace gavel

#pragma once
// What PostgreSQL's built-in functions do, by name. Private to policy.

#include <string_view>

#include "core/entry.hpp"

namespace gavel {

struct FunctionClass {
  Effect effect = Effect::read;
  std::string_view what;  // "advances a sequence"; empty for reads
};

// A function that is not known here may do whatever its author could, deleting included.
inline constexpr FunctionClass kUnknownFunction{Effect::destructive, "may change anything"};

// `name` without schema, as the parser folds it: in small letters unless it was quoted.
FunctionClass classify_function(std::string_view name);

}  // namespace gavel

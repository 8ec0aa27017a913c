#pragma once
// JSON Schema, 2020-12 and draft-07, for schemas and values that are both hostile. A schema is
// compiled once: `$ref`s are resolved (inside the schema only), patterns become RE2, and a cycle
// that makes no progress is an error. What this build does not evaluate (unevaluated*, $dynamicRef,
// nested $id) is `unsupported` at compile time, never silently ignored; `format` and content* are
// annotations. Validation is bounded in depth and in steps, so that no pair of schema and value can
// hang or crash the process.
//
// An immutable value: copies share the compiled form, and any thread may validate.

#include <memory>

#include "base/json.hpp"
#include "base/result.hpp"

namespace gavel {

class SchemaProgram;

struct SchemaOptions {
  // A keyword that no dialect knows is an error with a suggestion: for schemas that people write
  // here, where "minumum" would quietly match everything.
  bool strict_keywords = false;
};

class JsonSchema {
public:
  // Errors: invalid_argument (not a schema), unsupported (names the keyword), too_large. Each
  // message starts with the place inside the schema, as a JSON pointer.
  static Result<JsonSchema> compile(const json::value& schema, const SchemaOptions& options = {});

  // invalid_argument: "/amount: 12 is under the minimum, 20". Where the value costs more steps than
  // kSchemaStepsMax, too_large.
  Status validate(const json::value& value) const;

private:
  explicit JsonSchema(std::shared_ptr<const SchemaProgram> program)
      : program_(std::move(program)) {}
  std::shared_ptr<const SchemaProgram> program_;
};

inline constexpr std::size_t kSchemaNodesMax = 20'000;
inline constexpr std::size_t kSchemaDepthMax = 128;
inline constexpr std::size_t kSchemaStepsMax = 2'000'000;

}  // namespace gavel

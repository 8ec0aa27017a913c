#include "policy/json_schema.hpp"

#include <fmt/format.h>

#include "policy/schema_program.hpp"

namespace gavel {

Result<JsonSchema> JsonSchema::compile(const json::value& schema, const SchemaOptions& options) {
  KeyTable keys;
  ASSIGN_OR_RETURN(auto program, SchemaProgram::compile(schema, options, keys));
  return JsonSchema(std::move(program));
}

Status JsonSchema::validate(const json::value& value) const {
  SharedLookups lookups(nullptr, 0);
  SchemaMismatch mismatch;
  switch (program_->evaluate(value, lookups, &mismatch)) {
    case SchemaAnswer::matches:
      return {};
    case SchemaAnswer::differs:
      break;
    case SchemaAnswer::too_complex:
      return fail(ErrorCode::too_large,
                  "checking the value against its schema takes too many steps; make the schema "
                  "simpler or the value smaller");
  }
  return fail(ErrorCode::invalid_argument,
              mismatch.pointer.empty() ? mismatch.text : mismatch.pointer + ": " + mismatch.text);
}

}  // namespace gavel

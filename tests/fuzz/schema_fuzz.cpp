// A JSON Schema and a value of strangers: {"schema": ..., "value": ...}, or a list of the two.
//   - Compiling and validating end, with an answer that does not change.
//   - "not" says the opposite, "allOf" of the schema twice and "anyOf" of it say the same.
//   - A value satisfies a schema that has just it as its "const", written in any way.
//   - The guard that tells values apart cheaply never turns away one that satisfies the schema.
#include "base/assert.hpp"
#include "bytes.hpp"
#include "policy/json_schema.hpp"
#include "policy/schema_program.hpp"

namespace {

using namespace gavel;

enum class Said { yes, no, gave_up };

Said ask(const JsonSchema& schema, const json::value& value) {
  const auto answer = schema.validate(value);
  if (answer) return Said::yes;
  ASSERT(!answer.error().message.empty());
  if (answer.error().code == ErrorCode::too_large) return Said::gave_up;
  ASSERT(answer.error().code == ErrorCode::invalid_argument);
  return Said::no;
}

// What the schema says inside another one; references into the root would point elsewhere, and a
// wrapped schema may just be too deep.
Said ask_wrapped(json::value wrapped, const json::value& value) {
  const auto schema = JsonSchema::compile(wrapped);
  return schema ? ask(*schema, value) : Said::gave_up;
}

bool has_reference(const json::value& schema) {
  return write_json(schema).contains("\"$");
}

void check_logic(const json::value& schema, const json::value& value, Said said) {
  if (has_reference(schema)) return;
  const Said opposite = ask_wrapped(json::object{{"not", schema}}, value);
  ASSERT(opposite == Said::gave_up || said == Said::gave_up || opposite != said);
  for (const char* keyword : {"allOf", "anyOf"}) {
    const Said same = ask_wrapped(json::object{{keyword, json::array{schema, schema}}}, value);
    ASSERT(same == Said::gave_up || said == Said::gave_up || same == said);
  }
}

void check_guard(const json::value& schema, const json::value& value, Said said) {
  KeyTable keys;
  const auto program = SchemaProgram::compile(schema, {}, keys);
  ASSERT(program.has_value());
  SharedLookups lookups(value.if_object(), keys.size());
  const auto answer = (*program)->evaluate(value, lookups, nullptr);
  ASSERT((answer == SchemaAnswer::matches) == (said == Said::yes));
  const auto guard = (*program)->guard();
  if (!guard || !value.is_object() || said != Said::yes) return;
  ASSERT(lookups.may_satisfy(*guard, keys.name(guard->key)));
}

void check_pair(const json::value& schema, const json::value& value) {
  ASSERT(json_equal(value, value));
  const auto strict = JsonSchema::compile(schema, {.strict_keywords = true});
  const auto compiled = JsonSchema::compile(schema);
  if (!compiled) {
    ASSERT(!strict && !compiled.error().message.empty());
    return;
  }
  const Said said = ask(*compiled, value);
  ASSERT(ask(*compiled, value) == said);
  if (strict) ASSERT(ask(*strict, value) == said);
  const auto rewritten = parse_json(canonical_json(value));
  ASSERT(rewritten && ask(*compiled, *rewritten) == said);
  check_logic(schema, value, said);
  check_guard(schema, value, said);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = parse_json(fuzz::text_of(data, size), {.max_bytes = 64u << 10});
  if (!input) return 0;
  const json::value* schema = find(*input, "schema");
  const json::value* value = find(*input, "value");
  if (const auto* pair = input->if_array(); pair != nullptr && pair->size() == 2) {
    schema = &(*pair)[0];
    value = &(*pair)[1];
  }
  if (schema == nullptr || value == nullptr) return 0;
  check_pair(*schema, *value);
  const Said itself = ask_wrapped(json::object{{"const", *value}}, *value);
  ASSERT(itself != Said::no);
  return 0;
}

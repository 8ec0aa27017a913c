#pragma once
// A JSON Schema in the form that is evaluated: nodes in one vector that refer to each other by
// index, so that recursive schemas need no special care. Made by schema_compiler.cpp, evaluated by
// schema_program.cpp; policy/json_schema.hpp is what other layers use. Private to policy.
//
// Many schemas may be asked about the same object, as a policy's conditions are. They then share a
// KeyTable, and each distinct key is looked up in that object only once (SharedLookups).

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "policy/json_schema.hpp"

namespace re2 {
class RE2;
}

namespace gavel {

// Keys of objects as small numbers.
class KeyTable {
public:
  std::uint32_t intern(std::string_view key);
  const std::string& name(std::uint32_t id) const { return *names_[id]; }
  std::size_t size() const { return ids_.size(); }

private:
  std::unordered_map<std::string, std::uint32_t> ids_;
  std::vector<const std::string*> names_;  // into ids_, whose keys stay where they are
};

struct SchemaKey {
  std::string name;
  std::uint32_t id = 0;
};

// What every value that satisfies a schema has: a member of certain types and, if it is a number,
// within certain bounds. It tells most values apart at the cost of a comparison.
struct SchemaGuard {
  std::uint32_t key = 0;
  std::uint8_t types = 0;
  double low = 0;
  double high = 0;
};

// Finds members of one object, each key at most once.
class SharedLookups {
public:
  // Borrows `object`; null: no object is shared.
  SharedLookups(const json::object* object, std::size_t keys)
      : object_(object), found_(object == nullptr ? 0 : keys) {}
  const json::value* find(const json::object& object, const SchemaKey& key);
  // False where the object surely does not satisfy the guard's schema. `name` is that of its key.
  bool may_satisfy(const SchemaGuard& guard, const std::string& name);

private:
  struct Found {
    bool looked = false;
    std::uint8_t type = 0;  // of SchemaTypes; 0: there is no such member
    const json::value* value = nullptr;
    double number = 0;
  };
  Found& look(std::uint32_t key, const std::string& name);
  const json::object* object_;
  std::vector<Found> found_;
};

using SchemaNodeId = std::uint32_t;
using SchemaPattern = std::shared_ptr<const re2::RE2>;

// Bits of SchemaNode::types.
enum SchemaTypes : std::uint8_t {
  kTypeNull = 1,
  kTypeBoolean = 2,
  kTypeObject = 4,
  kTypeArray = 8,
  kTypeString = 16,
  kTypeInteger = 32,
  kTypeFraction = 64,  // a number that is no integer
  kTypeNumber = kTypeInteger | kTypeFraction,
  kTypeAny = 127,
};

struct SchemaNumberRules {
  std::optional<json::value> minimum, maximum, above, below;  // above, below: exclusive
  std::optional<json::value> multiple_of;
};

struct SchemaStringRules {
  std::uint64_t min_length = 0;
  std::optional<std::uint64_t> max_length;
  SchemaPattern pattern;
};

struct SchemaArrayRules {
  std::vector<SchemaNodeId> prefix;
  std::optional<SchemaNodeId> rest;
  std::optional<SchemaNodeId> contains;
  std::uint64_t min_contains = 1;
  std::optional<std::uint64_t> max_contains;
  std::uint64_t min_items = 0;
  std::optional<std::uint64_t> max_items;
  bool unique = false;
};

struct SchemaObjectRules {
  std::vector<SchemaKey> required;
  std::vector<std::pair<SchemaKey, SchemaNodeId>> properties;
  std::unordered_map<std::string_view, std::size_t> property_index;  // of `properties`
  std::vector<std::pair<SchemaPattern, SchemaNodeId>> patterns;
  std::optional<SchemaNodeId> additional;
  std::optional<SchemaNodeId> names;
  std::uint64_t min_properties = 0;
  std::optional<std::uint64_t> max_properties;
  std::vector<std::pair<SchemaKey, std::vector<SchemaKey>>> dependent_required;
  std::vector<std::pair<SchemaKey, SchemaNodeId>> dependent_schemas;
};

// What applies other schemas to the same value.
struct SchemaLogicRules {
  std::vector<SchemaNodeId> all, any, one;
  std::optional<SchemaNodeId> none;
  std::optional<SchemaNodeId> condition, then, otherwise;
  std::optional<SchemaNodeId> ref;
};

struct SchemaNode {
  std::uint8_t types = kTypeAny;  // 0: nothing satisfies it
  std::unique_ptr<SchemaNumberRules> number;
  std::unique_ptr<SchemaStringRules> string;
  std::unique_ptr<SchemaArrayRules> array;
  std::unique_ptr<SchemaObjectRules> object;
  std::unique_ptr<SchemaLogicRules> logic;
  std::unique_ptr<std::vector<json::value>> values;  // enum, const: one of them
};

// Why a value does not satisfy a schema.
struct SchemaMismatch {
  std::string pointer;
  std::string text;
};

enum class SchemaAnswer { matches, differs, too_complex };

class SchemaProgram {
public:
  // As JsonSchema::compile. Keys are numbered in `keys`, which may be shared by many programs.
  static Result<std::shared_ptr<const SchemaProgram>> compile(const json::value& schema,
                                                              const SchemaOptions& options,
                                                              KeyTable& keys);

  // `mismatch` may be null; `lookups` was made with the KeyTable of compile.
  SchemaAnswer evaluate(const json::value& value, SharedLookups& lookups,
                        SchemaMismatch* mismatch) const;

  // Nothing where no single member tells.
  std::optional<SchemaGuard> guard() const;

private:
  friend class SchemaCompiler;
  friend class SchemaEvaluation;
  std::vector<SchemaNode> nodes_;  // the first is the schema itself
};

// Equal as JSON Schema sees it: 1 and 1.0 are, whatever the order of keys.
bool json_equal(const json::value& a, const json::value& b);
// Compares two numbers without rounding: below 0, 0, above 0.
int compare_numbers(const json::value& a, const json::value& b);

}  // namespace gavel

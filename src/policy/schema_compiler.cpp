// From a JSON Schema document to a SchemaProgram. Nodes are compiled from a work list, not by
// recursion, so that neither a deep schema nor a long chain of references can exhaust the stack.
#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <deque>

#include "base/text.hpp"
#include "policy/schema_program.hpp"

namespace gavel {
namespace {

constexpr std::size_t kPatternsMax = 256;
constexpr std::size_t kPatternBytesMax = 4096;
constexpr std::int64_t kPatternMemoryMax = 1 << 20;

constexpr std::string_view kKnownKeywords[] = {"$anchor",
                                               "$comment",
                                               "$defs",
                                               "$dynamicAnchor",
                                               "$id",
                                               "$recursiveAnchor",
                                               "$ref",
                                               "$schema",
                                               "$vocabulary",
                                               "additionalItems",
                                               "additionalProperties",
                                               "allOf",
                                               "anyOf",
                                               "const",
                                               "contains",
                                               "contentEncoding",
                                               "contentMediaType",
                                               "contentSchema",
                                               "default",
                                               "definitions",
                                               "dependencies",
                                               "dependentRequired",
                                               "dependentSchemas",
                                               "deprecated",
                                               "description",
                                               "else",
                                               "enum",
                                               "examples",
                                               "exclusiveMaximum",
                                               "exclusiveMinimum",
                                               "format",
                                               "id",
                                               "if",
                                               "items",
                                               "maxContains",
                                               "maxItems",
                                               "maxLength",
                                               "maxProperties",
                                               "maximum",
                                               "minContains",
                                               "minItems",
                                               "minLength",
                                               "minProperties",
                                               "minimum",
                                               "multipleOf",
                                               "not",
                                               "oneOf",
                                               "pattern",
                                               "patternProperties",
                                               "prefixItems",
                                               "properties",
                                               "propertyNames",
                                               "readOnly",
                                               "required",
                                               "then",
                                               "title",
                                               "type",
                                               "uniqueItems",
                                               "writeOnly"};
// They would change the answer, and this build does not evaluate them.
constexpr std::string_view kUnsupportedKeywords[] = {"unevaluatedItems", "unevaluatedProperties",
                                                     "$dynamicRef", "$recursiveRef", "extends"};

// ECMA 262 writes \uXXXX where RE2 writes \x{XXXX}, and (?<name> where it writes (?P<name>.
std::string to_re2_syntax(std::string_view pattern) {
  std::string out;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\' && i + 1 < pattern.size()) {
      if (pattern[i + 1] == 'u' && i + 6 <= pattern.size()) {
        out += "\\x{";
        out += pattern.substr(i + 2, 4);
        out += '}';
        i += 5;
      } else {
        out += pattern.substr(i, 2);
        ++i;
      }
      continue;
    }
    const std::string_view rest = pattern.substr(i);
    const bool names_group =
        rest.starts_with("(?<") && rest.size() > 3 && rest[3] != '=' && rest[3] != '!';
    out += names_group ? "(?P<" : std::string(1, pattern[i]);
    if (names_group) i += 2;
  }
  return out;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      if (const auto byte = from_hex(text.substr(i + 1, 2))) {
        out += *byte;
        i += 2;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

// One step of a JSON pointer, unescaped.
std::string unescaped(std::string_view step) {
  std::string out;
  for (std::size_t i = 0; i < step.size(); ++i) {
    if (step[i] == '~' && i + 1 < step.size() && (step[i + 1] == '0' || step[i + 1] == '1')) {
      out += step[++i] == '0' ? '~' : '/';
    } else {
      out += step[i];
    }
  }
  return out;
}

const json::value* step_into(const json::value& value, const std::string& step) {
  if (const auto* object = value.if_object()) return object->if_contains(step);
  const auto* array = value.if_array();
  if (array == nullptr || step.empty() || step.size() > 6 ||
      !std::all_of(step.begin(), step.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return nullptr;
  }
  const auto index = static_cast<std::size_t>(std::stoul(step));
  return index < array->size() ? &(*array)[index] : nullptr;
}

bool holds_data(std::string_view keyword) {
  return keyword == "enum" || keyword == "const" || keyword == "default" || keyword == "examples";
}

}  // namespace

class SchemaCompiler {
public:
  SchemaCompiler(const json::value& root, const SchemaOptions& options, KeyTable& keys)
      : root_(root), options_(options), keys_(keys) {}

  Status run(SchemaProgram& program) {
    TRY(survey(root_, 0));
    read_root();
    schedule(root_, 0, "");
    for (SchemaNodeId id = 0; id < places_.size(); ++id) {
      program.nodes_.emplace_back();
      TRY(compile(program.nodes_, id));
    }
    return check_progress(program.nodes_);
  }

private:
  struct Place {
    const json::value* schema;
    SchemaNodeId parent;
    std::string step;
  };

  // Limits, anchors, and schemas inside the schema that have a base URI of their own.
  Status survey(const json::value& value, std::size_t depth) {
    if (++surveyed_ > kSchemaNodesMax) {
      return fail(ErrorCode::too_large,
                  fmt::format("the schema has more than {} parts", kSchemaNodesMax));
    }
    if (depth > kSchemaDepthMax) {
      return fail(ErrorCode::too_large,
                  fmt::format("the schema is nested deeper than {} levels", kSchemaDepthMax));
    }
    if (const auto* array = value.if_array()) {
      for (const auto& item : *array) TRY(survey(item, depth + 1));
    }
    const auto* object = value.if_object();
    if (object == nullptr) return {};
    const std::string_view id = string_or(value, "$id");
    if (id.starts_with('#')) {
      anchors_.try_emplace(std::string(id.substr(1)), &value);
    } else if (!id.empty() && depth > 0) {
      return fail(ErrorCode::unsupported, "an `$id` inside the schema is not supported");
    }
    for (const auto* keyword : {"$anchor", "$dynamicAnchor"}) {
      const std::string_view anchor = string_or(value, keyword);
      if (!anchor.empty()) anchors_.try_emplace(std::string(anchor), &value);
    }
    for (const auto& member : *object) {
      if (!holds_data(member.key())) TRY(survey(member.value(), depth + 1));
    }
    return {};
  }

  void read_root() {
    root_id_ = string_or(root_, "$id", string_or(root_, "id"));
    const std::string_view dialect = string_or(root_, "$schema");
    for (const auto* old : {"draft-03", "draft-04", "draft-06", "draft-07"}) {
      if (dialect.find(old) != std::string_view::npos) ref_stands_alone_ = true;
    }
  }

  SchemaNodeId schedule(const json::value& schema, SchemaNodeId parent, std::string_view step) {
    const auto [found, added] =
        ids_.try_emplace(&schema, static_cast<SchemaNodeId>(places_.size()));
    if (added) places_.push_back({&schema, parent, std::string(step)});
    return found->second;
  }

  std::string pointer(SchemaNodeId id) const {
    std::vector<std::string_view> steps;
    for (; id != 0 && steps.size() < 2 * kSchemaDepthMax; id = places_[id].parent) {
      steps.push_back(places_[id].step);
    }
    std::string out;
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
      out += '/';
      out += for_display(*step, 60);
    }
    return out;
  }

  // The failure of the node that is being compiled.
  template <typename... Args>
  std::unexpected<Error> bad(ErrorCode code, fmt::format_string<Args...> text, Args&&... args) {
    const std::string place = pointer(current_);
    return fail(
        code, (place.empty() ? "" : place + ": ") + fmt::format(text, std::forward<Args>(args)...));
  }
  template <typename... Args>
  std::unexpected<Error> wrong(fmt::format_string<Args...> text, Args&&... args) {
    return bad(ErrorCode::invalid_argument, text, std::forward<Args>(args)...);
  }

  Status compile(std::vector<SchemaNode>& nodes, SchemaNodeId id) {
    current_ = id;
    SchemaNode& node = nodes[id];
    const json::value& schema = *places_[id].schema;
    if (schema.is_bool()) {
      if (!schema.get_bool()) node.types = 0;
      return {};
    }
    const auto* object = schema.if_object();
    if (object == nullptr) return wrong("a schema is an object or a boolean");
    TRY(check_keywords(*object));
    if (const auto* ref = object->if_contains("$ref")) {
      TRY(compile_ref(*ref, node));
      if (ref_stands_alone_) return {};
    }
    TRY(compile_type(*object, node));
    TRY(compile_values(*object, node));
    TRY(compile_numbers(*object, node));
    TRY(compile_strings(*object, node));
    TRY(compile_arrays(*object, node));
    TRY(compile_objects(*object, node));
    return compile_logic(*object, node);
  }

  Status check_keywords(const json::object& schema) {
    for (const auto& member : schema) {
      const std::string_view key{member.key().data(), member.key().size()};
      const auto is = [&](std::string_view other) { return key == other; };
      if (std::any_of(std::begin(kUnsupportedKeywords), std::end(kUnsupportedKeywords), is)) {
        return bad(ErrorCode::unsupported, "`{}` is not supported", key);
      }
      if (!options_.strict_keywords) continue;
      if (std::none_of(std::begin(kKnownKeywords), std::end(kKnownKeywords), is)) {
        const auto meant = nearest(key.substr(0, 100), kKnownKeywords);
        return wrong("`{}` is no keyword of JSON Schema{}", for_display(key, 60),
                     meant.empty() ? "" : fmt::format("; did you mean `{}`?", meant));
      }
    }
    return {};
  }

  Status compile_ref(const json::value& ref, SchemaNode& node) {
    if (!ref.is_string()) return wrong("`$ref` must be a string");
    std::string_view text = view(ref.get_string());
    std::string_view base = root_id_.substr(0, root_id_.find('#'));
    if (!base.empty() && text.starts_with(base)) text.remove_prefix(base.size());
    if (!text.empty() && !text.starts_with('#')) {
      return bad(ErrorCode::unsupported,
                 "`$ref` to \"{}\": only references inside the schema (#/…) "
                 "are followed",
                 for_display(text, 100));
    }
    const std::string fragment = percent_decoded(text.empty() ? text : text.substr(1));
    const json::value* target = &root_;
    if (!fragment.empty() && !fragment.starts_with('/')) {
      const auto found = anchors_.find(fragment);
      target = found == anchors_.end() ? nullptr : found->second;
    }
    std::string_view rest = fragment.starts_with('/') ? std::string_view(fragment).substr(1) : "";
    for (bool more = fragment.starts_with('/'); more && target != nullptr;) {
      const auto slash = rest.find('/');
      target = step_into(*target, unescaped(rest.substr(0, slash)));
      more = slash != std::string_view::npos;
      if (more) rest.remove_prefix(slash + 1);
    }
    if (target == nullptr) {
      return wrong("`$ref` to \"{}\": there is no such place", for_display(text, 100));
    }
    logic(node).ref = schedule(*target, current_, "$ref");
    return {};
  }

  Status compile_type(const json::object& schema, SchemaNode& node) {
    const auto* type = schema.if_contains("type");
    if (type == nullptr) return {};
    json::array one;
    if (type->is_string()) one.push_back(*type);
    const json::array* names = type->is_array() ? &type->get_array() : &one;
    if (names->empty()) return wrong("`type` must be a type's name or a list of them");
    std::uint8_t types = 0;
    for (const auto& name : *names) {
      const std::string_view word = name.is_string() ? view(name.get_string()) : "";
      static constexpr std::pair<std::string_view, std::uint8_t> kTypes[] = {
          {"null", kTypeNull},     {"boolean", kTypeBoolean}, {"object", kTypeObject},
          {"array", kTypeArray},   {"string", kTypeString},   {"integer", kTypeInteger},
          {"number", kTypeNumber},
      };
      const auto found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                      [&](const auto& known) { return known.first == word; });
      if (found == std::end(kTypes)) {
        return wrong(
            "`type` {} is not one of null, boolean, object, array, string, integer, number",
            for_display(write_json(name), 60));
      }
      types = static_cast<std::uint8_t>(types | found->second);
    }
    node.types = types;
    return {};
  }

  Status compile_values(const json::object& schema, SchemaNode& node) {
    const auto* constant = schema.if_contains("const");
    const auto* choices = schema.if_contains("enum");
    if (choices != nullptr) {
      if (!choices->is_array()) return wrong("`enum` must be a list");
      node.values = std::make_unique<std::vector<json::value>>(choices->get_array().begin(),
                                                               choices->get_array().end());
    }
    if (constant == nullptr) return {};
    if (!node.values) {
      node.values = std::make_unique<std::vector<json::value>>(1, *constant);
      return {};
    }
    std::erase_if(*node.values,
                  [&](const json::value& value) { return !json_equal(value, *constant); });
    return {};
  }

  // --- readers of keyword values ---
  Status read_count(const json::object& schema, std::string_view key, std::uint64_t& out) {
    const auto* value = schema.if_contains(key);
    if (value == nullptr) return {};
    if (value->is_int64() && value->get_int64() >= 0) {
      out = static_cast<std::uint64_t>(value->get_int64());
    } else if (value->is_uint64()) {
      out = value->get_uint64();
    } else if (value->is_double() && value->get_double() >= 0 && value->get_double() < 1e15 &&
               std::trunc(value->get_double()) == value->get_double()) {
      out = static_cast<std::uint64_t>(value->get_double());
    } else {
      return wrong("`{}` must be a whole number from 0", key);
    }
    return {};
  }
  Status read_count(const json::object& schema, std::string_view key,
                    std::optional<std::uint64_t>& out) {
    std::uint64_t count = 0;
    TRY(read_count(schema, key, count));
    if (schema.if_contains(key) != nullptr) out = count;
    return {};
  }
  Status read_number(const json::object& schema, std::string_view key,
                     std::optional<json::value>& out) {
    const auto* value = schema.if_contains(key);
    if (value == nullptr) return {};
    if (!value->is_number()) return wrong("`{}` must be a number", key);
    out = *value;
    return {};
  }
  Status read_keys(std::string_view keyword, const json::value& list, std::vector<SchemaKey>& out) {
    if (!list.is_array()) return wrong("`{}` must be a list of names", keyword);
    for (const auto& name : list.get_array()) {
      if (!name.is_string()) return wrong("`{}` must be a list of names", keyword);
      out.push_back(make_key(view(name.get_string())));
    }
    return {};
  }
  Status read_schema(const json::object& schema, std::string_view key,
                     std::optional<SchemaNodeId>& out) {
    if (const auto* value = schema.if_contains(key)) out = schedule(*value, current_, key);
    return {};
  }
  Status read_schemas(const json::object& schema, std::string_view key,
                      std::vector<SchemaNodeId>& out) {
    const auto* value = schema.if_contains(key);
    if (value == nullptr) return {};
    if (!value->is_array() || value->get_array().empty()) {
      return wrong("`{}` must be a list of schemas", key);
    }
    for (std::size_t i = 0; i < value->get_array().size(); ++i) {
      out.push_back(schedule(value->get_array()[i], current_, fmt::format("{}/{}", key, i)));
    }
    return {};
  }
  // Calls take(name, schema) for each member of a mapping of schemas.
  template <typename Take>
  Status read_members(const json::object& schema, std::string_view key, Take take) {
    const auto* value = schema.if_contains(key);
    if (value == nullptr) return {};
    if (!value->is_object()) return wrong("`{}` must be an object", key);
    for (const auto& member : value->get_object()) {
      const std::string_view name{member.key().data(), member.key().size()};
      const Status taken = take(name, member.value());
      if (!taken) return taken;
    }
    return {};
  }
  SchemaNodeId child(std::string_view keyword, std::string_view name, const json::value& schema) {
    return schedule(schema, current_, fmt::format("{}/{}", keyword, name));
  }
  SchemaKey make_key(std::string_view name) { return {std::string(name), keys_.intern(name)}; }

  Result<SchemaPattern> make_pattern(std::string_view keyword, std::string_view pattern) {
    if (const auto found = patterns_.find(pattern); found != patterns_.end()) return found->second;
    if (patterns_.size() >= kPatternsMax) {
      return bad(ErrorCode::too_large, "more than {} patterns", kPatternsMax);
    }
    if (pattern.size() > kPatternBytesMax) {
      return bad(ErrorCode::too_large, "`{}` is longer than {} bytes", keyword, kPatternBytesMax);
    }
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(kPatternMemoryMax);
    auto compiled = std::make_shared<re2::RE2>(to_re2_syntax(pattern), options);
    if (!compiled->ok()) {
      return bad(ErrorCode::unsupported,
                 "`{}` {}: {} (patterns are RE2: no look-around, no back-references)", keyword,
                 for_display(pattern, 100), for_display(compiled->error(), 200));
    }
    patterns_.emplace(std::string(pattern), compiled);
    return compiled;
  }

  Status compile_numbers(const json::object& schema, SchemaNode& node) {
    SchemaNumberRules rules;
    TRY(read_number(schema, "minimum", rules.minimum));
    TRY(read_number(schema, "maximum", rules.maximum));
    // In draft 4 they are booleans that say how minimum and maximum count.
    for (const bool low : {true, false}) {
      const std::string_view key = low ? "exclusiveMinimum" : "exclusiveMaximum";
      auto& limit = low ? rules.minimum : rules.maximum;
      auto& exclusive = low ? rules.above : rules.below;
      const auto* value = schema.if_contains(key);
      if (value == nullptr) continue;
      if (value->is_bool()) {
        if (value->get_bool()) std::swap(limit, exclusive);
      } else {
        TRY(read_number(schema, key, exclusive));
      }
    }
    TRY(read_number(schema, "multipleOf", rules.multiple_of));
    if (rules.multiple_of && compare_numbers(*rules.multiple_of, json::value(0)) <= 0) {
      return wrong("`multipleOf` must be over 0");
    }
    if (rules.minimum || rules.maximum || rules.above || rules.below || rules.multiple_of) {
      node.number = std::make_unique<SchemaNumberRules>(std::move(rules));
    }
    return {};
  }

  Status compile_strings(const json::object& schema, SchemaNode& node) {
    SchemaStringRules rules;
    TRY(read_count(schema, "minLength", rules.min_length));
    TRY(read_count(schema, "maxLength", rules.max_length));
    if (const auto* pattern = schema.if_contains("pattern")) {
      if (!pattern->is_string()) return wrong("`pattern` must be a string");
      ASSIGN_OR_RETURN(rules.pattern, make_pattern("pattern", view(pattern->get_string())));
    }
    if (rules.min_length > 0 || rules.max_length || rules.pattern) {
      node.string = std::make_unique<SchemaStringRules>(std::move(rules));
    }
    return {};
  }

  Status compile_arrays(const json::object& schema, SchemaNode& node) {
    SchemaArrayRules rules;
    TRY(read_schemas(schema, "prefixItems", rules.prefix));
    const auto* items = schema.if_contains("items");
    if (items != nullptr && items->is_array()) {
      if (!items->get_array().empty()) TRY(read_schemas(schema, "items", rules.prefix));
      TRY(read_schema(schema, "additionalItems", rules.rest));
    } else {
      TRY(read_schema(schema, "items", rules.rest));
    }
    TRY(read_schema(schema, "contains", rules.contains));
    TRY(read_count(schema, "minContains", rules.min_contains));
    TRY(read_count(schema, "maxContains", rules.max_contains));
    TRY(read_count(schema, "minItems", rules.min_items));
    TRY(read_count(schema, "maxItems", rules.max_items));
    if (const auto* unique = schema.if_contains("uniqueItems")) {
      if (!unique->is_bool()) return wrong("`uniqueItems` must be true or false");
      rules.unique = unique->get_bool();
    }
    node.array = std::make_unique<SchemaArrayRules>(std::move(rules));
    const SchemaArrayRules& kept = *node.array;
    if (kept.prefix.empty() && !kept.rest && !kept.contains && kept.min_items == 0 &&
        !kept.max_items && !kept.unique) {
      node.array = nullptr;
    }
    return {};
  }

  Status compile_objects(const json::object& schema, SchemaNode& node) {
    auto made = std::make_unique<SchemaObjectRules>();
    SchemaObjectRules& rules = *made;
    if (const auto* required = schema.if_contains("required")) {
      TRY(read_keys("required", *required, rules.required));
    }
    TRY(read_members(schema, "properties", [&](std::string_view name, const json::value& value) {
      rules.properties.emplace_back(make_key(name), child("properties", name, value));
      return Status{};
    }));
    for (std::size_t i = 0; i < rules.properties.size(); ++i) {
      rules.property_index.emplace(rules.properties[i].first.name, i);
    }
    TRY(read_members(schema, "patternProperties",
                     [&](std::string_view name, const json::value& value) -> Status {
                       ASSIGN_OR_RETURN(auto pattern, make_pattern("patternProperties", name));
                       rules.patterns.emplace_back(std::move(pattern),
                                                   child("patternProperties", name, value));
                       return {};
                     }));
    TRY(read_schema(schema, "additionalProperties", rules.additional));
    TRY(read_schema(schema, "propertyNames", rules.names));
    TRY(read_count(schema, "minProperties", rules.min_properties));
    TRY(read_count(schema, "maxProperties", rules.max_properties));
    TRY(compile_dependents(schema, rules));
    if (!rules.required.empty() || !rules.properties.empty() || !rules.patterns.empty() ||
        rules.additional || rules.names || rules.min_properties > 0 || rules.max_properties ||
        !rules.dependent_required.empty() || !rules.dependent_schemas.empty()) {
      node.object = std::move(made);
    }
    return {};
  }

  Status compile_dependents(const json::object& schema, SchemaObjectRules& rules) {
    const auto add_keys = [&](std::string_view keyword, std::string_view name,
                              const json::value& list) -> Status {
      std::vector<SchemaKey> needed;
      TRY(read_keys(keyword, list, needed));
      rules.dependent_required.emplace_back(make_key(name), std::move(needed));
      return {};
    };
    const auto add_schema = [&](std::string_view keyword, std::string_view name,
                                const json::value& value) {
      rules.dependent_schemas.emplace_back(make_key(name), child(keyword, name, value));
      return Status{};
    };
    TRY(read_members(schema, "dependentRequired",
                     [&](std::string_view name, const json::value& value) {
                       return add_keys("dependentRequired", name, value);
                     }));
    TRY(read_members(schema, "dependentSchemas",
                     [&](std::string_view name, const json::value& value) {
                       return add_schema("dependentSchemas", name, value);
                     }));
    return read_members(schema, "dependencies",
                        [&](std::string_view name, const json::value& value) {
                          return value.is_array() ? add_keys("dependencies", name, value)
                                                  : add_schema("dependencies", name, value);
                        });
  }

  Status compile_logic(const json::object& schema, SchemaNode& node) {
    SchemaLogicRules rules;
    TRY(read_schemas(schema, "allOf", rules.all));
    TRY(read_schemas(schema, "anyOf", rules.any));
    TRY(read_schemas(schema, "oneOf", rules.one));
    TRY(read_schema(schema, "not", rules.none));
    TRY(read_schema(schema, "if", rules.condition));
    if (rules.condition) {
      TRY(read_schema(schema, "then", rules.then));
      TRY(read_schema(schema, "else", rules.otherwise));
    }
    if (!rules.all.empty() || !rules.any.empty() || !rules.one.empty() || rules.none ||
        rules.condition) {
      if (node.logic) rules.ref = node.logic->ref;
      node.logic = std::make_unique<SchemaLogicRules>(std::move(rules));
    }
    return {};
  }

  static SchemaLogicRules& logic(SchemaNode& node) {
    if (!node.logic) node.logic = std::make_unique<SchemaLogicRules>();
    return *node.logic;
  }

  // The nodes that apply to the same value as `node` does.
  static std::vector<SchemaNodeId> same_value(const SchemaNode& node) {
    std::vector<SchemaNodeId> out;
    if (node.logic) {
      const SchemaLogicRules& rules = *node.logic;
      for (const auto* list : {&rules.all, &rules.any, &rules.one}) {
        out.insert(out.end(), list->begin(), list->end());
      }
      for (const auto& one :
           {rules.none, rules.condition, rules.then, rules.otherwise, rules.ref}) {
        if (one) out.push_back(*one);
      }
    }
    if (node.object) {
      for (const auto& [key, id] : node.object->dependent_schemas) out.push_back(id);
    }
    return out;
  }

  // A schema that applies itself to the same value would be evaluated for ever.
  Status check_progress(const std::vector<SchemaNode>& nodes) {
    enum class Mark : std::uint8_t { fresh, open, done };
    std::vector<Mark> marks(nodes.size(), Mark::fresh);
    std::vector<std::pair<SchemaNodeId, bool>> stack;
    for (SchemaNodeId start = 0; start < nodes.size(); ++start) {
      stack.emplace_back(start, false);
      while (!stack.empty()) {
        const auto [id, leaving] = stack.back();
        stack.pop_back();
        if (leaving) {
          marks[id] = Mark::done;
          continue;
        }
        if (marks[id] == Mark::done) continue;
        if (marks[id] == Mark::open) {
          current_ = id;
          return wrong("the schema refers to itself in a circle that never looks deeper");
        }
        marks[id] = Mark::open;
        stack.emplace_back(id, true);
        for (const SchemaNodeId next : same_value(nodes[id])) stack.emplace_back(next, false);
      }
    }
    return {};
  }

  const json::value& root_;
  const SchemaOptions& options_;
  KeyTable& keys_;
  std::string_view root_id_;
  bool ref_stands_alone_ = false;
  std::size_t surveyed_ = 0;
  SchemaNodeId current_ = 0;
  std::deque<Place> places_;
  std::unordered_map<const json::value*, SchemaNodeId> ids_;
  std::map<std::string, const json::value*, std::less<>> anchors_;
  std::map<std::string, SchemaPattern, std::less<>> patterns_;
};

Result<std::shared_ptr<const SchemaProgram>> SchemaProgram::compile(const json::value& schema,
                                                                    const SchemaOptions& options,
                                                                    KeyTable& keys) {
  auto program = std::make_shared<SchemaProgram>();
  SchemaCompiler compiler(schema, options, keys);
  TRY(compiler.run(*program));
  return program;
}

}  // namespace gavel

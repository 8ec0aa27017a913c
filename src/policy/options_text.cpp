// What is generated from the option table: the JSON Schema for editors and the reference for
// people.
#include <fmt/format.h>

#include "base/json.hpp"
#include "policy/options.hpp"
#include "policy/settings.hpp"

namespace gavel {
namespace {

constexpr std::string_view kScalarTypes[] = {"string", "number", "boolean"};

json::array types(std::initializer_list<std::string_view> names) {
  json::array list;
  for (const auto name : names) list.emplace_back(json::string(name));
  return list;
}

json::object of_type(std::string_view name) {
  return {{"type", json::string(name)}};
}

json::object scalar_schema() {
  json::array list;
  for (const auto name : kScalarTypes) list.emplace_back(json::string(name));
  return {{"type", std::move(list)}};
}

json::array words(std::span<const std::string_view> choices) {
  json::array list;
  for (const auto word : choices) list.emplace_back(json::string(word));
  return list;
}

json::object group_schema(const OptionGroup& group);

void add_limits(json::object& schema, const Option& option, std::string_view low,
                std::string_view high) {
  const auto add = [&](std::string_view key, double limit) {
    schema[key] = static_cast<std::int64_t>(limit);
  };
  if (option.min > 0) add(low, option.min);
  if (option.max > 0) add(high, option.max);
}

json::object list_of(const Option& option, json::object items) {
  json::object schema{{"type", types({"array", "null"})}, {"items", std::move(items)}};
  if (option.min > 0) schema["type"] = "array";
  add_limits(schema, option, "minItems", "maxItems");
  return schema;
}

json::object map_of(json::object values, std::string_view pattern) {
  json::object schema{{"type", types({"object", "null"})}};
  if (!pattern.empty()) {
    schema["propertyNames"] = json::object{{"pattern", fmt::format("^{}$", pattern)}};
  }
  schema["additionalProperties"] = std::move(values);
  return schema;
}

json::object value_schema(const Option& option) {
  switch (option.kind) {
    case OptionKind::text: {
      json::object schema = of_type("string");
      add_limits(schema, option, "minLength", "maxLength");
      return schema;
    }
    case OptionKind::scalar:
      return scalar_schema();
    case OptionKind::flag:
      return of_type("boolean");
    case OptionKind::count:
    case OptionKind::number: {
      json::object schema = of_type(option.kind == OptionKind::count ? "integer" : "number");
      schema["minimum"] = static_cast<std::int64_t>(option.min);
      add_limits(schema, option, "minimum", "maximum");
      return schema;
    }
    case OptionKind::duration:
      return {{"type", "string"}, {"pattern", "^[0-9]+(ms|s|m|h|d)$"}};
    case OptionKind::choice:
      return {{"enum", words(option.choices)}};
    case OptionKind::choices:
      return list_of(option, {{"enum", words(option.choices)}});
    case OptionKind::texts:
      return list_of(option, {{"type", "string"}, {"minLength", 1}});
    case OptionKind::scalars:
      return list_of(option, scalar_schema());
    case OptionKind::scalar_map:
      return map_of(scalar_schema(), "");
    case OptionKind::text_map:
      return map_of(of_type("string"), "");
    case OptionKind::json_object:
      return of_type("object");
    case OptionKind::json_schema:
      return {{"type", types({"object", "boolean"})}};
    case OptionKind::utc_window:
      return {{"type", "string"},
              {"pattern", "^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-4]):[0-5][0-9]$"}};
    case OptionKind::group:
      return group_schema(*option.group);
    case OptionKind::groups:
      return list_of(option, group_schema(*option.group));
    case OptionKind::groups_by_name:
      return map_of(group_schema(*option.group), option.name_pattern);
  }
  return {};
}

// The default as JSON, so that editors can offer it.
json::value preset_value(const Option& option) {
  YamlNode node;
  node.kind = YamlNode::Kind::scalar;
  node.text = option.preset;
  node.quoted = option.kind == OptionKind::text;
  return to_json(node);
}

json::object group_schema(const OptionGroup& group) {
  json::object properties;
  json::array required;
  for (const Option& option : group.options) {
    json::object schema = value_schema(option);
    schema["description"] = json::string(option.doc);
    if (!option.preset.empty()) schema["default"] = preset_value(option);
    if (option.required) required.emplace_back(json::string(option.name));
    properties[option.name] = std::move(schema);
  }
  json::object schema{{"type", types({"object", "null"})},
                      {"properties", std::move(properties)},
                      {"additionalProperties", false}};
  if (!required.empty()) {
    schema["type"] = "object";
    schema["required"] = std::move(required);
  }
  return schema;
}

std::string kind_text(const Option& option) {
  std::string text(kind_name(option.kind));
  if (!option.choices.empty()) {
    text += " ";
    for (std::size_t i = 0; i < option.choices.size(); ++i) {
      text += fmt::format("{}`{}`", i == 0 ? "" : ", ", option.choices[i]);
    }
  }
  const bool ranged = option.kind == OptionKind::count || option.kind == OptionKind::number ||
                      option.kind == OptionKind::duration;
  if (ranged && option.max > 0) {
    const auto limit = [&](double value) {
      return option.kind == OptionKind::duration ? duration_text(static_cast<std::int64_t>(value))
                                                 : fmt::format("{:.0f}", value);
    };
    text += fmt::format(", {} to {}", limit(option.min), limit(option.max));
  }
  return text;
}

void add_reference(const OptionGroup& group, const std::string& path, std::string& out) {
  out += fmt::format("\n### {}\n\n{}\n\n", path.empty() ? "The file" : "`" + path + "`", group.doc);
  out += "| option | what it is | default | meaning |\n|---|---|---|---|\n";
  for (const Option& option : group.options) {
    const std::string preset = option.required         ? "required"
                               : option.preset.empty() ? ""
                                                       : fmt::format("`{}`", option.preset);
    out += fmt::format("| `{}` | {} | {} | {} |\n", option.name, kind_text(option), preset,
                       option.doc);
  }
  for (const Option& option : group.options) {
    if (option.group == nullptr) continue;
    const std::string_view suffix = option.kind == OptionKind::groups_by_name ? ".NAME"
                                    : option.kind == OptionKind::groups       ? "[]"
                                                                              : "";
    add_reference(*option.group,
                  fmt::format("{}{}{}{}", path, path.empty() ? "" : ".", option.name, suffix), out);
  }
}

}  // namespace

std::string policy_json_schema() {
  json::object schema = group_schema(policy_options());
  json::object out{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                   {"title", "Gavel policy file"},
                   {"description", json::string(policy_options().doc)}};
  for (auto& member : schema) out[member.key()] = std::move(member.value());
  return pretty_json(out) + "\n";
}

std::string policy_reference() {
  std::string out;
  add_reference(policy_options(), "", out);
  return out;
}

}  // namespace gavel

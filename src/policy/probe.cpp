#include "policy/probe.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "policy/json_schema.hpp"
#include "policy/sql.hpp"

namespace gavel {
namespace {

constexpr std::string_view kArgument = "args.";

// What the names in templates stand for.
struct Names {
  const json::value* arguments = nullptr;  // null: a dry run that only looks at the syntax
  std::string_view key;
};

Result<json::value> look_up(std::string_view name, const Names& names) {
  if (name == "key") return json::value(json::string(names.key));
  if (!name.starts_with(kArgument) || name.size() == kArgument.size()) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("${{{}}} is unknown; there are ${{key}} and ${{args.NAME}}",
                            for_display(name, 60)));
  }
  if (names.arguments == nullptr) return json::value("x");
  name.remove_prefix(kArgument.size());
  const auto* argument = find(*names.arguments, name);
  if (argument != nullptr) return *argument;
  return fail(ErrorCode::invalid_argument,
              fmt::format("the call has no argument {}", for_display(name, 60)));
}

std::string as_text(const json::value& value) {
  return value.is_string() ? std::string(view(value.get_string())) : write_json(value);
}

// The text with its templates filled in. `write` turns a value into what is inserted.
template <typename Write>
Result<std::string> fill_text(std::string_view text, const Names& names, Write write) {
  std::string out;
  while (true) {
    const auto start = text.find("${");
    if (start == std::string_view::npos) return out += text;
    if (start > 0 && text[start - 1] == '$') {  // "$${" is a plain "${"
      out += text.substr(0, start);
      out += '{';
      text.remove_prefix(start + 2);
      continue;
    }
    const auto end = text.find('}', start);
    if (end == std::string_view::npos) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("\"{}\": a ${{ without its }}", for_display(text, 60)));
    }
    out += text.substr(0, start);
    ASSIGN_OR_RETURN(const json::value value,
                     look_up(text.substr(start + 2, end - start - 2), names));
    out += write(value);
    text.remove_prefix(end + 1);
  }
}

// The name, where the text is one template and nothing else.
std::string_view lone_template(std::string_view text) {
  if (!text.starts_with("${") || text.find('}') != text.size() - 1) return {};
  return text.substr(2, text.size() - 3);
}

Result<json::value> fill(const json::value& value, const Names& names) {
  if (const auto* array = value.if_array()) {
    json::array out;
    for (const auto& item : *array) {
      ASSIGN_OR_RETURN(auto filled, fill(item, names));
      out.push_back(std::move(filled));
    }
    return out;
  }
  if (const auto* object = value.if_object()) {
    json::object out;
    for (const auto& member : *object) {
      ASSIGN_OR_RETURN(auto filled, fill(member.value(), names));
      out[member.key()] = std::move(filled);
    }
    return out;
  }
  if (!value.is_string()) return value;
  const std::string_view text = view(value.get_string());
  if (const auto name = lone_template(text); !name.empty()) return look_up(name, names);
  ASSIGN_OR_RETURN(const std::string filled, fill_text(text, names, as_text));
  return json::value(json::string(filled));
}

// Inside a quoted SQL text a quote is written twice.
std::string as_sql(const json::value& value) {
  std::string out;
  for (const char c : as_text(value)) {
    if (c == '\'') out += '\'';
    out += c;
  }
  return out;
}

// The same, but of a value that cannot do harm: it shows what the statement is meant to be.
std::string as_harmless_sql(const json::value& value) {
  return value.is_number() ? "0" : value.is_bool() ? "true" : "x";
}

// A probe is asked without a decision, and its arguments come from an agent: its SQL must read,
// whatever they are, and must be the statement that the policy shows.
Result<json::value> fill_sql(std::string_view text, const Names& names) {
  if (!lone_template(text).empty()) {
    return fail(ErrorCode::invalid_argument,
                "the probe's SQL must stand in the policy, not come from the call");
  }
  ASSIGN_OR_RETURN(const std::string sql, fill_text(text, names, as_sql));
  ASSIGN_OR_RETURN(const std::string meant, fill_text(text, names, as_harmless_sql));
  const SqlClass classed = classify_sql(sql);
  if (classed.effect != Effect::read) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the probe's SQL does not only read: {}", classed.reason));
  }
  if (!same_sql_shape(sql, meant)) {
    return fail(ErrorCode::invalid_argument,
                "an argument would change the probe's SQL; put templates in single quotes, or "
                "hand them over as parameters");
  }
  return json::value(json::string(sql));
}

Result<json::object> fill_all(const ProbeSpec& probe, const Names& names) {
  json::object out;
  for (const auto& member : probe.arguments) {
    const std::string_view key{member.key().data(), member.key().size()};
    const bool is_sql = !probe.sql_argument.empty() && key == probe.sql_argument;
    if (is_sql && !member.value().is_string()) {
      return fail(ErrorCode::invalid_argument, fmt::format("{} must be a text of SQL", key));
    }
    ASSIGN_OR_RETURN(auto filled, is_sql ? fill_sql(view(member.value().get_string()), names)
                                         : fill(member.value(), names));
    out[member.key()] = std::move(filled);
  }
  return out;
}

}  // namespace

Status check_probe_arguments(const ProbeSpec& probe) {
  TRY(fill_all(probe, Names{}));
  return {};
}

Result<json::object> expand_probe(const ProbeSpec& probe, const json::value& call_arguments,
                                  std::string_view key) {
  return fill_all(probe, Names{&call_arguments, key});
}

ProbeVerdict judge_probe(const ProbeSpec& probe, const json::value& result) {
  if (!result.is_object() || bool_or(result, "isError", false)) return ProbeVerdict::unclear;
  const auto satisfies = [&](const json::value& schema) -> std::optional<bool> {
    const auto compiled = JsonSchema::compile(schema);
    if (!compiled) return std::nullopt;
    const auto valid = compiled->validate(result);
    if (!valid && valid.error().code != ErrorCode::invalid_argument) return std::nullopt;
    return valid.has_value();
  };
  const auto happened = satisfies(probe.happened);
  const auto absent = probe.absent ? satisfies(*probe.absent)
                      : happened   ? std::optional<bool>(!*happened)
                                   : std::nullopt;
  if (!happened || !absent || *happened == *absent) return ProbeVerdict::unclear;
  return *happened ? ProbeVerdict::happened : ProbeVerdict::absent;
}

}  // namespace gavel

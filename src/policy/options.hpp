#pragma once
// Every option of the policy file, declared once: name, kind, default, range, documentation. The
// checks of policy/parse.hpp, the JSON Schema for editors and the reference in docs/policy.md are
// made from this table and from nothing else.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace gavel {

enum class OptionKind {
  text,            // a string
  scalar,          // a string; a plain number or boolean counts as its text
  flag,            // true or false
  count,           // an integer
  number,          // a number
  duration,        // 250ms, 30s, 5m, 1h, 7d
  choice,          // one of `choices`
  choices,         // a list of them
  texts,           // a list of strings
  scalars,         // a list of scalars
  scalar_map,      // names to scalars
  text_map,        // names to strings
  json_object,     // any mapping, as JSON
  json_schema,     // a JSON Schema
  utc_window,      // "22:00-06:00"
  group,           // the options of `group`
  groups,          // a list of those
  groups_by_name,  // names to those
};

struct OptionGroup;

struct Option {
  std::string_view name;
  OptionKind kind = OptionKind::text;
  std::string_view doc;
  std::string_view preset = {};  // the default as one would write it; empty: none
  bool required = false;
  // Of count, number and duration (milliseconds); of the length of text and lists.
  double min = 0;
  double max = 0;  // 0: the kind's own limit
  std::span<const std::string_view> choices = {};
  const OptionGroup* group = nullptr;
  std::string_view name_pattern = {};  // of groups_by_name: an RE2 pattern
};

struct OptionGroup {
  std::string_view title;
  std::string_view doc;
  std::span<const Option> options;
};

// The file as a whole.
const OptionGroup& policy_options();

// Kinds in words: "duration", "list of globs".
std::string_view kind_name(OptionKind kind);

// JSON Schema (2020-12, and read alike as draft-07) of the policy file, for editors:
// pretty-printed, with a line feed at the end. schema/gavel.schema.json holds it.
std::string policy_json_schema();

// The reference part of docs/policy.md, in Markdown.
std::string policy_reference();

}  // namespace gavel

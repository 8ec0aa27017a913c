#include "policy/settings.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/text.hpp"
#include "policy/json_schema.hpp"

namespace gavel {
namespace {

using Kind = YamlNode::Kind;

constexpr std::pair<std::string_view, std::int64_t> kUnits[] = {
    {"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};

std::string limit_text(const Option& option, double limit) {
  if (option.kind == OptionKind::duration) return duration_text(static_cast<std::int64_t>(limit));
  return fmt::format("{}", limit);
}

std::string joined(std::span<const std::string_view> words) {
  return fmt::format("{}", fmt::join(words, ", "));
}

std::string below(const std::string& path, std::string_view key) {
  const std::string name = for_display(key, 60);
  return path.empty() ? name : path + "." + name;
}

// A scalar as one would quote it in a message.
std::string quoted(const YamlNode& node) {
  switch (node.kind) {
    case Kind::null:
      return "nothing";
    case Kind::list:
      return "a list";
    case Kind::mapping:
      return "a mapping";
    case Kind::scalar:
      break;
  }
  return "\"" + for_display(node.text, 60) + "\"";
}

bool is_text(const YamlNode& node) {
  return node.kind == Kind::scalar && to_json(node).is_string();
}

}  // namespace

std::string duration_text(std::int64_t milliseconds) {
  std::string text = milliseconds == 0 ? "0s" : fmt::format("{}ms", milliseconds);
  for (const auto& [unit, size] : kUnits) {
    if (milliseconds != 0 && milliseconds % size == 0) {
      text = fmt::format("{}{}", milliseconds / size, unit);
    }
  }
  return text;
}

std::optional<std::int64_t> parse_duration(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number < 0) return std::nullopt;
  const std::string_view rest(end, static_cast<std::size_t>(text.data() + text.size() - end));
  for (const auto& [unit, size] : kUnits) {
    if (rest == unit && number <= INT64_MAX / size) return number * size;
  }
  return std::nullopt;
}

std::optional<std::pair<int, int>> parse_utc_window(std::string_view text) {
  static const re2::RE2 kWindow("([01]\\d|2[0-3]):([0-5]\\d)-([01]\\d|2[0-4]):([0-5]\\d)");
  int from_hour = 0;
  int from_minute = 0;
  int to_hour = 0;
  int to_minute = 0;
  if (!re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), kWindow, &from_hour,
                           &from_minute, &to_hour, &to_minute)) {
    return std::nullopt;
  }
  const std::pair window{from_hour * 60 + from_minute, to_hour * 60 + to_minute};
  if (window.second > 24 * 60 || window.first == window.second) return std::nullopt;
  return window;
}

void SettingsReader::problem(const YamlNode& node, const std::string& path, std::string message) {
  PolicyProblem found;
  found.line = node.line;
  found.column = node.column;
  found.path = path;
  found.message = std::move(message);
  problems_.push_back(std::move(found));
}

json::object SettingsReader::read(const YamlNode& node, const OptionGroup& group,
                                  const std::string& path) {
  json::object settings;
  if (node.kind != Kind::mapping && node.kind != Kind::null) {
    problem(node, path, fmt::format("expected a mapping; got {}", quoted(node)));
  }
  std::vector<std::string_view> names;
  for (const Option& option : group.options) names.push_back(option.name);
  for (const auto& member : node.members) {
    if (std::find(names.begin(), names.end(), member.key) != names.end()) continue;
    YamlNode place;
    place.line = member.line;
    place.column = member.column;
    const auto meant = nearest(std::string_view(member.key).substr(0, 100), names);
    problem(place, below(path, member.key),
            "unknown key; " + (meant.empty() ? "known are " + joined(names)
                                             : fmt::format("did you mean `{}`?", meant)));
  }
  for (const Option& option : group.options) {
    const YamlNode* value = node.find(option.name);
    std::optional<json::value> read;
    if (value != nullptr) {
      read = read_value(*value, option, below(path, option.name));
    } else if (option.required) {
      problem(node, path, fmt::format("`{}` is missing: {}", option.name, option.doc));
    }
    if (!read && (!option.preset.empty() || option.kind == OptionKind::group ||
                  option.kind == OptionKind::groups_by_name || option.kind == OptionKind::groups)) {
      YamlNode preset;
      preset.kind = option.preset.empty() ? Kind::null : Kind::scalar;
      preset.text = option.preset;
      // An absent probe is absent; other groups have defaults of their own.
      const bool has_defaults =
          option.kind != OptionKind::group ||
          std::none_of(option.group->options.begin(), option.group->options.end(),
                       [](const Option& inner) { return inner.required; });
      if (has_defaults) read = read_value(preset, option, below(path, option.name));
    }
    if (read) settings[option.name] = std::move(*read);
  }
  return settings;
}

std::optional<json::value> SettingsReader::read_value(const YamlNode& node, const Option& option,
                                                      const std::string& path) {
  switch (option.kind) {
    case OptionKind::text:
    case OptionKind::scalar:
    case OptionKind::flag:
    case OptionKind::utc_window:
      return read_scalar(node, option, path);
    case OptionKind::count:
    case OptionKind::number:
    case OptionKind::duration:
      return read_number(node, option, path);
    case OptionKind::choice:
      return read_choice(node, option, path);
    case OptionKind::choices:
    case OptionKind::texts:
    case OptionKind::scalars:
    case OptionKind::groups:
      return read_list(node, option, path);
    case OptionKind::scalar_map:
    case OptionKind::text_map:
    case OptionKind::groups_by_name:
      return read_map(node, option, path);
    case OptionKind::group:
      return read(node, *option.group, path);
    case OptionKind::json_schema:
      return read_schema(node, path);
    case OptionKind::json_object:
      break;
  }
  if (node.kind == Kind::mapping) return to_json(node);
  problem(node, path, fmt::format("expected a mapping; got {}", quoted(node)));
  return std::nullopt;
}

std::optional<json::value> SettingsReader::read_scalar(const YamlNode& node, const Option& option,
                                                       const std::string& path) {
  if (option.kind == OptionKind::flag) {
    if (node.kind == Kind::scalar) {
      if (auto value = to_json(node); value.is_bool()) return value;
    }
    problem(node, path, fmt::format("expected true or false; got {}", quoted(node)));
    return std::nullopt;
  }
  if (option.kind == OptionKind::utc_window) {
    if (is_text(node)) {
      if (const auto window = parse_utc_window(node.text)) {
        return json::array{window->first, window->second};
      }
    }
    problem(node, path,
            fmt::format("expected a window like \"22:00-06:00\", in UTC; got {}", quoted(node)));
    return std::nullopt;
  }
  if (node.kind == Kind::scalar && !is_text(node) && option.kind == OptionKind::text) {
    problem(node, path, fmt::format("expected a text; write {} in quotes", quoted(node)));
    return std::nullopt;
  }
  if (node.kind != Kind::scalar) {
    problem(node, path, fmt::format("expected a text; got {}", quoted(node)));
    return std::nullopt;
  }
  const auto size = static_cast<double>(node.text.size());
  if (size < option.min || (option.max > 0 && size > option.max)) {
    problem(node, path,
            node.text.empty() ? "is empty"
                              : fmt::format("has {} bytes; the limit is {}", size, option.max));
    return std::nullopt;
  }
  return json::value(json::string(node.text));
}

std::optional<json::value> SettingsReader::read_number(const YamlNode& node, const Option& option,
                                                       const std::string& path) {
  json::value value;
  const bool scalar = node.kind == Kind::scalar;
  if (option.kind == OptionKind::duration) {
    const auto duration = scalar ? parse_duration(node.text) : std::nullopt;
    if (!duration) {
      problem(
          node, path,
          fmt::format("expected a duration: a whole number and ms, s, m, h or d, like 30s; got {}",
                      quoted(node)));
      return std::nullopt;
    }
    value = *duration;
  } else {
    if (scalar) value = to_json(node);
    const bool fits = option.kind == OptionKind::count ? value.is_int64() : value.is_number();
    if (!fits) {
      problem(node, path,
              fmt::format("expected a {}; got {}", kind_name(option.kind), quoted(node)));
      return std::nullopt;
    }
  }
  const double number = value.to_number<double>();
  if (number < option.min || (option.max > 0 && number > option.max)) {
    problem(node, path,
            fmt::format("{} is out of range: {} to {}", for_display(node.text, 60),
                        limit_text(option, option.min), limit_text(option, option.max)));
    return std::nullopt;
  }
  return value;
}

std::optional<json::value> SettingsReader::read_choice(const YamlNode& node, const Option& option,
                                                       const std::string& path) {
  if (node.kind == Kind::scalar &&
      std::find(option.choices.begin(), option.choices.end(), node.text) != option.choices.end()) {
    return json::value(json::string(node.text));
  }
  const auto meant = node.kind == Kind::scalar
                         ? nearest(std::string_view(node.text).substr(0, 100), option.choices)
                         : std::string_view{};
  problem(node, path,
          fmt::format("expected one of {}; got {}{}", joined(option.choices), quoted(node),
                      meant.empty() ? "" : fmt::format("; did you mean `{}`?", meant)));
  return std::nullopt;
}

std::optional<json::value> SettingsReader::read_list(const YamlNode& node, const Option& option,
                                                     const std::string& path) {
  json::array list;
  if (node.kind != Kind::list && node.kind != Kind::null) {
    problem(node, path, fmt::format("expected a list, like [a, b]; got {}", quoted(node)));
    return std::nullopt;
  }
  const auto size = static_cast<double>(node.items.size());
  if (size < option.min || (option.max > 0 && size > option.max)) {
    problem(node, path,
            node.items.empty() ? "is empty"
                               : fmt::format("has {} items; the limit is {}", size, option.max));
    return std::nullopt;
  }
  Option one = option;
  one.min = 1;
  one.max = 0;
  switch (option.kind) {
    case OptionKind::choices:
      one.kind = OptionKind::choice;
      break;
    case OptionKind::texts:
      one.kind = OptionKind::text;
      break;
    case OptionKind::scalars:
      one.kind = OptionKind::scalar;
      one.min = 0;
      break;
    default:
      one.kind = OptionKind::group;
      break;
  }
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    auto value = read_value(node.items[i], one, fmt::format("{}[{}]", path, i));
    // A place holder keeps the numbering of groups.
    if (value || one.kind == OptionKind::group) list.push_back(value.value_or(json::object{}));
  }
  return list;
}

std::optional<json::value> SettingsReader::read_map(const YamlNode& node, const Option& option,
                                                    const std::string& path) {
  json::object map;
  if (node.kind != Kind::mapping && node.kind != Kind::null) {
    problem(node, path, fmt::format("expected a mapping; got {}", quoted(node)));
    return std::nullopt;
  }
  Option one = option;
  one.min = 0;
  one.max = 0;
  one.kind = option.kind == OptionKind::scalar_map ? OptionKind::scalar
             : option.kind == OptionKind::text_map ? OptionKind::text
                                                   : OptionKind::group;
  for (const auto& member : node.members) {
    if (!option.name_pattern.empty() &&
        !re2::RE2::FullMatch(member.key, std::string(option.name_pattern))) {
      YamlNode place;
      place.line = member.line;
      place.column = member.column;
      problem(place, below(path, member.key),
              fmt::format("not a name: it must match {}", option.name_pattern));
      continue;
    }
    if (auto value = read_value(member.value, one, below(path, member.key))) {
      map[member.key] = std::move(*value);
    }
  }
  return map;
}

std::optional<json::value> SettingsReader::read_schema(const YamlNode& node,
                                                       const std::string& path) {
  if (node.kind == Kind::null || node.kind == Kind::list) {
    problem(node, path, fmt::format("expected a JSON Schema; got {}", quoted(node)));
    return std::nullopt;
  }
  json::value schema = to_json(node);
  SchemaOptions options;
  options.strict_keywords = true;
  if (const auto compiled = JsonSchema::compile(schema, options); !compiled) {
    problem(node, path, compiled.error().message);
    return std::nullopt;
  }
  return schema;
}

}  // namespace gavel

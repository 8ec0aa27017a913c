#include "policy/schema_program.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/text.hpp"

namespace gavel {
namespace {

constexpr std::size_t kEvaluationDepthMax = 600;
constexpr std::size_t kShownBytes = 60;
constexpr std::size_t kSuggestionsMax = 200;

std::uint8_t type_of(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return kTypeNull;
    case json::kind::bool_:
      return kTypeBoolean;
    case json::kind::object:
      return kTypeObject;
    case json::kind::array:
      return kTypeArray;
    case json::kind::string:
      return kTypeString;
    case json::kind::int64:
    case json::kind::uint64:
      return kTypeInteger;
    case json::kind::double_: {
      const double number = value.get_double();
      return std::trunc(number) == number ? kTypeInteger : kTypeFraction;
    }
  }
  return kTypeNull;
}

std::string_view type_name(std::uint8_t type) {
  switch (type) {
    case kTypeNull:
      return "null";
    case kTypeBoolean:
      return "a boolean";
    case kTypeObject:
      return "an object";
    case kTypeArray:
      return "an array";
    case kTypeString:
      return "a string";
    case kTypeInteger:
      return "an integer";
    case kTypeNumber:
      return "a number";
    default:
      return "a number with a fraction";
  }
}

std::string type_names(std::uint8_t types) {
  std::string text;
  const auto add = [&](std::uint8_t type) {
    if ((types & type) != type) return;
    if (!text.empty()) text += " or ";
    text += type_name(type);
    types = static_cast<std::uint8_t>(types & ~type);
  };
  for (const auto type :
       {kTypeNull, kTypeBoolean, kTypeObject, kTypeArray, kTypeString, kTypeNumber, kTypeInteger}) {
    add(type);
  }
  return text;
}

std::string shown(const json::value& value) {
  if (value.is_object() || value.is_array()) return std::string(type_name(type_of(value)));
  if (value.is_string()) {
    return "\"" + for_display(view(value.get_string()), kShownBytes) + "\"";
  }
  return write_json(value);
}

std::string shown(std::string_view key) {
  return "`" + for_display(key, kShownBytes) + "`";
}

std::string escaped(std::string_view key) {
  std::string out = "/";
  for (const char c : for_display(key, kShownBytes)) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

std::uint64_t characters(std::string_view text) {
  return static_cast<std::uint64_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

bool finds(const SchemaPattern& pattern, std::string_view text) {
  return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *pattern);
}

bool is_multiple(const json::value& value, const json::value& of) {
  if (value.is_int64() && of.is_int64()) return value.get_int64() % of.get_int64() == 0;
  if (value.is_uint64() && of.is_int64()) {
    return value.get_uint64() % static_cast<std::uint64_t>(std::abs(of.get_int64())) == 0;
  }
  // Decimal fractions are not exact in binary; a quotient of 2^53 and more has none left.
  const double divisor = of.to_number<double>();
  const double number = value.to_number<double>();
  return std::abs(std::remainder(number, divisor)) <= std::abs(divisor) * 1e-9 ||
         (std::abs(number) < 1e300 && std::abs(number / divisor) >= 9007199254740992.0);
}

// An integer's sign and magnitude: -2^63 .. 2^64-1 does not fit one type.
struct Whole {
  bool negative;
  std::uint64_t magnitude;
};
Whole whole(const json::value& value) {
  if (value.is_uint64()) return {false, value.get_uint64()};
  const std::int64_t number = value.get_int64();
  if (number >= 0) return {false, static_cast<std::uint64_t>(number)};
  return {true, ~static_cast<std::uint64_t>(number) + 1};
}

template <typename T>
int sign_of(T a, T b) {
  return a < b ? -1 : (b < a ? 1 : 0);
}

int compare_whole(Whole a, Whole b) {
  if (a.negative != b.negative) return a.negative ? -1 : 1;
  return a.negative ? sign_of(b.magnitude, a.magnitude) : sign_of(a.magnitude, b.magnitude);
}

int compare_whole_with_real(Whole a, double b) {
  constexpr double kTwoTo64 = 18446744073709551616.0;
  if (b >= kTwoTo64) return -1;
  if (b <= -kTwoTo64) return 1;
  const double cut = std::trunc(b);
  const Whole other{cut < 0, static_cast<std::uint64_t>(std::abs(cut))};
  if (const int order = compare_whole(a, other); order != 0) return order;
  return sign_of(cut, b);
}

}  // namespace

int compare_numbers(const json::value& a, const json::value& b) {
  if (a.is_int64() && b.is_int64()) return sign_of(a.get_int64(), b.get_int64());
  if (a.is_double() && b.is_double()) return sign_of(a.get_double(), b.get_double());
  if (b.is_double()) return compare_whole_with_real(whole(a), b.get_double());
  if (a.is_double()) return -compare_whole_with_real(whole(b), a.get_double());
  return compare_whole(whole(a), whole(b));
}

bool json_equal(const json::value& a, const json::value& b) {
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == 0;
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case json::kind::null:
      return true;
    case json::kind::bool_:
      return a.get_bool() == b.get_bool();
    case json::kind::string:
      return a.get_string() == b.get_string();
    case json::kind::array:
      return std::equal(a.get_array().begin(), a.get_array().end(), b.get_array().begin(),
                        b.get_array().end(), json_equal);
    case json::kind::object:
      return a.get_object().size() == b.get_object().size() &&
             std::all_of(a.get_object().begin(), a.get_object().end(), [&](const auto& member) {
               const auto* other = b.get_object().if_contains(member.key());
               return other != nullptr && json_equal(member.value(), *other);
             });
    default:
      return false;
  }
}

std::uint32_t KeyTable::intern(std::string_view key) {
  const auto [found, added] =
      ids_.try_emplace(std::string(key), static_cast<std::uint32_t>(ids_.size()));
  if (added) names_.push_back(&found->first);
  return found->second;
}

SharedLookups::Found& SharedLookups::look(std::uint32_t key, const std::string& name) {
  Found& found = found_[key];
  if (found.looked) return found;
  found.looked = true;
  found.value = object_->if_contains(name);
  if (found.value == nullptr) return found;
  found.type = type_of(*found.value);
  if (found.value->is_number()) found.number = found.value->to_number<double>();
  return found;
}

const json::value* SharedLookups::find(const json::object& object, const SchemaKey& key) {
  if (&object != object_) return object.if_contains(key.name);
  return look(key.id, key.name).value;
}

bool SharedLookups::may_satisfy(const SchemaGuard& guard, const std::string& name) {
  if (object_ == nullptr) return true;
  const Found& found = look(guard.key, name);
  if ((found.type & guard.types) == 0) return false;
  // Rounding to double keeps the order, and the bounds are exact: what is within them stays so.
  return (found.type & kTypeNumber) == 0 ||
         (found.number >= guard.low && found.number <= guard.high);
}

std::optional<SchemaGuard> SchemaProgram::guard() const {
  const SchemaNode& root = nodes_[0];
  if (!root.object) return std::nullopt;
  const auto bound = [](const std::optional<json::value>& limit,
                        const std::optional<json::value>& exclusive, double none) {
    constexpr double kExact = 9007199254740992.0;
    const json::value* value = limit ? &*limit : exclusive ? &*exclusive : nullptr;
    if (value == nullptr) return none;
    const double number = value->to_number<double>();
    return value->is_double() || std::abs(number) < kExact ? number : none;
  };
  for (const SchemaKey& key : root.object->required) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    SchemaGuard guard{key.id, kTypeAny, -kInfinity, kInfinity};
    const auto property = root.object->property_index.find(key.name);
    if (property != root.object->property_index.end()) {
      const SchemaNode& node = nodes_[root.object->properties[property->second].second];
      guard.types = node.types;
      if (node.number) {
        guard.low = bound(node.number->minimum, node.number->above, -kInfinity);
        guard.high = bound(node.number->maximum, node.number->below, kInfinity);
      }
    }
    return guard;
  }
  return std::nullopt;
}

class SchemaEvaluation {
public:
  SchemaEvaluation(const std::vector<SchemaNode>& nodes, SharedLookups& lookups)
      : nodes_(nodes), lookups_(lookups) {}

  bool too_complex() const { return too_complex_; }

  // Where `why` is not null, it says why not.
  bool satisfies(const json::value& value, SchemaNodeId id, SchemaMismatch* why) {
    if (++steps_ > kSchemaStepsMax || depth_ >= kEvaluationDepthMax) too_complex_ = true;
    if (too_complex_) return false;
    ++depth_;
    const bool answer = satisfies(value, nodes_[id], why);
    --depth_;
    return answer;
  }

private:
  bool satisfies(const json::value& value, const SchemaNode& node, SchemaMismatch* why) {
    const std::uint8_t type = type_of(value);
    if ((node.types & type) == 0) {
      return node.types == 0 ? differs(why, [&] { return fmt::format("nothing is allowed here"); })
                             : differs(why, [&] {
                                 return fmt::format("{} is {}; expected {}", shown(value),
                                                    type_name(type), type_names(node.types));
                               });
    }
    if (node.values && !is_one_of(value, *node.values, why)) return false;
    if (node.object && type == kTypeObject && !object(value, *node.object, why)) return false;
    if (node.string && type == kTypeString && !string(value, *node.string, why)) return false;
    if (node.number && (type & kTypeNumber) != 0 && !number(value, *node.number, why)) return false;
    if (node.array && type == kTypeArray && !array(value.get_array(), *node.array, why)) {
      return false;
    }
    return !node.logic || logic(value, *node.logic, why);
  }

  // `text` is called only where somebody wants to know.
  template <typename Text>
  static bool differs(SchemaMismatch* why, Text text) {
    if (why != nullptr) *why = {"", text()};
    return false;
  }
  template <typename Step>
  static bool under(SchemaMismatch* why, Step step) {
    if (why != nullptr) why->pointer.insert(0, step());
    return false;
  }

  bool is_one_of(const json::value& value, const std::vector<json::value>& values,
                 SchemaMismatch* why) {
    steps_ += values.size();
    for (const auto& allowed : values) {
      if (json_equal(value, allowed)) return true;
    }
    if (why == nullptr) return false;
    if (values.size() == 1)
      return differs(why,
                     [&] { return fmt::format("{} is not {}", shown(value), shown(values[0])); });
    std::string list;
    for (std::size_t i = 0; i < values.size() && i < 8; ++i) {
      list += (i == 0 ? "" : ", ") + shown(values[i]);
    }
    if (values.size() > 8) list += ", …";
    return differs(why, [&] { return fmt::format("{} is none of {}", shown(value), list); });
  }

  bool number(const json::value& value, const SchemaNumberRules& rules, SchemaMismatch* why) {
    if (rules.minimum && compare_numbers(value, *rules.minimum) < 0) {
      return differs(why, [&] {
        return fmt::format("{} is under the minimum, {}", shown(value), shown(*rules.minimum));
      });
    }
    if (rules.maximum && compare_numbers(value, *rules.maximum) > 0) {
      return differs(why, [&] {
        return fmt::format("{} is over the maximum, {}", shown(value), shown(*rules.maximum));
      });
    }
    if (rules.above && compare_numbers(value, *rules.above) <= 0) {
      return differs(why, [&] {
        return fmt::format("{} is not above {}", shown(value), shown(*rules.above));
      });
    }
    if (rules.below && compare_numbers(value, *rules.below) >= 0) {
      return differs(why, [&] {
        return fmt::format("{} is not below {}", shown(value), shown(*rules.below));
      });
    }
    if (rules.multiple_of && !is_multiple(value, *rules.multiple_of)) {
      return differs(why, [&] {
        return fmt::format("{} is no multiple of {}", shown(value), shown(*rules.multiple_of));
      });
    }
    return true;
  }

  bool string(const json::value& value, const SchemaStringRules& rules, SchemaMismatch* why) {
    const std::string_view text = view(value.get_string());
    if (rules.min_length > 0 || rules.max_length) {
      const std::uint64_t length = characters(text);
      if (length < rules.min_length) {
        return differs(why, [&] {
          return fmt::format("{} has {} characters; the minimum is {}", shown(value), length,
                             rules.min_length);
        });
      }
      if (rules.max_length && length > *rules.max_length) {
        return differs(why, [&] {
          return fmt::format("{} has {} characters; the maximum is {}", shown(value), length,
                             *rules.max_length);
        });
      }
    }
    if (rules.pattern && !finds(rules.pattern, text)) {
      return differs(why, [&] {
        return fmt::format("{} does not match the pattern {}", shown(value),
                           for_display(rules.pattern->pattern(), 200));
      });
    }
    return true;
  }

  bool array(const json::array& items, const SchemaArrayRules& rules, SchemaMismatch* why) {
    if (items.size() < rules.min_items) {
      return differs(why, [&] {
        return fmt::format("has {} items; the minimum is {}", items.size(), rules.min_items);
      });
    }
    if (rules.max_items && items.size() > *rules.max_items) {
      return differs(why, [&] {
        return fmt::format("has {} items; the maximum is {}", items.size(), *rules.max_items);
      });
    }
    for (std::size_t i = 0; i < items.size(); ++i) {
      const bool in_prefix = i < rules.prefix.size();
      if (!in_prefix && !rules.rest) break;
      if (!satisfies(items[i], in_prefix ? rules.prefix[i] : *rules.rest, why)) {
        return under(why, [&] { return "/" + std::to_string(i); });
      }
    }
    if (rules.contains && !contains(items, rules, why)) return false;
    if (rules.unique && !all_different(items))
      return differs(why, [&] { return fmt::format("holds the same item twice"); });
    return true;
  }

  bool contains(const json::array& items, const SchemaArrayRules& rules, SchemaMismatch* why) {
    const auto count = static_cast<std::uint64_t>(std::count_if(
        items.begin(), items.end(),
        [&](const json::value& item) { return satisfies(item, *rules.contains, nullptr); }));
    if (count < rules.min_contains) {
      return differs(why, [&] {
        return fmt::format("{} items are of the kind that `contains` asks for; the minimum is {}",
                           count, rules.min_contains);
      });
    }
    if (rules.max_contains && count > *rules.max_contains) {
      return differs(why, [&] {
        return fmt::format("{} items are of the kind that `contains` asks for; the maximum is {}",
                           count, *rules.max_contains);
      });
    }
    return true;
  }

  // By canonical form: linear-logarithmic whatever the items are.
  static bool all_different(const json::array& items) {
    std::set<std::string> seen;
    return std::all_of(items.begin(), items.end(), [&](const json::value& item) {
      return seen.insert(canonical_json(item)).second;
    });
  }

  bool object(const json::value& value, const SchemaObjectRules& rules, SchemaMismatch* why) {
    const json::object& object = value.get_object();
    for (const SchemaKey& key : rules.required) {
      if (lookups_.find(object, key) == nullptr) {
        return differs(why, [&] { return fmt::format("{} is missing", shown(key.name)); });
      }
    }
    if (object.size() < rules.min_properties) {
      return differs(why, [&] {
        return fmt::format("has {} members; the minimum is {}", object.size(),
                           rules.min_properties);
      });
    }
    if (rules.max_properties && object.size() > *rules.max_properties) {
      return differs(why, [&] {
        return fmt::format("has {} members; the maximum is {}", object.size(),
                           *rules.max_properties);
      });
    }
    for (const auto& [key, node] : rules.properties) {
      const auto* member = lookups_.find(object, key);
      if (member != nullptr && !satisfies(*member, node, why))
        return under(why, [&] { return escaped(key.name); });
    }
    if ((!rules.patterns.empty() || rules.additional || rules.names) &&
        !each_member(object, rules, why)) {
      return false;
    }
    return dependents(value, rules, why);
  }

  bool each_member(const json::object& object, const SchemaObjectRules& rules,
                   SchemaMismatch* why) {
    for (const auto& member : object) {
      const std::string_view key{member.key().data(), member.key().size()};
      bool known = rules.property_index.contains(key);
      for (const auto& [pattern, node] : rules.patterns) {
        ++steps_;
        if (!finds(pattern, key)) continue;
        known = true;
        if (!satisfies(member.value(), node, why)) return under(why, [&] { return escaped(key); });
      }
      if (!known && rules.additional && !satisfies(member.value(), *rules.additional, why)) {
        if (nodes_[*rules.additional].types == 0) return not_allowed(key, rules, why);
        return under(why, [&] { return escaped(key); });
      }
      if (rules.names && !satisfies(json::value(member.key()), *rules.names, why)) {
        if (why != nullptr) why->text = fmt::format("the name {}: {}", shown(key), why->text);
        return false;
      }
    }
    return true;
  }

  bool not_allowed(std::string_view key, const SchemaObjectRules& rules, SchemaMismatch* why) {
    if (why == nullptr) return false;
    std::vector<std::string_view> names;
    for (const auto& [known, node] : rules.properties) {
      if (names.size() < kSuggestionsMax) names.push_back(known.name);
    }
    const auto meant = nearest(key.substr(0, 200), names);
    return differs(why, [&] {
      return fmt::format("{} is not allowed here{}", shown(key),
                         meant.empty() ? "" : fmt::format("; did you mean {}?", shown(meant)));
    });
  }

  bool dependents(const json::value& value, const SchemaObjectRules& rules, SchemaMismatch* why) {
    const json::object& object = value.get_object();
    for (const auto& [key, needed] : rules.dependent_required) {
      if (lookups_.find(object, key) == nullptr) continue;
      for (const SchemaKey& other : needed) {
        if (lookups_.find(object, other) == nullptr) {
          return differs(why, [&] {
            return fmt::format("{} is missing; {} needs it", shown(other.name), shown(key.name));
          });
        }
      }
    }
    for (const auto& [key, node] : rules.dependent_schemas) {
      if (lookups_.find(object, key) != nullptr && !satisfies(value, node, why)) return false;
    }
    return true;
  }

  bool logic(const json::value& value, const SchemaLogicRules& rules, SchemaMismatch* why) {
    if (rules.ref && !satisfies(value, *rules.ref, why)) return false;
    for (const SchemaNodeId id : rules.all) {
      if (!satisfies(value, id, why)) return false;
    }
    const auto holds = [&](SchemaNodeId id) { return satisfies(value, id, nullptr); };
    if (!rules.any.empty() && std::none_of(rules.any.begin(), rules.any.end(), holds)) {
      return differs(why, [&] {
        return fmt::format("{} matches none of the {} alternatives", shown(value),
                           rules.any.size());
      });
    }
    if (!rules.one.empty()) {
      const auto count = std::count_if(rules.one.begin(), rules.one.end(), holds);
      if (count != 1) {
        return differs(why, [&] {
          return fmt::format("{} matches {} of the {} alternatives; exactly one is expected",
                             shown(value), count, rules.one.size());
        });
      }
    }
    if (rules.none && (holds(*rules.none) || too_complex_)) {
      return differs(why, [&] { return fmt::format("{} is what `not` excludes", shown(value)); });
    }
    if (rules.condition) {
      const auto& branch = holds(*rules.condition) ? rules.then : rules.otherwise;
      if (branch && !satisfies(value, *branch, why)) return false;
    }
    return !too_complex_;
  }

  const std::vector<SchemaNode>& nodes_;
  SharedLookups& lookups_;
  std::size_t steps_ = 0;
  std::size_t depth_ = 0;
  bool too_complex_ = false;
};

SchemaAnswer SchemaProgram::evaluate(const json::value& value, SharedLookups& lookups,
                                     SchemaMismatch* mismatch) const {
  SchemaEvaluation evaluation(nodes_, lookups);
  const bool answer = evaluation.satisfies(value, 0, mismatch);
  if (evaluation.too_complex()) return SchemaAnswer::too_complex;
  return answer ? SchemaAnswer::matches : SchemaAnswer::differs;
}

}  // namespace gavel

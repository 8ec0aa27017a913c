#pragma once
// JSON as Gavel accepts it: strict RFC 8259 with the I-JSON limits that make a digest mean one
// thing. Refused, with a message that names the place: invalid UTF-8, duplicate keys, lone
// surrogates, nesting over the limit, integers beyond 64 bits (they would be rounded, and two calls
// would share a digest), anything after the value. Canonical form is RFC 8785, except that integers
// between 2^53 and 2^64 keep their digits.

#include <boost/json/fwd.hpp>
#include <boost/json/value.hpp>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/digest.hpp"
#include "base/result.hpp"

namespace gavel {

namespace json = boost::json;

struct JsonLimits {
  std::size_t max_bytes = 16u << 20;
  std::size_t max_depth = 128;
};

// Parses one JSON text. Errors: invalid_argument, too_large.
Result<json::value> parse_json(std::string_view text, const JsonLimits& limits = {});

// RFC 8785: keys sorted by UTF-16 code units, shortest numbers, no white space.
std::string canonical_json(const json::value& value);
// Compact, keys in their own order, numbers as in canonical_json.
std::string write_json(const json::value& value);
// Two spaces of indentation, for people.
std::string pretty_json(const json::value& value);

inline Digest canonical_digest(const json::value& value) {
  return sha256(canonical_json(value));
}

// The exact bytes of the member at `path` inside `text`, which parse_json must have accepted; empty
// where there is none. It lets a payload be forwarded and logged as it came. The view lives as long
// as `text`.
std::string_view json_slice(std::string_view text, std::initializer_list<std::string_view> path);

// Look-ups that do not throw. Null pointer or nothing where the member is missing or of another
// type. What they return lives as long as the value or object; temporaries are refused.
const json::value* find(const json::object& object, std::string_view key);
const json::value* find(const json::value& value, std::string_view key);
const json::value* find(json::value&& value, std::string_view key) = delete;
const json::object* find_object(const json::object& object, std::string_view key);
const json::object* find_object(const json::value& value, std::string_view key);
const json::object* find_object(json::value&& value, std::string_view key) = delete;
const json::array* find_array(const json::object& object, std::string_view key);
const json::array* find_array(const json::value& value, std::string_view key);
const json::array* find_array(json::value&& value, std::string_view key) = delete;
// The string member, or `fallback`.
std::string_view string_or(const json::object& object, std::string_view key,
                           std::string_view fallback = {});
std::string_view string_or(const json::value& value, std::string_view key,
                           std::string_view fallback = {});
std::string_view string_or(json::value&& value, std::string_view key,
                           std::string_view fallback = {}) = delete;
std::int64_t int_or(const json::value& value, std::string_view key, std::int64_t fallback);
bool bool_or(const json::value& value, std::string_view key, bool fallback);

inline std::string_view view(const json::string& s) {
  return {s.data(), s.size()};
}

}  // namespace gavel

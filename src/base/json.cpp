#include "base/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value_stack.hpp>
#include <charconv>
#include <cmath>
#include <vector>

#include "base/assert.hpp"
#include "base/text.hpp"

namespace gavel {
namespace {

using boost::json::error_code;

std::string canonical_double(double d);

// Builds the value and refuses what boost::json would silently accept: duplicate keys and rounded
// integers.
class Handler {
public:
  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1);
  static constexpr std::size_t max_string_size = std::size_t(-1);

  json::value release() { return stack_.release(); }
  const std::string& refusal() const { return refusal_; }
  void reset() { stack_.reset(); }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_array_begin(error_code&) { return true; }
  bool on_array_end(std::size_t n, error_code&) {
    stack_.push_array(n);
    return true;
  }
  bool on_object_begin(error_code&) {
    first_key_.push_back(keys_.size());
    return true;
  }
  bool on_object_end(std::size_t n, error_code& ec) {
    const auto first = keys_.begin() + static_cast<std::ptrdiff_t>(first_key_.back());
    std::sort(first, keys_.end());
    const auto twin = std::adjacent_find(first, keys_.end());
    if (twin != keys_.end()) {
      return refuse(ec, fmt::format("the key \"{}\" stands twice in one object", *twin));
    }
    keys_.erase(first, keys_.end());
    first_key_.pop_back();
    stack_.push_object(n);
    return true;
  }
  bool on_key_part(json::string_view s, std::size_t, error_code&) {
    stack_.push_chars(s);
    key_ += std::string_view(s.data(), s.size());
    return true;
  }
  bool on_key(json::string_view s, std::size_t, error_code&) {
    stack_.push_key(s);
    key_ += std::string_view(s.data(), s.size());
    keys_.push_back(std::move(key_));
    key_.clear();
    return true;
  }
  bool on_string_part(json::string_view s, std::size_t, error_code&) {
    stack_.push_chars(s);
    return true;
  }
  bool on_string(json::string_view s, std::size_t, error_code&) {
    stack_.push_string(s);
    return true;
  }
  bool on_number_part(json::string_view s, error_code&) {
    number_ += std::string_view(s.data(), s.size());
    return true;
  }
  bool on_int64(std::int64_t i, json::string_view, error_code&) {
    number_.clear();
    stack_.push_int64(i);
    return true;
  }
  bool on_uint64(std::uint64_t u, json::string_view, error_code&) {
    number_.clear();
    stack_.push_uint64(u);
    return true;
  }
  bool on_double(double, json::string_view s, error_code& ec) {
    number_ += std::string_view(s.data(), s.size());
    // boost::json 1.81 does not round correctly in the last digit; from_chars does.
    double d = 0;
    const auto parsed = std::from_chars(number_.data(), number_.data() + number_.size(), d);
    if (parsed.ec != std::errc{}) {
      return refuse(ec, "a number is too large or too small for a double");
    }
    // A long integer passes only as the canonical spelling of its own double.
    if (number_.find_first_of(".eE") == std::string::npos && number_ != canonical_double(d)) {
      return refuse(ec, "an integer beyond 64 bits would be rounded; send it as a string");
    }
    number_.clear();
    stack_.push_double(d);
    return true;
  }
  bool on_bool(bool b, error_code&) {
    stack_.push_bool(b);
    return true;
  }
  bool on_null(error_code&) {
    stack_.push_null();
    return true;
  }
  bool on_comment_part(json::string_view, error_code&) { return true; }
  bool on_comment(json::string_view, error_code&) { return true; }

private:
  bool refuse(error_code& ec, std::string why) {
    refusal_ = std::move(why);
    ec = boost::json::error::syntax;
    return false;
  }

  json::value_stack stack_;
  std::vector<std::string> keys_;       // of all open objects
  std::vector<std::size_t> first_key_;  // where each open object's keys start
  std::string key_;
  std::string number_;
  std::string refusal_;
};

void write_string(std::string& out, std::string_view s) {
  out.push_back('"');
  for (const char c : s) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<int>(c));
        } else {
          out.push_back(c);
        }
    }
  }
  out.push_back('"');
}

// ECMAScript Number::toString, as RFC 8785 section 3.2.2.3 asks.
void write_double(std::string& out, double d) {
  ASSERT(std::isfinite(d));
  if (d == 0) {
    out.push_back('0');
    return;
  }
  char buffer[32];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, std::abs(d), std::chars_format::scientific).ptr;
  const std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  const std::size_t e = text.find('e');
  std::string digits(1, text[0]);
  if (e > 2) digits += text.substr(2, e - 2);
  int exponent = 0;
  const char* exponent_begin = buffer + e + 1 + (text[e + 1] == '+' ? 1 : 0);
  std::from_chars(exponent_begin, end, exponent);
  const int point = exponent + 1;  // digits before the decimal point
  const int count = static_cast<int>(digits.size());
  if (d < 0) out.push_back('-');
  if (count <= point && point <= 21) {
    out += digits;
    out.append(static_cast<std::size_t>(point - count), '0');
  } else if (0 < point && point <= 21) {
    out += digits.substr(0, static_cast<std::size_t>(point));
    out.push_back('.');
    out += digits.substr(static_cast<std::size_t>(point));
  } else if (-6 < point && point <= 0) {
    out += "0.";
    out.append(static_cast<std::size_t>(-point), '0');
    out += digits;
  } else {
    out.push_back(digits[0]);
    if (count > 1) {
      out.push_back('.');
      out += digits.substr(1);
    }
    fmt::format_to(std::back_inserter(out), "e{}{}", point - 1 < 0 ? '-' : '+',
                   std::abs(point - 1));
  }
}

std::string canonical_double(double d) {
  std::string out;
  write_double(out, d);
  return out;
}

// The order of UTF-16 code units differs from that of UTF-8 bytes only where one side is beyond the
// BMP (a surrogate pair, D800..DFFF) and the other is in E000..FFFF.
bool utf16_less(std::string_view a, std::string_view b) {
  const auto [pa, pb] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (pa == a.end() || pb == b.end()) return a.size() < b.size();
  const auto ca = static_cast<unsigned char>(*pa);
  const auto cb = static_cast<unsigned char>(*pb);
  const bool astral_a = ca >= 0xF0;
  const bool astral_b = cb >= 0xF0;
  if (astral_a != astral_b) {
    const unsigned char other = astral_a ? cb : ca;
    if (other >= 0xEE) return astral_a;  // E000..FFFF sorts after every surrogate
  }
  return ca < cb;
}

enum class KeyOrder { as_is, canonical };

void write_value(std::string& out, const json::value& value, KeyOrder order);

void write_object(std::string& out, const json::object& object, KeyOrder order) {
  out.push_back('{');
  bool first = true;
  const auto member = [&](std::string_view key, const json::value& v) {
    if (!first) out.push_back(',');
    first = false;
    write_string(out, key);
    out.push_back(':');
    write_value(out, v, order);
  };
  if (order == KeyOrder::as_is) {
    for (const auto& kv : object) member({kv.key().data(), kv.key().size()}, kv.value());
  } else {
    std::vector<std::pair<std::string_view, const json::value*>> members;
    members.reserve(object.size());
    for (const auto& kv : object) {
      members.emplace_back(std::string_view(kv.key().data(), kv.key().size()), &kv.value());
    }
    std::sort(members.begin(), members.end(),
              [](const auto& a, const auto& b) { return utf16_less(a.first, b.first); });
    for (const auto& [key, v] : members) member(key, *v);
  }
  out.push_back('}');
}

void write_value(std::string& out, const json::value& value, KeyOrder order) {
  switch (value.kind()) {
    case json::kind::null:
      out += "null";
      break;
    case json::kind::bool_:
      out += value.get_bool() ? "true" : "false";
      break;
    case json::kind::int64:
      fmt::format_to(std::back_inserter(out), "{}", value.get_int64());
      break;
    case json::kind::uint64:
      fmt::format_to(std::back_inserter(out), "{}", value.get_uint64());
      break;
    case json::kind::double_:
      write_double(out, value.get_double());
      break;
    case json::kind::string:
      write_string(out, view(value.get_string()));
      break;
    case json::kind::array: {
      out.push_back('[');
      bool first = true;
      for (const auto& element : value.get_array()) {
        if (!first) out.push_back(',');
        first = false;
        write_value(out, element, order);
      }
      out.push_back(']');
      break;
    }
    case json::kind::object:
      write_object(out, value.get_object(), order);
      break;
  }
}

void write_pretty(std::string& out, const json::value& value, std::size_t depth) {
  const std::string indent((depth + 1) * 2, ' ');
  if (value.is_object() && !value.get_object().empty()) {
    out += "{\n";
    bool first = true;
    for (const auto& kv : value.get_object()) {
      if (!first) out += ",\n";
      first = false;
      out += indent;
      write_string(out, {kv.key().data(), kv.key().size()});
      out += ": ";
      write_pretty(out, kv.value(), depth + 1);
    }
    out += "\n" + std::string(depth * 2, ' ') + "}";
  } else if (value.is_array() && !value.get_array().empty()) {
    out += "[\n";
    bool first = true;
    for (const auto& element : value.get_array()) {
      if (!first) out += ",\n";
      first = false;
      out += indent;
      write_pretty(out, element, depth + 1);
    }
    out += "\n" + std::string(depth * 2, ' ') + "]";
  } else {
    write_value(out, value, KeyOrder::as_is);
  }
}

// The scanner below walks JSON that is known to be valid, so it only needs to balance.
std::size_t skip_space(std::string_view s, std::size_t i) {
  while (i < s.size() && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r')) ++i;
  return i;
}

std::size_t skip_string(std::string_view s, std::size_t i) {
  for (++i; i < s.size() && s[i] != '"'; ++i) {
    if (s[i] == '\\') ++i;
  }
  return i + 1;
}

std::size_t skip_value(std::string_view s, std::size_t i) {
  std::size_t depth = 0;
  while (i < s.size()) {
    const char c = s[i];
    if (c == '"') {
      i = skip_string(s, i);
      if (depth == 0) return i;
    } else if (c == '{' || c == '[') {
      ++depth;
      ++i;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return i;
      ++i;
      if (--depth == 0) return i;
    } else if (depth == 0 && (c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
      return i;
    } else {
      ++i;
    }
  }
  return i;
}

bool key_equals(std::string_view raw, std::string_view key) {
  if (raw.find('\\') == std::string_view::npos) return raw == key;
  const auto parsed = parse_json(fmt::format("\"{}\"", raw));
  return parsed && parsed->is_string() && view(parsed->get_string()) == key;
}

std::string_view member_slice(std::string_view object, std::string_view key) {
  std::size_t i = skip_space(object, 0);
  if (i >= object.size() || object[i] != '{') return {};
  i = skip_space(object, i + 1);
  while (i < object.size() && object[i] == '"') {
    const std::size_t key_begin = i + 1;
    i = skip_string(object, i);
    const auto raw_key = object.substr(key_begin, i - 1 - key_begin);
    i = skip_space(object, i);
    i = skip_space(object, i + 1);  // the colon
    const std::size_t begin = i;
    i = skip_value(object, i);
    if (key_equals(raw_key, key)) return object.substr(begin, i - begin);
    i = skip_space(object, i);
    if (i < object.size() && object[i] == ',') i = skip_space(object, i + 1);
  }
  return {};
}

}  // namespace

Result<json::value> parse_json(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return fail(ErrorCode::too_large, fmt::format("JSON of {} bytes is over the limit of {}",
                                                  text.size(), limits.max_bytes));
  }
  json::parse_options options;
  options.max_depth = limits.max_depth;
  boost::json::basic_parser<Handler> parser(options);
  parser.handler().reset();
  error_code ec;
  const std::size_t consumed = parser.write_some(false, text.data(), text.size(), ec);
  if (!ec && skip_space(text, consumed) != text.size()) ec = boost::json::error::extra_data;
  if (!ec && !parser.done()) ec = boost::json::error::incomplete;
  if (ec) {
    if (auto problem = utf8_problem(text); !problem.empty()) {
      return fail(ErrorCode::invalid_argument, "not acceptable JSON: " + problem);
    }
    const auto& refusal = parser.handler().refusal();
    const auto why = refusal.empty() ? std::string(ec.message()) : refusal;
    return fail(
        ec == boost::json::error::too_deep ? ErrorCode::too_large : ErrorCode::invalid_argument,
        fmt::format("not acceptable JSON at byte {}: {}", consumed, why));
  }
  return parser.handler().release();
}

std::string canonical_json(const json::value& value) {
  std::string out;
  write_value(out, value, KeyOrder::canonical);
  return out;
}

std::string write_json(const json::value& value) {
  std::string out;
  write_value(out, value, KeyOrder::as_is);
  return out;
}

std::string pretty_json(const json::value& value) {
  std::string out;
  write_pretty(out, value, 0);
  return out;
}

std::string_view json_slice(std::string_view text, std::initializer_list<std::string_view> path) {
  for (const auto key : path) {
    text = member_slice(text, key);
    if (text.empty()) return {};
  }
  return text;
}

const json::value* find(const json::object& object, std::string_view key) {
  return object.if_contains(json::string_view(key.data(), key.size()));
}

const json::value* find(const json::value& value, std::string_view key) {
  const auto* object = value.if_object();
  return object == nullptr ? nullptr : find(*object, key);
}

const json::object* find_object(const json::object& object, std::string_view key) {
  const auto* member = find(object, key);
  return member == nullptr ? nullptr : member->if_object();
}

const json::object* find_object(const json::value& value, std::string_view key) {
  const auto* object = value.if_object();
  return object == nullptr ? nullptr : find_object(*object, key);
}

const json::array* find_array(const json::object& object, std::string_view key) {
  const auto* member = find(object, key);
  return member == nullptr ? nullptr : member->if_array();
}

const json::array* find_array(const json::value& value, std::string_view key) {
  const auto* object = value.if_object();
  return object == nullptr ? nullptr : find_array(*object, key);
}

std::string_view string_or(const json::object& object, std::string_view key,
                           std::string_view fallback) {
  const auto* member = find(object, key);
  return member != nullptr && member->is_string() ? view(member->get_string()) : fallback;
}

std::string_view string_or(const json::value& value, std::string_view key,
                           std::string_view fallback) {
  const auto* object = value.if_object();
  return object == nullptr ? fallback : string_or(*object, key, fallback);
}

std::int64_t int_or(const json::value& value, std::string_view key, std::int64_t fallback) {
  const auto* member = find(value, key);
  return member != nullptr && member->is_int64() ? member->get_int64() : fallback;
}

bool bool_or(const json::value& value, std::string_view key, bool fallback) {
  const auto* member = find(value, key);
  return member != nullptr && member->is_bool() ? member->get_bool() : fallback;
}

}  // namespace gavel

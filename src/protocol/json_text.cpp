#include "protocol/json_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/assert.hpp"
#include "base/json.hpp"
#include "base/text.hpp"

namespace gavel {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

std::size_t skip_space(std::string_view s, std::size_t i) {
  while (i < s.size() && (s[i] == ' ' || s[i] == '\n' || s[i] == '\r' || s[i] == '\t')) ++i;
  return i;
}

bool is_ascii(std::string_view s) {
  std::size_t i = 0;
  for (; i + 8 <= s.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, s.data() + i, 8);
    if ((word & 0x8080808080808080U) != 0) return false;
  }
  return std::none_of(s.begin() + static_cast<std::ptrdiff_t>(i), s.end(),
                      [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

// Walks one value. After a failure `why` says what is wrong and `at` where.
class Scanner {
public:
  Scanner(std::string_view text, std::size_t max_depth) : text_(text), max_depth_(max_depth) {}

  std::size_t at = 0;
  const char* why = nullptr;
  bool too_deep = false;

  bool value(std::size_t depth) {
    if (at >= text_.size()) return bad("the text ends where a value should stand");
    switch (text_[at]) {
      case '{':
        return container(depth, '}');
      case '[':
        return container(depth, ']');
      case '"':
        return string();
      case 't':
        return word("true");
      case 'f':
        return word("false");
      case 'n':
        return word("null");
      default:
        return number();
    }
  }

  bool string() {
    for (++at; at < text_.size(); ++at) {
      const char c = text_[at];
      if (c == '"') {
        ++at;
        return true;
      }
      if (static_cast<unsigned char>(c) < 0x20) return bad("a control character in a string");
      if (c == '\\' && !escape()) return false;
    }
    return bad("a string without an end");
  }

private:
  bool bad(const char* reason) {
    why = reason;
    return false;
  }

  bool escape() {
    ++at;
    if (at >= text_.size()) return bad("a string without an end");
    const char c = text_[at];
    if (c == 'u') {
      for (int i = 0; i < 4; ++i) {
        ++at;
        if (at >= text_.size() || !is_hex(text_[at])) return bad("a broken \\u escape");
      }
      return true;
    }
    return std::strchr("\"\\/bfnrt", c) != nullptr && c != '\0' ? true : bad("a broken escape");
  }

  bool word(std::string_view expected) {
    if (text_.substr(at, expected.size()) != expected) return bad("this is no JSON value");
    at += expected.size();
    return true;
  }

  bool digits() {
    const std::size_t begin = at;
    while (at < text_.size() && is_digit(text_[at])) ++at;
    return at > begin ? true : bad("this is no JSON value");
  }

  bool number() {
    if (text_[at] == '-') ++at;
    if (at < text_.size() && text_[at] == '0') {
      ++at;
    } else if (!digits()) {
      return false;
    }
    if (at < text_.size() && text_[at] == '.') {
      ++at;
      if (!digits()) return false;
    }
    if (at < text_.size() && (text_[at] == 'e' || text_[at] == 'E')) {
      ++at;
      if (at < text_.size() && (text_[at] == '+' || text_[at] == '-')) ++at;
      if (!digits()) return false;
    }
    return true;
  }

  bool container(std::size_t depth, char end) {
    if (depth >= max_depth_) {
      too_deep = true;
      return bad("nested too deeply");
    }
    at = skip_space(text_, at + 1);
    if (at < text_.size() && text_[at] == end) {
      ++at;
      return true;
    }
    for (;;) {
      if (end == '}') {
        if (at >= text_.size() || text_[at] != '"') return bad("a key should stand here");
        if (!string()) return false;
        at = skip_space(text_, at);
        if (at >= text_.size() || text_[at] != ':') return bad("a colon should stand here");
        at = skip_space(text_, at + 1);
      }
      if (!value(depth + 1)) return false;
      at = skip_space(text_, at);
      if (at >= text_.size()) return bad("an object or array without an end");
      if (text_[at] == end) {
        ++at;
        return true;
      }
      if (text_[at] != ',') return bad("a comma should stand here");
      at = skip_space(text_, at + 1);
    }
  }

  std::string_view text_;
  std::size_t max_depth_;
};

std::unexpected<Error> not_utf8(std::string_view text) {
  return fail(ErrorCode::invalid_argument, "not acceptable JSON: " + utf8_problem(text));
}

Status scan_error(std::size_t at, const char* why, bool too_deep) {
  return fail(too_deep ? ErrorCode::too_large : ErrorCode::invalid_argument,
              fmt::format("not acceptable JSON at byte {}: {}", at, why));
}

}  // namespace

bool JsonMember::is(std::string_view name) const {
  const std::string_view raw = key.substr(1, key.size() - 2);
  if (raw.find('\\') == std::string_view::npos) return raw == name;
  return json_unquote(key) == name;
}

JsonObjectReader::JsonObjectReader(std::string_view text, std::size_t max_depth)
    : text_(text), max_depth_(max_depth) {
  at_ = skip_space(text_, 0);
  if (!is_ascii(text_) && !is_valid_utf8(text_)) {
    done_ = true;
    status_ = not_utf8(text_);
  } else if (at_ >= text_.size() || text_[at_] != '{') {
    stop(at_, "an object should stand here");
  } else {
    at_ = skip_space(text_, at_ + 1);
  }
}

std::optional<JsonMember> JsonObjectReader::stop(std::size_t at, const char* why) {
  done_ = true;
  status_ = scan_error(at, why, false);
  return std::nullopt;
}

std::optional<JsonMember> JsonObjectReader::next() {
  if (done_) return std::nullopt;
  if (at_ < text_.size() && text_[at_] == '}') {
    done_ = true;
    const std::size_t end = skip_space(text_, at_ + 1);
    if (end != text_.size()) return stop(end, "there is more after the object");
    return std::nullopt;
  }
  if (!first_) {
    if (at_ >= text_.size() || text_[at_] != ',') return stop(at_, "a comma should stand here");
    at_ = skip_space(text_, at_ + 1);
  }
  first_ = false;
  Scanner scanner(text_, max_depth_);
  scanner.at = at_;
  JsonMember member;
  if (at_ >= text_.size() || text_[at_] != '"') return stop(at_, "a key should stand here");
  if (!scanner.string()) return stop(scanner.at, scanner.why);
  member.key = text_.substr(at_, scanner.at - at_);
  scanner.at = skip_space(text_, scanner.at);
  if (scanner.at >= text_.size() || text_[scanner.at] != ':') {
    return stop(scanner.at, "a colon should stand here");
  }
  scanner.at = skip_space(text_, scanner.at + 1);
  const std::size_t begin = scanner.at;
  if (!scanner.value(1)) {
    done_ = true;
    status_ = scan_error(scanner.at, scanner.why, scanner.too_deep);
    return std::nullopt;
  }
  member.value = text_.substr(begin, scanner.at - begin);
  at_ = skip_space(text_, scanner.at);
  return member;
}

Result<std::vector<std::string_view>> json_elements(std::string_view text,
                                                    std::size_t max_elements) {
  std::vector<std::string_view> elements;
  Scanner scanner(text, kJsonDepthMax);
  scanner.at = skip_space(text, 0);
  if (scanner.at >= text.size() || text[scanner.at] != '[') {
    return std::unexpected(scan_error(scanner.at, "an array should stand here", false).error());
  }
  if (!is_ascii(text) && !is_valid_utf8(text)) {
    return not_utf8(text);
  }
  scanner.at = skip_space(text, scanner.at + 1);
  bool more = scanner.at >= text.size() || text[scanner.at] != ']';
  while (more) {
    const std::size_t begin = scanner.at;
    if (!scanner.value(1)) {
      return std::unexpected(scan_error(scanner.at, scanner.why, scanner.too_deep).error());
    }
    if (elements.size() == max_elements) {
      return fail(ErrorCode::too_large, fmt::format("an array of over {} elements", max_elements));
    }
    elements.push_back(text.substr(begin, scanner.at - begin));
    scanner.at = skip_space(text, scanner.at);
    more = scanner.at < text.size() && text[scanner.at] == ',';
    if (more) scanner.at = skip_space(text, scanner.at + 1);
  }
  if (scanner.at >= text.size() || text[scanner.at] != ']' ||
      skip_space(text, scanner.at + 1) != text.size()) {
    return std::unexpected(scan_error(scanner.at, "the array should end here", false).error());
  }
  return elements;
}

std::optional<std::string> json_unquote(std::string_view token) {
  if (token.size() < 2 || token.front() != '"' || token.back() != '"') return std::nullopt;
  const std::string_view inside = token.substr(1, token.size() - 2);
  if (inside.find('\\') == std::string_view::npos) return std::string(inside);
  const auto parsed = parse_json(token);
  if (!parsed || !parsed->is_string()) return std::nullopt;
  return std::string(view(parsed->get_string()));
}

std::string json_quote(std::string_view text) {
  const bool plain = std::none_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
  });
  if (plain) return fmt::format("\"{}\"", text);
  return write_json(json::value(json::string(text)));
}

std::string json_set(std::string_view object, std::initializer_list<JsonEdit> edits) {
  std::string out = "{";
  const auto write = [&](std::string_view key, std::string_view value) {
    if (out.size() > 1) out += ',';
    out.append(key).append(":").append(value);
  };
  std::vector<bool> written(edits.size(), false);
  JsonObjectReader reader(object);
  while (const auto member = reader.next()) {
    std::string_view value = member->value;
    for (std::size_t i = 0; i < edits.size(); ++i) {
      const JsonEdit& edit = edits.begin()[i];
      if (written[i] || !member->is(edit.name)) continue;
      value = edit.value;
      written[i] = true;
    }
    write(member->key, value);
  }
  ASSERT(reader.status());
  for (std::size_t i = 0; i < edits.size(); ++i) {
    if (!written[i]) write(json_quote(edits.begin()[i].name), edits.begin()[i].value);
  }
  return out += '}';
}

std::string json_drop(std::string_view object, std::initializer_list<std::string_view> names) {
  std::string out = "{";
  JsonObjectReader reader(object);
  while (const auto member = reader.next()) {
    const bool dropped = std::any_of(names.begin(), names.end(),
                                     [&](std::string_view name) { return member->is(name); });
    if (dropped) continue;
    if (out.size() > 1) out += ',';
    out.append(member->key).append(":").append(member->value);
  }
  ASSERT(reader.status());
  return out += '}';
}

void make_one_line(std::string& json) {
  std::replace_if(json.begin(), json.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
}

}  // namespace gavel

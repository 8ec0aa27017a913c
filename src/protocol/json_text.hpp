#pragma once
// JSON objects as text: read and edited member by member, so that a payload is forwarded byte for
// byte and never built into a tree on its way through. Reading validates everything that RFC 8259
// says (grammar, UTF-8, control characters) and bounds the nesting; what only base/json checks are
// the I-JSON limits (duplicate keys, lone surrogates, huge integers) inside a value.

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace gavel {

inline constexpr std::size_t kJsonDepthMax = 128;

// Both are views into the text that is read.
struct JsonMember {
  std::string_view key;    // as written, with its quotes
  std::string_view value;  // without surrounding white space

  bool is(std::string_view name) const;
};

// Reads the members of one object, in their order:
//   JsonObjectReader reader(text);
//   while (const auto member = reader.next()) ...
//   TRY(reader.status());
// Borrows `text`.
class JsonObjectReader {
public:
  explicit JsonObjectReader(std::string_view text, std::size_t max_depth = kJsonDepthMax);

  // Nothing at the end and after an error.
  std::optional<JsonMember> next();
  // invalid_argument or too_large (nesting) with the byte where reading stopped.
  const Status& status() const { return status_; }

private:
  std::optional<JsonMember> stop(std::size_t at, const char* why);

  std::string_view text_;
  std::size_t max_depth_;
  std::size_t at_ = 0;
  bool first_ = true;
  bool done_ = false;
  Status status_;
};

// The elements of the JSON array `text`, each a view into it. Errors as above, and too_large beyond
// `max_elements`.
Result<std::vector<std::string_view>> json_elements(std::string_view text,
                                                    std::size_t max_elements);

// The text of a JSON string token ("\"a\\n\"" to "a\n"); nothing where it is no string.
std::optional<std::string> json_unquote(std::string_view token);
std::string json_quote(std::string_view text);

// One member to write: the plain name and the JSON text of its value.
struct JsonEdit {
  std::string_view name;
  std::string_view value;
};

// `object` with these members set: replaced where they stand, else appended. Everything else keeps
// its bytes. `object` must be a valid JSON object.
std::string json_set(std::string_view object, std::initializer_list<JsonEdit> edits);
// `object` without these members.
std::string json_drop(std::string_view object, std::initializer_list<std::string_view> names);

// Newlines in valid JSON only stand between tokens: this makes them spaces, so that the text is one
// line.
void make_one_line(std::string& json);

}  // namespace gavel

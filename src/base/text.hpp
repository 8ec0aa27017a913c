#pragma once
// Small helpers for text that people read and write.

#include <span>
#include <string>
#include <string_view>

namespace gavel {

// The candidate nearest to `word` by edit distance, or empty where none is near enough to be meant.
// The view is one of `candidates`.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

// `*` matches any run of characters, `?` one; everything else itself. Linear in both lengths.
bool glob_match(std::string_view pattern, std::string_view text);

bool is_valid_utf8(std::string_view text);
// "byte 12 (0xff) is not UTF-8; send the text encoded as UTF-8"; empty where all of it is UTF-8.
std::string utf8_problem(std::string_view text);

// "/" to "%2F": all but letters, digits and - . _ ~ (RFC 3986, unreserved).
std::string percent_encode(std::string_view text);

// `text` cut to `max_bytes` at a character's border, with "…" where it was cut; control characters
// become spaces, so that untrusted text cannot move a terminal's cursor.
std::string for_display(std::string_view text, std::size_t max_bytes);

}  // namespace gavel

#include "cli/style.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace gavel {
namespace {

struct Range {
  char32_t first;
  char32_t last;
};

// East Asian wide and fullwidth blocks and emoji, coarsely: what common terminals draw in two
// cells.
constexpr std::array kWide = {
    Range{0x1100, 0x115F},   Range{0x231A, 0x231B},   Range{0x23E9, 0x23EC},
    Range{0x2614, 0x2615},   Range{0x26A1, 0x26A1},   Range{0x2705, 0x2705},
    Range{0x274C, 0x274C},   Range{0x2753, 0x2757},   Range{0x2E80, 0x303E},
    Range{0x3041, 0x33FF},   Range{0x3400, 0x4DBF},   Range{0x4E00, 0x9FFF},
    Range{0xA000, 0xA4CF},   Range{0xAC00, 0xD7A3},   Range{0xF900, 0xFAFF},
    Range{0xFE30, 0xFE6F},   Range{0xFF00, 0xFF60},   Range{0xFFE0, 0xFFE6},
    Range{0x1F300, 0x1F64F}, Range{0x1F680, 0x1F6FF}, Range{0x1F900, 0x1F9FF},
    Range{0x20000, 0x3FFFD},
};

// Combining marks, joiners, variation selectors, bidirectional controls.
constexpr std::array kZero = {
    Range{0x0300, 0x036F}, Range{0x0483, 0x0489}, Range{0x0591, 0x05BD}, Range{0x0610, 0x061A},
    Range{0x064B, 0x065F}, Range{0x1AB0, 0x1AFF}, Range{0x1DC0, 0x1DFF}, Range{0x200B, 0x200F},
    Range{0x202A, 0x202E}, Range{0x2060, 0x2064}, Range{0x2066, 0x2069}, Range{0x20D0, 0x20FF},
    Range{0xFE00, 0xFE0F}, Range{0xFE20, 0xFE2F}, Range{0xFEFF, 0xFEFF},
};

// What changes how text reads without being seen.
constexpr std::array kInvisible = {
    Range{0x007F, 0x009F}, Range{0x00AD, 0x00AD}, Range{0x061C, 0x061C},
    Range{0x180E, 0x180E}, Range{0x200B, 0x200F}, Range{0x2028, 0x202E},
    Range{0x2060, 0x206F}, Range{0xFEFF, 0xFEFF}, Range{0xFFF9, 0xFFFB},
};

bool contains(const auto& ranges, char32_t c) {
  return std::ranges::any_of(ranges, [c](Range r) { return r.first <= c && c <= r.last; });
}

std::size_t width_of(char32_t c) {
  if (c < 0x20 || contains(kZero, c)) return 0;
  return contains(kWide, c) ? 2 : 1;
}

// The character at the start of `text` and its length in bytes; a broken one is one byte.
std::pair<char32_t, std::size_t> first_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(0);
  std::size_t length = 1;
  char32_t value = lead;
  if (lead >= 0xF0) {
    length = 4;
    value = lead & 0x07u;
  } else if (lead >= 0xE0) {
    length = 3;
    value = lead & 0x0Fu;
  } else if (lead >= 0xC0) {
    length = 2;
    value = lead & 0x1Fu;
  }
  if (length > text.size()) return {U'?', 1};
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0u) != 0x80u) return {U'?', 1};
    value = (value << 6) | (byte(i) & 0x3Fu);
  }
  return {value, length};
}

std::string_view code_of(Tone tone) {
  switch (tone) {
    case Tone::plain:
      return {};
    case Tone::strong:
      return "\x1b[1m";
    case Tone::dim:
      return "\x1b[2m";
    case Tone::good:
      return "\x1b[32m";
    case Tone::warning:
      return "\x1b[33m";
    case Tone::bad:
      return "\x1b[31m";
    case Tone::accent:
      return "\x1b[36m";
  }
  return {};
}

}  // namespace

std::string Style::paint(Tone tone, std::string_view text) const {
  const auto code = code_of(tone);
  if (!color_ || code.empty() || text.empty()) return std::string(text);
  std::string out(code);
  out += text;
  out += "\x1b[0m";
  return out;
}

bool use_color(ColorMode mode, bool no_color, std::string_view term, bool is_terminal) {
  if (mode != ColorMode::automatic) return mode == ColorMode::always;
  return is_terminal && !no_color && term != "dumb";
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const auto [character, length] = first_character(text);
    width += width_of(character);
    text.remove_prefix(length);
  }
  return width;
}

std::string truncate(std::string_view text, std::size_t columns) {
  if (display_width(text) <= columns) return std::string(text);
  if (columns == 0) return {};
  std::string out;
  std::size_t width = 0;
  while (!text.empty()) {
    const auto [character, length] = first_character(text);
    if (width + width_of(character) > columns - 1) break;
    width += width_of(character);
    out += text.substr(0, length);
    text.remove_prefix(length);
  }
  return out + "…";
}

std::string escape_invisible(std::string_view json_text) {
  std::string out;
  while (!json_text.empty()) {
    const auto [character, length] = first_character(json_text);
    if (contains(kInvisible, character)) {
      out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(character));
    } else {
      out += json_text.substr(0, length);
    }
    json_text.remove_prefix(length);
  }
  return out;
}

std::string wrap(std::string_view text, std::size_t columns, std::string_view indent) {
  std::string out;
  std::size_t used = 0;
  while (!text.empty()) {
    const auto space = text.find(' ');
    const auto word = text.substr(0, space);
    text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
    if (word.empty()) continue;
    const auto width = display_width(word);
    if (used == 0) {
      out += indent;
    } else if (used + 1 + width > columns) {
      out += '\n';
      out += indent;
      used = 0;
    } else {
      out += ' ';
      ++used;
    }
    out += word;
    used += width;
  }
  return out;
}

Tone tone_of(std::string_view word) {
  using Pair = std::pair<std::string_view, Tone>;
  static constexpr std::array kTones = {
      Pair{"ok", Tone::good},
      Pair{"allow", Tone::good},
      Pair{"ready", Tone::good},
      Pair{"commit", Tone::good},
      Pair{"read", Tone::dim},
      Pair{"delivered", Tone::dim},
      Pair{"held", Tone::warning},
      Pair{"ask", Tone::warning},
      Pair{"two_step", Tone::warning},
      Pair{"write", Tone::warning},
      Pair{"freeze", Tone::warning},
      Pair{"unknown", Tone::bad},
      Pair{"deny", Tone::bad},
      Pair{"abort", Tone::bad},
      Pair{"aborted", Tone::bad},
      Pair{"failed", Tone::bad},
      Pair{"destructive", Tone::bad},
      Pair{"irreversible", Tone::bad},
      Pair{"halt", Tone::bad},
      Pair{"refused", Tone::bad},
      Pair{"intent", Tone::strong},
      Pair{"in_flight", Tone::accent},
      Pair{"starting", Tone::accent},
      Pair{"attempt", Tone::accent},
      Pair{"settling", Tone::warning},
      Pair{"epoch_elected", Tone::accent},
      Pair{"dead", Tone::bad},
      Pair{"backoff", Tone::warning},
      Pair{"replayed", Tone::accent},
      Pair{"probed", Tone::accent},
      Pair{"task", Tone::accent},
      Pair{"resume", Tone::good},
      Pair{"needs_login", Tone::warning},
  };
  const auto* found = std::ranges::find(kTones, word, &Pair::first);
  return found == kTones.end() ? Tone::plain : found->second;
}

}  // namespace gavel

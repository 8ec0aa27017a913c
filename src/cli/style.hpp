#pragma once
// Colours, and how wide text is on a terminal. A tone says what a piece of text means, not what it
// looks like; with colours off every tone is plain text.

#include <cstddef>
#include <string>
#include <string_view>

namespace gavel {

enum class Tone { plain, strong, dim, good, warning, bad, accent };

enum class ColorMode { automatic, always, never };

class Style {
public:
  explicit Style(bool color) : color_(color) {}
  std::string paint(Tone tone, std::string_view text) const;
  bool has_color() const { return color_; }

private:
  bool color_;
};

// Whether to colour: `mode`, else NO_COLOR (set: no), TERM=dumb, and whether it is a terminal.
bool use_color(ColorMode mode, bool no_color, std::string_view term, bool is_terminal);

// Columns that UTF-8 text takes on a terminal: wide characters two, combining ones none. Escape
// sequences are not understood: measure before painting.
std::size_t display_width(std::string_view text);

// `text` cut to `columns` with "…" where it was cut, never inside a character.
std::string truncate(std::string_view text, std::size_t columns);

// JSON text with the characters that nobody sees (bidirectional controls, zero-width ones, C1
// controls) as \uXXXX, so that what is read is what is there.
std::string escape_invisible(std::string_view json_text);

// `text` in lines of at most `columns`, broken at spaces where it can.
std::string wrap(std::string_view text, std::size_t columns, std::string_view indent);

// The tone of an effect, a phase, a verdict, a health or an entry kind, by its wire name.
Tone tone_of(std::string_view word);

}  // namespace gavel

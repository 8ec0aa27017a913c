#pragma once
// A table for people: columns as wide as their content, aligned by display width; where the
// terminal is narrower, the columns that may shrink are cut with "…". Cell text goes through
// for_display(), so untrusted text cannot move the cursor.

#include <cstddef>
#include <string>
#include <vector>

#include "cli/style.hpp"

namespace gavel {

enum class Align { left, right };
enum class Shrink { never, may };

struct Column {
  std::string title;
  Align align = Align::left;
  Shrink shrink = Shrink::never;
};

struct Cell {
  Cell(std::string its_text, Tone its_tone = Tone::plain)  // NOLINT: text is a cell
      : text(std::move(its_text)), tone(its_tone) {}
  Cell(const char* its_text) : Cell(std::string(its_text)) {}  // NOLINT: text is a cell
  std::string text;
  Tone tone;
};

class Table {
public:
  explicit Table(std::vector<Column> columns);
  // One cell per column.
  void add(std::vector<Cell> row);
  bool empty() const { return rows_.empty(); }
  // Lines with '\n' after each, titles first; at most `columns` wide if shrinking allows it. 0: no
  // limit.
  std::string render(const Style& style, std::size_t columns) const;

private:
  std::vector<std::size_t> widths(std::size_t columns) const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace gavel

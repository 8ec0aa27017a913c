#include "cli/table.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "base/text.hpp"

namespace gavel {
namespace {

constexpr std::size_t kCellBytesMax = 2000;
constexpr std::size_t kGap = 2;
constexpr std::size_t kShrunkMin = 8;

}  // namespace

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

void Table::add(std::vector<Cell> row) {
  ASSERT(row.size() == columns_.size());
  for (auto& cell : row) cell.text = for_display(cell.text, kCellBytesMax);
  rows_.push_back(std::move(row));
}

std::vector<std::size_t> Table::widths(std::size_t columns) const {
  std::vector<std::size_t> widths;
  std::size_t total = 0;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = display_width(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, display_width(row[i].text));
    widths.push_back(width);
    total += width + (i == 0 ? 0 : kGap);
  }
  // The widest column that may shrink gives up one cell at a time until the table fits.
  while (columns != 0 && total > columns) {
    std::size_t widest = columns_.size();
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (columns_[i].shrink == Shrink::never || widths[i] <= kShrunkMin) continue;
      if (widest == columns_.size() || widths[i] > widths[widest]) widest = i;
    }
    if (widest == columns_.size()) break;
    --widths[widest];
    --total;
  }
  return widths;
}

std::string Table::render(const Style& style, std::size_t columns) const {
  const auto wide = widths(columns);
  std::string out;
  const auto add_line = [&](const auto& cell_of) {
    std::string line;
    std::string pending;  // spaces that are written only if something follows
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const Cell cell = cell_of(i);
      const std::string text = truncate(cell.text, wide[i]);
      const std::string padding(wide[i] - std::min(wide[i], display_width(text)), ' ');
      if (i != 0) pending.append(kGap, ' ');
      if (columns_[i].align == Align::right) pending += padding;
      if (!text.empty()) {
        line += std::exchange(pending, {}) + style.paint(cell.tone, text);
      }
      if (columns_[i].align == Align::left) pending += padding;
    }
    out += line;
    out += '\n';
  };
  add_line([&](std::size_t i) { return Cell(columns_[i].title, Tone::dim); });
  for (const auto& row : rows_) {
    add_line([&](std::size_t i) { return row[i]; });
  }
  return out;
}

}  // namespace gavel

// Frames of a stdio server: read whole, in pieces or byte by byte they are the same, none is over
// the limit, and none holds a line's end.
#include <string>
#include <vector>

#include "base/assert.hpp"
#include "bytes.hpp"
#include "protocol/line_framer.hpp"

namespace {

constexpr std::size_t kLineMax = 64;

struct Frames {
  std::vector<std::string> lines;
  std::uint64_t oversized = 0;
  bool operator==(const Frames&) const = default;
};

Frames read_in(std::string_view text, std::size_t step) {
  gavel::LineFramer framer(kLineMax);
  Frames frames;
  while (!text.empty()) {
    framer.feed(text.substr(0, step));
    text.remove_prefix(std::min(step, text.size()));
    while (const auto line = framer.next()) {
      ASSERT(!line->empty() && line->size() <= kLineMax);
      ASSERT(line->find('\n') == std::string_view::npos);
      frames.lines.emplace_back(*line);
    }
    ASSERT(framer.pending() <= kLineMax + step);
  }
  frames.oversized = framer.oversized();
  return frames;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = gavel::fuzz::text_of(data, size);
  const auto whole = read_in(text, std::max<std::size_t>(text.size(), 1));
  ASSERT(read_in(text, 1) == whole);
  ASSERT(read_in(text, 7) == whole);
  return 0;
}

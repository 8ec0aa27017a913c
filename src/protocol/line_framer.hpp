#pragma once
// Newline-delimited frames, as MCP's stdio has them. Bytes are read straight into the framer and
// lines come out as views, without a copy. Memory stays bounded whatever arrives: a line over the
// limit is dropped up to its end and counted.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace gavel {

class LineFramer {
public:
  explicit LineFramer(std::size_t max_line_bytes) : max_line_bytes_(max_line_bytes) {}

  // Room for at least `bytes`; write there, then commit what was written. Ends the life of lines
  // that next() returned.
  std::span<char> prepare(std::size_t bytes);
  void commit(std::size_t bytes);
  // prepare, copy and commit.
  void feed(std::string_view bytes);

  // The next whole line, without its newline (and without the "\r" before it); empty lines are
  // skipped. Valid until prepare or feed.
  std::optional<std::string_view> next();

  // Lines that were dropped for their length, counted when the limit was passed.
  std::uint64_t oversized() const { return oversized_; }
  // Bytes of the line that is not complete yet.
  std::size_t pending() const { return end_ - begin_; }

private:
  std::size_t max_line_bytes_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;    // of what was not returned yet
  std::size_t scanned_ = 0;  // no newline in [begin_, scanned_)
  std::size_t end_ = 0;
  bool dropping_ = false;  // inside a line that is too long
  std::uint64_t oversized_ = 0;
};

}  // namespace gavel

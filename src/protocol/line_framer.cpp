#include "protocol/line_framer.hpp"

#include <algorithm>
#include <cstring>

#include "base/assert.hpp"

namespace gavel {
namespace {

// A buffer that one huge line made is given back once it is empty.
constexpr std::size_t kBufferKeptMax = 1u << 20;

}  // namespace

std::span<char> LineFramer::prepare(std::size_t bytes) {
  if (begin_ == end_) {
    begin_ = scanned_ = end_ = 0;
    if (buffer_.size() > kBufferKeptMax) {
      buffer_.clear();
      buffer_.shrink_to_fit();
    }
  }
  if (buffer_.size() - end_ < bytes && begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    scanned_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() - end_ < bytes) {
    buffer_.resize(std::max(end_ + bytes, buffer_.size() + buffer_.size() / 2));
  }
  return {buffer_.data() + end_, buffer_.size() - end_};
}

void LineFramer::commit(std::size_t bytes) {
  ASSERT(bytes <= buffer_.size() - end_);
  end_ += bytes;
}

void LineFramer::feed(std::string_view bytes) {
  const auto room = prepare(bytes.size());
  std::copy(bytes.begin(), bytes.end(), room.begin());
  commit(bytes.size());
}

std::optional<std::string_view> LineFramer::next() {
  while (scanned_ < end_) {
    const char* from = buffer_.data() + scanned_;
    const auto* newline = static_cast<const char*>(std::memchr(from, '\n', end_ - scanned_));
    const std::size_t line_end =
        newline == nullptr ? end_ : static_cast<std::size_t>(newline - buffer_.data());
    if (!dropping_ && line_end - begin_ > max_line_bytes_) {
      dropping_ = true;
      ++oversized_;
    }
    if (newline == nullptr) {
      scanned_ = end_;
      if (dropping_) begin_ = end_;
      break;
    }
    std::string_view line(buffer_.data() + begin_, line_end - begin_);
    begin_ = scanned_ = line_end + 1;
    if (dropping_) {
      dropping_ = false;
      continue;
    }
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) return line;
  }
  return std::nullopt;
}

}  // namespace gavel

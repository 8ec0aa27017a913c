#include "protocol/sse.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace gavel {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
// A day: no server means more.
constexpr std::int64_t kRetryMaxMs = 86'400'000;

}  // namespace

Status SseParser::feed(std::string_view bytes) {
  if (failed_) return fail(ErrorCode::too_large, "the event stream was given up");
  while (!bytes.empty()) {
    if (after_return_ && bytes.front() == '\n') bytes.remove_prefix(1);
    after_return_ = false;
    const std::size_t end = bytes.find_first_of("\r\n");
    const std::string_view piece = bytes.substr(0, end);
    if (line_.size() + piece.size() > limits_.max_line_bytes) {
      failed_ = true;
      return fail(ErrorCode::too_large, fmt::format("a line of the event stream is over {} bytes",
                                                    limits_.max_line_bytes));
    }
    if (end == std::string_view::npos) {
      line_ += piece;
      return {};
    }
    Status taken;
    if (line_.empty()) {
      taken = take_line(piece);
    } else {
      line_ += piece;
      taken = take_line(line_);
      line_.clear();
    }
    if (!taken) {
      failed_ = true;
      return taken;
    }
    after_return_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
  }
  return {};
}

Status SseParser::take_line(std::string_view line) {
  if (!started_) {
    started_ = true;
    if (line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
  }
  if (line.empty()) {
    dispatch();
    return {};
  }
  const std::size_t colon = line.find(':');
  if (colon == 0) {
    ++comments_;
    return {};
  }
  const std::string_view name = line.substr(0, colon);
  std::string_view value;
  if (colon != std::string_view::npos) {
    value = line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
  }
  if (name == "data" && data_.size() + value.size() > limits_.max_event_bytes) {
    return fail(ErrorCode::too_large,
                fmt::format("an event of the stream is over {} bytes", limits_.max_event_bytes));
  }
  field(name, value);
  return {};
}

void SseParser::field(std::string_view name, std::string_view value) {
  if (name == "data") {
    if (has_data_) data_ += '\n';
    data_ += value;
    has_data_ = true;
  } else if (name == "event") {
    type_ = value;
  } else if (name == "id") {
    if (value.find('\0') == std::string_view::npos) last_id_ = value;
  } else if (name == "retry") {
    std::int64_t ms = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), ms);
    if (error == std::errc{} && end == value.data() + value.size() && ms >= 0) {
      retry_ = std::chrono::milliseconds(std::min(ms, kRetryMaxMs));
    }
  }
}

void SseParser::dispatch() {
  if (has_data_) {
    ready_.push_back({type_.empty() ? "message" : std::move(type_), std::move(data_), last_id_});
  }
  type_.clear();
  data_.clear();
  has_data_ = false;
}

std::optional<SseEvent> SseParser::next() {
  if (ready_.empty()) return std::nullopt;
  SseEvent event = std::move(ready_.front());
  ready_.pop_front();
  return event;
}

std::string sse_event(std::string_view data, std::string_view type, std::string_view id) {
  std::string out;
  out.reserve(data.size() + type.size() + id.size() + 32);
  if (!type.empty()) out.append("event: ").append(type).append("\n");
  if (!id.empty()) out.append("id: ").append(id).append("\n");
  for (;;) {
    const std::size_t end = data.find_first_of("\r\n");
    out.append("data: ").append(data.substr(0, end)).append("\n");
    if (end == std::string_view::npos) break;
    const bool pair = data[end] == '\r' && data.substr(end + 1).starts_with('\n');
    data.remove_prefix(end + (pair ? 2 : 1));
  }
  return out += '\n';
}

std::string sse_comment(std::string_view text) {
  std::string out = text.empty() ? ":" : fmt::format(": {}", text);
  std::replace_if(out.begin(), out.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return out += "\n\n";
}

}  // namespace gavel

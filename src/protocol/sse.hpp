#pragma once
// Server-sent events (the event stream of HTML): a parser that takes bytes as they come, in pieces
// of any size, and a writer. The parser is bounded: a line or an event over its limit ends it.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace gavel {

struct SseEvent {
  std::string type;  // "message" where the stream does not say
  std::string data;
  std::string id;  // the last id that the stream gave, of this event or an earlier one
};

struct SseLimits {
  std::size_t max_line_bytes = 16u << 20;
  std::size_t max_event_bytes = 16u << 20;
};

class SseParser {
public:
  explicit SseParser(SseLimits limits = {}) : limits_(limits) {}

  // too_large once a limit is passed; from then on every feed fails.
  Status feed(std::string_view bytes);
  // The next complete event. An event that the stream did not finish is never returned.
  std::optional<SseEvent> next();

  // The reconnection time that the stream asked for.
  std::optional<std::chrono::milliseconds> retry() const { return retry_; }
  const std::string& last_event_id() const { return last_id_; }
  // Comment lines seen: a sign of life on a quiet stream.
  std::uint64_t comments() const { return comments_; }

private:
  Status take_line(std::string_view line);
  void field(std::string_view name, std::string_view value);
  void dispatch();

  SseLimits limits_;
  std::string line_;           // the line that is not complete yet
  bool after_return_ = false;  // the last byte was CR: a LF right after it belongs to it
  bool started_ = false;       // the first line was seen: no byte order mark after it
  bool failed_ = false;
  std::string type_;
  std::string data_;
  bool has_data_ = false;
  std::string last_id_;
  std::optional<std::chrono::milliseconds> retry_;
  std::uint64_t comments_ = 0;
  std::deque<SseEvent> ready_;
};

// One event as bytes. An empty type or id is left out; data is split into lines.
std::string sse_event(std::string_view data, std::string_view type = {}, std::string_view id = {});
// A comment: keeps a quiet stream open.
std::string sse_comment(std::string_view text = {});

}  // namespace gavel

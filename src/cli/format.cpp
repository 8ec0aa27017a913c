#include "cli/format.hpp"

#include <fmt/format.h>

#include <charconv>
#include <chrono>

namespace gavel {

std::string span_text(Duration span) {
  const auto ms = span.count();
  if (ms < 0) return "-" + span_text(-span);
  if (ms < 1000) return fmt::format("{}ms", ms);
  if (ms < 60'000) return fmt::format("{}.{}s", ms / 1000, ms % 1000 / 100);
  const auto seconds = ms / 1000;
  if (seconds < 3600) return fmt::format("{}m {:02}s", seconds / 60, seconds % 60);
  if (seconds < 86'400) return fmt::format("{}h {:02}m", seconds / 3600, seconds % 3600 / 60);
  return fmt::format("{}d {}h", seconds / 86'400, seconds % 86'400 / 3600);
}

std::string relative_text(Timestamp then, Timestamp now) {
  if (then.ms == 0) return "-";
  const auto ms = (now - then).count();
  const auto coarse = [](std::int64_t span_ms) {
    const auto seconds = span_ms / 1000;
    if (seconds < 60) return fmt::format("{}s", seconds);
    if (seconds < 3600) return fmt::format("{}m", seconds / 60);
    if (seconds < 86'400) return fmt::format("{}h", seconds / 3600);
    return fmt::format("{}d", seconds / 86'400);
  };
  if (ms > -1000 && ms < 1000) return "just now";
  return ms > 0 ? coarse(ms) + " ago" : "in " + coarse(-ms);
}

std::string bytes_text(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  constexpr std::string_view kUnits = "KMGTPE";
  std::uint64_t tenths = bytes * 10 / 1024;
  std::size_t unit = 0;
  while (tenths >= 10'240 && unit + 1 < kUnits.size()) {
    tenths /= 1024;
    ++unit;
  }
  return fmt::format("{}.{} {}iB", tenths / 10, tenths % 10, kUnits[unit]);
}

namespace {

// Reads exactly `digits` digits off the front of `text`.
bool take_number(std::string_view& text, std::size_t digits, int& value) {
  if (text.size() < digits) return false;
  const auto* end = text.data() + digits;
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end || value < 0) return false;
  text.remove_prefix(digits);
  return true;
}

bool take(std::string_view& text, char expected) {
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::optional<Timestamp> parse_iso8601(std::string_view text) {
  namespace ch = std::chrono;
  int year = 0;
  int month = 0;
  int day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
  const bool shaped = take_number(text, 4, year) && take(text, '-') &&
                      take_number(text, 2, month) && take(text, '-') && take_number(text, 2, day) &&
                      take(text, 'T') && take_number(text, 2, hour) && take(text, ':') &&
                      take_number(text, 2, minute) && take(text, ':') &&
                      take_number(text, 2, second);
  if (!shaped || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  int ms = 0;
  if (take(text, '.') && !take_number(text, 3, ms)) return std::nullopt;
  if (text != "Z") return std::nullopt;
  const ch::year_month_day date{ch::year{year}, ch::month{static_cast<unsigned>(month)},
                                ch::day{static_cast<unsigned>(day)}};
  if (!date.ok()) return std::nullopt;
  const auto since = ch::sys_days{date}.time_since_epoch() + ch::hours{hour} + ch::minutes{minute} +
                     ch::seconds{second} + ch::milliseconds{ms};
  return Timestamp{ch::duration_cast<ch::milliseconds>(since).count()};
}

std::string clock_text(Timestamp at) {
  constexpr std::int64_t kDay = 86'400'000;
  const auto ms = ((at.ms % kDay) + kDay) % kDay;
  return fmt::format("{:02}:{:02}:{:02}.{:03}", ms / 3'600'000, ms / 60'000 % 60, ms / 1000 % 60,
                     ms % 1000);
}

std::string count_text(std::uint64_t count, std::string_view thing) {
  return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

}  // namespace gavel

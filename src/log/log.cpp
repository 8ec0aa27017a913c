#include "log/log.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace gavel {
namespace {

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("._/@:-").find(c) != std::string_view::npos;
}

}  // namespace

Status check_log_name(const LogId& log) {
  if (log.value.empty()) return fail(ErrorCode::invalid_argument, "a log's name is empty");
  if (log.value.size() > kLogNameMax) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("a log's name has {} bytes; the limit is {}", log.value.size(), kLogNameMax));
  }
  if (!std::all_of(log.value.begin(), log.value.end(), is_name_character)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("\"{}\" is no log name: use letters, digits and . _ / @ : -",
                            for_display(log.value, 80)));
  }
  return {};
}

}  // namespace gavel

#include "cli/watch_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/text.hpp"
#include "cli/entry_text.hpp"
#include "cli/format.hpp"
#include "cli/session_text.hpp"

namespace gavel {
namespace {

// Splits into lines without their '\n'.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const auto end = text.find('\n');
    out.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return out;
}

// The table's lines, at most `rows`, the last saying how many are missing.
std::string clipped(const std::string& table, std::size_t rows, const Style& style) {
  const auto lines = lines_of(table);
  std::string out;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i + 1 >= rows && lines.size() > rows) {
      return out + style.paint(Tone::dim, fmt::format("… {} more", lines.size() - i)) + "\n";
    }
    out += lines[i];
    out += '\n';
  }
  return out;
}

std::string halts_line(const json::array& halts, const Style& style, std::size_t columns) {
  std::string out;
  for (const auto& halt : halts) {
    const auto mode = string_or(halt, "mode");
    const auto line = fmt::format("{} {} by {}: {}", string_or(halt, "scope"),
                                  mode == "halt" ? "HALTED" : "FROZEN", string_or(halt, "by"),
                                  string_or(halt, "reason"));
    out += style.paint(Tone::bad, truncate(for_display(line, 500), columns)) + "\n";
  }
  return out;
}

}  // namespace

std::string watch_screen(const WatchState& state, Timestamp now, const Style& style,
                         const TerminalSize& size) {
  constexpr std::size_t kHead = 2;  // the title and an empty line
  std::string out = style.paint(
      Tone::strong, truncate(fmt::format("gavel  {}  {}  {}  {} UTC", state.url,
                                         count_text(state.sessions.size(), "session"),
                                         fmt::format("{} waiting", state.pending.size()),
                                         clock_text(now).substr(0, 8)),
                             size.columns));
  out += "\n";
  out += halts_line(state.halts, style, size.columns);
  std::size_t left =
      size.rows > kHead + state.halts.size() + 2 ? size.rows - kHead - state.halts.size() - 1 : 2;
  if (!state.pending.empty()) {
    const auto rows = std::min(state.pending.size() + 1, std::max<std::size_t>(left / 2, 2));
    out +=
        "\n" + clipped(pending_table(state.pending, now).render(style, size.columns), rows, style);
    left = left > rows + 1 ? left - rows - 1 : 1;
  }
  if (!state.sessions.empty()) {
    out += "\n" +
           clipped(sessions_table(state.sessions, now).render(style, size.columns), left, style);
  }
  return out;
}

void OpenCalls::add(const json::value& entry) {
  const auto intent = intent_of(entry);
  const auto kind = string_or(entry, "kind");
  const auto at = time_of(entry, "at");
  if (kind == "intent") {
    open_[intent] = {for_display(string_or(entry, "tool"), 60), "proposed", at};
    return;
  }
  const auto found = open_.find(intent);
  if (found == open_.end()) return;
  auto& call = found->second;
  if (kind == "held") {
    call.phase = "held";
    call.since = at;
  } else if (kind == "attempt") {
    call.phase = "running";
    call.since = at;
  } else if (kind == "decision" && string_or(entry, "ruling") == "abort") {
    open_.erase(found);
  } else if (kind == "outcome") {
    if (string_or(entry, "outcome") == "unknown") {
      call.phase = "unknown";
      call.since = at;
    } else {
      open_.erase(found);
    }
  }
}

std::string OpenCalls::text(Timestamp now) const {
  std::string out;
  for (const auto& [intent, call] : open_) {
    out += fmt::format("{}#{} {} {} {}", out.empty() ? "" : " · ", intent, call.tool, call.phase,
                       span_text(std::max(now - call.since, Duration{0})));
  }
  return out;
}

}  // namespace gavel

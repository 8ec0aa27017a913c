#pragma once
// What the live view shows. Pure: the daemon's answers, the time and the terminal's size in, text
// out.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "base/json.hpp"
#include "cli/style.hpp"
#include "cli/world.hpp"

namespace gavel {

struct WatchState {
  std::string url;
  json::array sessions = {};
  json::array pending = {};
  json::array halts = {};
};

// Everything at a glance, at most as tall and wide as the terminal.
std::string watch_screen(const WatchState& state, Timestamp now, const Style& style,
                         const TerminalSize& size);

// The calls of one session that have no final answer yet, from its entries in order.
class OpenCalls {
public:
  void add(const json::value& entry);
  // "#17 pg__execute held 12.3s · #19 pg__query running 0.4s", or empty.
  std::string text(Timestamp now) const;

private:
  struct Call {
    std::string tool;
    std::string_view phase;
    Timestamp since;
  };
  std::map<std::int64_t, Call> open_;
};

}  // namespace gavel

// gavel watch: what happens, as it happens.

#include <fmt/format.h>

#include <memory>
#include <thread>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/entry_text.hpp"
#include "cli/log_pages.hpp"
#include "cli/watch_view.hpp"

namespace gavel {
namespace {

struct WatchOptions {
  std::string session;
  std::uint64_t from = 0;
};

constexpr std::chrono::milliseconds kRedrawEvery{500};
constexpr std::chrono::seconds kReconnectAfter{1};
constexpr int kReconnectsMax = 60;
constexpr std::uint64_t kEarlierEntries = 10;

// Gives events until `on_event` fails, reconnecting where the stream is lost; `on_idle` runs at
// least every kRedrawEvery. `on_open` runs once a stream is open: it tells what happens from then
// on. The first connection must succeed.
template <typename OnOpen, typename OnEvent, typename OnIdle>
Status follow(Context& context, const Client& client, const std::string& target, OnOpen on_open,
              OnEvent on_event, OnIdle on_idle) {
  std::string last_id;
  ASSIGN_OR_RETURN(auto stream, client.events(target, last_id));
  on_open();
  int failures = 0;
  for (;;) {
    auto event = stream.next(deadline_in(kRedrawEvery));
    if (event && *event) {
      failures = 0;
      if (!(*event)->id.empty()) last_id = (*event)->id;
      TRY(on_event((*event)->data));
      continue;
    }
    const bool idle = !event && event.error().code == ErrorCode::timeout;
    if (idle) {
      TRY(on_idle());
      continue;
    }
    if (!event && event.error().code != ErrorCode::unavailable) {
      return std::unexpected(event.error());
    }
    for (;;) {
      if (++failures > kReconnectsMax) {
        return fail(ErrorCode::unavailable, "the daemon went away and did not come back");
      }
      if (failures == 1) context.note("gavel: the daemon went away; waiting for it");
      std::this_thread::sleep_for(kReconnectAfter);
      auto again = client.events(target, last_id);
      if (!again && again.error().code != ErrorCode::unavailable) {
        return std::unexpected(again.error());
      }
      if (again) {
        stream = std::move(*again);
        on_open();
        break;
      }
    }
  }
}

Result<WatchState> fetch(const Client& client) {
  WatchState state;
  state.url = client.url();
  ASSIGN_OR_RETURN(const auto sessions, client.get("/v1/sessions?limit=200"));
  ASSIGN_OR_RETURN(const auto pending, client.get("/v1/pending"));
  ASSIGN_OR_RETURN(const auto halts, client.get("/v1/halts"));
  const auto list = [](const json::value& answer, std::string_view key) {
    const auto* found = find_array(answer, key);
    return found == nullptr ? json::array{} : *found;
  };
  state.sessions = list(sessions, "sessions");
  state.pending = list(pending, "pending");
  state.halts = list(halts, "halts");
  return state;
}

// Over what stands there: no flicker, as nothing is cleared that is not written anew.
std::string redrawn(const std::string& screen) {
  std::string out = "\x1b[H";
  for (const char c : screen) {
    if (c == '\n') out += "\x1b[K";
    out += c;
  }
  return out + "\x1b[J";
}

Result<int> watch_everything(Context& context, const Client& client) {
  if (context.json() || !context.world().out_is_terminal) {
    TRY(follow(
        context, client, "/v1/watch", [] {},
        [&](const std::string& data) -> Status {
          if (context.json()) {
            context.print(data + "\n");
          } else if (const auto value = parse_json(data)) {
            context.print(fmt::format("{}  entry {}\n",
                                      for_display(string_or(*value, "session"), 300),
                                      int_or(*value, "tail", 0)));
          }
          context.world().out.flush();
          return {};
        },
        [] { return Status{}; }));
    return kExitOk;
  }
  ASSIGN_OR_RETURN(auto state, fetch(client));
  bool stale = false;
  const auto draw = [&]() -> Status {
    if (std::exchange(stale, false)) {
      ASSIGN_OR_RETURN(state, fetch(client));
    }
    context.print(redrawn(
        watch_screen(state, context.now(), context.style(), context.world().terminal_size())));
    context.world().out.flush();
    return {};
  };
  context.print("\x1b[2J");
  TRY(draw());
  Timestamp drawn = context.now();
  TRY(follow(
      context, client, "/v1/watch", [&] { stale = true; },
      [&](const std::string&) -> Status {
        stale = true;
        // A busy daemon is not asked more often than people can read.
        if (context.now() - drawn < kRedrawEvery) return {};
        drawn = context.now();
        return draw();
      },
      [&]() -> Status {
        drawn = context.now();
        return draw();
      }));
  return kExitOk;
}

Result<int> watch_session(Context& context, const Client& client, const WatchOptions& options) {
  std::uint64_t from = options.from;
  if (from == 0) {
    ASSIGN_OR_RETURN(const auto tail, tail_of(client, options.session));
    from = tail > kEarlierEntries ? tail - kEarlierEntries + 1 : 1;
  }
  const bool live = context.world().out_is_terminal && !context.json();
  const auto style = context.style();
  OpenCalls calls;
  bool status_shown = false;
  const auto erase_status = [&] {
    if (std::exchange(status_shown, false)) context.print("\r\x1b[K");
  };
  const auto show_status = [&]() -> Status {
    if (!live) return {};
    erase_status();
    const auto text = calls.text(context.now());
    if (!text.empty()) {
      const auto columns = context.columns();
      context.print(style.paint(Tone::accent, truncate(text, columns > 1 ? columns - 1 : 1)));
      status_shown = true;
    }
    context.world().out.flush();
    return {};
  };
  if (!context.json()) context.print(entry_line_titles(style));
  TRY(follow(
      context, client,
      fmt::format("/v1/sessions/{}/watch?from={}", percent_encode(options.session), from), [] {},
      [&](const std::string& data) -> Status {
        if (context.json()) {
          context.print(data + "\n");
          context.world().out.flush();
          return {};
        }
        const auto entry = parse_json(data);
        if (!entry) return {};
        erase_status();
        calls.add(*entry);
        context.print(entry_line(*entry, style, context.columns()));
        if (!live) context.world().out.flush();
        return show_status();
      },
      show_status));
  return kExitOk;
}

Result<int> run_watch(Context& context, const WatchOptions& options) {
  ASSIGN_OR_RETURN(const auto client, context.client());
  if (options.session.empty()) return watch_everything(context, client);
  return watch_session(context, client, options);
}

}  // namespace

Command watch_command() {
  auto options = std::make_shared<WatchOptions>();
  Command command("watch", "watch all sessions, or one session's entries, as they happen");
  command.description = "Ends with Ctrl-C. With --json, one JSON object per line.";
  command.argument("SESSION", options->session, "only this one", Values::session,
                   Presence::optional);
  command.option("--from", "N", options->from,
                 "of one session: begin at this position (the last 10)");
  command.run = [options](Context& context) { return run_watch(context, *options); };
  return command;
}

}  // namespace gavel

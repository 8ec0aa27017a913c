// Streams of server-sent events. A stream sends what is there, waits for more, and says something
// at least every keep_alive, so that a client which is gone is noticed.
#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>

#include "core/codec.hpp"
#include "gateway/api.hpp"
#include "gateway/api_query.hpp"

namespace gavel {
namespace {

constexpr std::size_t kWatchPage = 256;
constexpr std::size_t kWatchedMax = 100'000;

HttpResponse stream_head() {
  HttpResponse head;
  head.content_type = "text/event-stream";
  head.headers = {{"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}};
  return head;
}

// The logs that moved since they were last told of, each with its newest tail.
struct Moved {
  explicit Moved(const asio::any_io_executor& executor) : wake(executor) {}
  std::map<LogId, Position> tails;
  asio::steady_timer wake;
};

}  // namespace

asio::awaitable<void> Api::watch_session(Request& request) {
  auto& exchange = request.exchange;
  const LogId log{request.parameters[0]};
  auto from = query_number(exchange.request().query, "from", 1, 1, UINT64_MAX);
  if (const auto last = exchange.request().header("Last-Event-ID"); last && from) {
    from = parse_number("Last-Event-ID", *last, 0, UINT64_MAX - 1);
    if (from) *from += 1;
  }
  if (!from) {
    co_await answer_error(exchange, from.error());
    co_return;
  }
  if (const auto valid = check_log_name(log); !valid) {
    co_await answer_error(exchange, valid.error());
    co_return;
  }
  Position next{*from};
  bool open = co_await exchange.begin_stream(stream_head());
  exchange.cancel_when_ended();
  auto spoke_at = std::chrono::steady_clock::now();
  while (open && !exchange.ended()) {
    const auto page = co_await harness_.entries(log, next, kWatchPage);
    if (!page) {
      co_await exchange.write(fmt::format("event: error\ndata: {}\n\n", error_json(page.error())));
      break;
    }
    std::string events;
    for (const auto& entry : *page) {
      fmt::format_to(std::back_inserter(events), "id: {}\ndata: {}\n\n", entry.position.value,
                     write_json(to_json(entry)));
      next = entry.position.next();
    }
    const auto now = std::chrono::steady_clock::now();
    if (events.empty() && now - spoke_at >= options_.keep_alive) events = ": keep-alive\n\n";
    if (!events.empty()) {
      spoke_at = now;
      open = co_await exchange.write(std::move(events));
    }
    if (page->size() == kWatchPage) continue;
    const auto moved = co_await harness_.wait_for(
        log, next, std::chrono::steady_clock::now() + options_.stream_step);
    if (!moved) break;
  }
  co_await exchange.end_stream();
}

asio::awaitable<void> Api::watch_all(Request& request) {
  auto& exchange = request.exchange;
  const auto moved = std::make_shared<Moved>(executor_);
  const std::weak_ptr<Moved> weak = moved;
  const auto subscription = harness_.watch([weak](const LogId& log, Position tail) {
    const auto self = weak.lock();
    if (!self || self->tails.size() >= kWatchedMax) return;
    self->tails[log] = tail;
    self->wake.cancel();
  });
  bool open = co_await exchange.begin_stream(stream_head());
  exchange.cancel_when_ended();
  while (open && !exchange.ended()) {
    if (moved->tails.empty()) {
      moved->wake.expires_after(options_.keep_alive);
      co_await moved->wake.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    std::string events;
    for (const auto& [log, tail] : std::exchange(moved->tails, {})) {
      events += fmt::format("data: {}\n\n",
                            write_json(json::object{{"session", log.value}, {"tail", tail.value}}));
    }
    if (exchange.ended()) break;
    open = co_await exchange.write(events.empty() ? ": keep-alive\n\n" : std::move(events));
  }
  co_await exchange.end_stream();
}

}  // namespace gavel

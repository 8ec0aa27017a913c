#pragma once
// Messages on their way to a client that listens: the GET stream of a legacy session, the stream of
// subscriptions/listen, a line connection. Bounded: of a flood only the last ones are kept.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>

namespace gavel {

namespace asio = boost::asio;

class McpOutbox : public std::enable_shared_from_this<McpOutbox> {
public:
  explicit McpOutbox(const asio::any_io_executor& executor) : wake_(executor) {}

  void push(std::string message);
  // The next message, once.
  std::optional<std::string> next();
  // Returns when something is new, at the deadline, or when the waiting coroutine is cancelled.
  asio::awaitable<void> wait_until(std::chrono::steady_clock::time_point deadline);
  // Ends the current wait.
  void wake();

private:
  asio::steady_timer wake_;
  std::deque<std::string> messages_;
  bool news_ = false;
};

inline constexpr std::size_t kOutboxMessagesMax = 256;

}  // namespace gavel

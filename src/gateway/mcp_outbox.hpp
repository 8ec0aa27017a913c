#pragma once
// Messages on their way to a client that listens: the GET stream of a legacy session, the stream of
// subscriptions/listen, a line connection. Bounded: of a flood only the last ones are kept.
//
// They are numbered. One whose reader may come back by another connection also keeps what was
// read, within the same bounds: its successor goes on behind the last message that arrived.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace gavel {

namespace asio = boost::asio;

class McpOutbox : public std::enable_shared_from_this<McpOutbox> {
public:
  enum class Sent { forgotten, kept };
  explicit McpOutbox(const asio::any_io_executor& executor, Sent sent = Sent::forgotten);

  void push(std::string message);
  // The next message, once.
  std::optional<std::string> next();
  // Returns when something is new, at the deadline, or when the waiting coroutine is cancelled.
  asio::awaitable<void> wait_until(std::chrono::steady_clock::time_point deadline);
  // Ends the current wait.
  void wake();

  // Of one that keeps what was sent: names the last message that next() gave, or the place before
  // the first.
  std::string place() const;
  // The same messages for another reader, who goes on behind `place`: what was sent since is sent
  // again, as far as it is kept, and this one gives no more. From a place of another outbox, or
  // without one (empty), only what comes from now on.
  std::shared_ptr<McpOutbox> successor(std::string_view place);

private:
  struct Message {
    std::uint64_t number = 0;
    std::string text;
  };
  asio::steady_timer wake_;
  Sent sent_;
  std::string run_;               // tells places of this outbox from those of others
  std::deque<Message> messages_;  // consecutive numbers
  std::size_t bytes_ = 0;         // of messages_
  std::uint64_t pushed_ = 0;      // the number of the last one
  std::uint64_t read_ = 0;        // of the last one that next() gave
  bool news_ = false;
};

inline constexpr std::size_t kOutboxMessagesMax = 256;
inline constexpr std::size_t kOutboxBytesMax = 64u << 10;  // the last message may be larger

}  // namespace gavel

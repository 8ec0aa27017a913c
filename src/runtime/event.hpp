#pragma once
// Something that coroutines of one executor wait for together, each with a deadline of its own. It
// carries no state: whoever waits looks again at what it waits for.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <vector>

#include "runtime/upstream.hpp"

namespace gavel {

enum class Woken { notified, deadline, cancelled };

class Event {
public:
  explicit Event(asio::any_io_executor executor) : executor_(std::move(executor)) {}
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  // The event must outlive the wait: it belongs to what the waiting coroutine keeps alive.
  asio::awaitable<Woken> wait_until(SteadyTime deadline);
  // Wakes everybody who waits now.
  void notify();

private:
  struct Waiter {
    asio::steady_timer timer;
    bool notified = false;
  };

  asio::any_io_executor executor_;
  std::vector<Waiter*> waiters_;
};

}  // namespace gavel

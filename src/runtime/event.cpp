#include "runtime/event.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace gavel {

asio::awaitable<Woken> Event::wait_until(SteadyTime deadline) {
  struct Registered {
    std::vector<Waiter*>& waiters;
    Waiter* waiter;
    ~Registered() { std::erase(waiters, waiter); }
  };
  Waiter waiter{asio::steady_timer(executor_, deadline)};
  waiters_.push_back(&waiter);
  const Registered registered{waiters_, &waiter};
  const auto [error] = co_await waiter.timer.async_wait(asio::as_tuple(asio::use_awaitable));
  if (waiter.notified) co_return Woken::notified;
  co_return error ? Woken::cancelled : Woken::deadline;
}

void Event::notify() {
  for (Waiter* waiter : std::exchange(waiters_, {})) {
    waiter->notified = true;
    waiter->timer.cancel();
  }
}

}  // namespace gavel

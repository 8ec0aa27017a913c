#pragma once
// A waiter's place in its session, for as long as the coroutine that waits lives.

#include <algorithm>
#include <utility>

#include "runtime/sessions.hpp"

namespace gavel {

// Takes the waiter and its callbacks back, however the waiting coroutine ends.
class WaiterGuard {
public:
  WaiterGuard(Sessions& sessions, LogId session, IntentId intent, Waiter& waiter,
              Callbacks callbacks)
      : sessions_(sessions),
        session_(std::move(session)),
        intent_(intent),
        waiter_(waiter),
        callbacks_(callbacks) {
    if (Session* hot = sessions_.find(session_)) hot->waiters.emplace(intent_, &waiter_);
  }
  ~WaiterGuard() {
    Session* hot = sessions_.find(session_);
    if (hot == nullptr) return;
    const auto [begin, end] = hot->waiters.equal_range(intent_);
    const auto mine = std::find_if(begin, end, [&](const auto& w) { return w.second == &waiter_; });
    if (mine != end) hot->waiters.erase(mine);
    if (callbacks_ == Callbacks::own) hot->contexts.erase(intent_);
  }
  WaiterGuard(const WaiterGuard&) = delete;
  WaiterGuard& operator=(const WaiterGuard&) = delete;

private:
  Sessions& sessions_;
  LogId session_;
  IntentId intent_;
  Waiter& waiter_;
  Callbacks callbacks_;
};

}  // namespace gavel

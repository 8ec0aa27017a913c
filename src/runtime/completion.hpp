#pragma once
// The private helpers by which coroutines of LocalHarness wait: for one append to be durable, for a
// log to grow.

#include <boost/asio/steady_timer.hpp>
#include <optional>

#include "runtime/local_harness.hpp"

namespace gavel {

struct LocalHarness::Completion {
  explicit Completion(const asio::any_io_executor& executor) : wake(executor, SteadyTime::max()) {}
  void complete(Status result) {
    status = std::move(result);
    wake.cancel();
  }
  asio::steady_timer wake;
  std::optional<Status> status;
};

struct LocalHarness::LogWaiter {
  LogWaiter(const asio::any_io_executor& executor, LogId awaited)
      : log(std::move(awaited)), wake(executor) {}
  LogId log;
  asio::steady_timer wake;
};

}  // namespace gavel

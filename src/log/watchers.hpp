#pragma once
// Who watches which log. Engines call advanced() after entries became durable, from any thread; a
// Subscription's destructor waits for a callback that runs on another thread, and may itself run
// inside the callback.

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "log/log.hpp"

namespace gavel {

class Watchers : public std::enable_shared_from_this<Watchers> {
public:
  static std::shared_ptr<Watchers> create();

  std::unique_ptr<Subscription> add(std::optional<LogId> log, OnAdvance on_advance);
  // False: advanced() has nobody to call.
  bool any() const { return count_.load(std::memory_order_relaxed) > 0; }
  void advanced(const LogId& log, Position tail);

private:
  struct Watcher;
  class Handle;
  using List = std::vector<std::shared_ptr<Watcher>>;

  Watchers() = default;
  void remove(const std::shared_ptr<Watcher>& watcher);

  std::atomic<std::size_t> count_{0};
  std::mutex mutex_;
  List of_all_;
  std::unordered_map<LogId, List> of_one_;
};

}  // namespace gavel

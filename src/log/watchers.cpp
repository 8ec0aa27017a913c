#include "log/watchers.hpp"

#include <algorithm>

namespace gavel {

struct Watchers::Watcher {
  std::optional<LogId> log;
  OnAdvance on_advance;
  // Held while the callback runs; recursive, so that the callback may end its own watch.
  std::recursive_mutex running;
  bool cancelled = false;
};

class Watchers::Handle final : public Subscription {
public:
  Handle(std::shared_ptr<Watchers> watchers, std::shared_ptr<Watcher> watcher)
      : watchers_(std::move(watchers)), watcher_(std::move(watcher)) {}
  ~Handle() override {
    watchers_->remove(watcher_);
    const std::lock_guard lock(watcher_->running);
    watcher_->cancelled = true;
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

private:
  std::shared_ptr<Watchers> watchers_;
  std::shared_ptr<Watcher> watcher_;
};

std::shared_ptr<Watchers> Watchers::create() {
  return std::shared_ptr<Watchers>(new Watchers);
}

std::unique_ptr<Subscription> Watchers::add(std::optional<LogId> log, OnAdvance on_advance) {
  auto watcher = std::make_shared<Watcher>();
  watcher->log = std::move(log);
  watcher->on_advance = std::move(on_advance);
  const std::lock_guard lock(mutex_);
  (watcher->log ? of_one_[*watcher->log] : of_all_).push_back(watcher);
  count_.fetch_add(1, std::memory_order_relaxed);
  return std::make_unique<Handle>(shared_from_this(), std::move(watcher));
}

void Watchers::remove(const std::shared_ptr<Watcher>& watcher) {
  const std::lock_guard lock(mutex_);
  count_.fetch_sub(1, std::memory_order_relaxed);
  if (!watcher->log) {
    std::erase(of_all_, watcher);
    return;
  }
  const auto found = of_one_.find(*watcher->log);
  std::erase(found->second, watcher);
  if (found->second.empty()) of_one_.erase(found);
}

void Watchers::advanced(const LogId& log, Position tail) {
  List callees;
  {
    const std::lock_guard lock(mutex_);
    callees = of_all_;
    const auto found = of_one_.find(log);
    if (found != of_one_.end()) {
      callees.insert(callees.end(), found->second.begin(), found->second.end());
    }
  }
  for (const auto& callee : callees) {
    const std::lock_guard lock(callee->running);
    if (!callee->cancelled) callee->on_advance(log, tail);
  }
}

}  // namespace gavel

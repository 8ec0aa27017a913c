#include "runtime/inbox.hpp"

#include <boost/asio/post.hpp>
#include <mutex>
#include <utility>
#include <vector>

namespace gavel {

struct Inbox::Slot::State {
  explicit State(asio::any_io_executor on) : executor(std::move(on)) {}

  const asio::any_io_executor executor;
  std::mutex mutex;
  std::vector<Work> waiting;  // guarded by mutex, like `closed`
  bool closed = false;
  std::vector<Work> running;  // the executor's; its capacity is what is kept between turns

  void drain() {
    {
      const std::lock_guard lock(mutex);
      if (closed) return;
      running.swap(waiting);
    }
    for (auto& work : running) {
      work();
      work = nullptr;
      if (closed) return;  // set by this thread only
    }
    running.clear();
  }
};

Inbox::Inbox(asio::any_io_executor executor)
    : slot_(std::make_shared<Slot::State>(std::move(executor))) {}

Inbox::~Inbox() {
  std::vector<Work> dropped;
  const std::lock_guard lock(slot_.state_->mutex);
  slot_.state_->closed = true;
  dropped.swap(slot_.state_->waiting);
}

void Inbox::Slot::push(Work work) const {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->closed) return;
    state_->waiting.push_back(std::move(work));
    if (state_->waiting.size() > 1) return;
  }
  asio::post(state_->executor, [state = state_] { state->drain(); });
}

}  // namespace gavel

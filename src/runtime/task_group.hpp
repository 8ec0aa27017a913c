#pragma once
// A task group owns the coroutines that somebody starts without waiting for them. Each has a name;
// one that ends with an exception is logged under it; all are cancelled when the group is closed or
// destroyed.
//
// Thread rule: one executor.

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/upstream.hpp"

namespace gavel {

class TaskGroup {
public:
  // `on_failure` gets a line for the operator's log; it may be empty.
  TaskGroup(asio::any_io_executor executor, std::function<void(std::string_view)> on_failure);
  // Cancels what still runs and does not wait for it: tasks own what they use.
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  // After close() or cancel() nothing starts any more.
  void spawn(std::string name, asio::awaitable<void> task);
  void cancel();
  // Cancels and waits until every task has ended.
  asio::awaitable<void> close();

  std::size_t size() const;

private:
  struct State;
  static asio::awaitable<void> wait_until_empty(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
};

}  // namespace gavel

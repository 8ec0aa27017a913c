#include "runtime/task_group.hpp"

#include <fmt/format.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>
#include <map>

#include "runtime/event.hpp"

namespace gavel {
namespace {

// What to say of a task's end; empty where it ended well or was cancelled.
std::string failure_of(const std::exception_ptr& failure) {
  if (!failure) return {};
  try {
    std::rethrow_exception(failure);
  } catch (const boost::system::system_error& error) {
    return error.code() == asio::error::operation_aborted ? std::string() : error.what();
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an exception of unknown type";
  }
}

}  // namespace

struct TaskGroup::State {
  State(const asio::any_io_executor& on, std::function<void(std::string_view)> log)
      : executor(on), on_failure(std::move(log)), emptied(on) {}

  void ended(std::uint64_t id, const std::string& name, const std::exception_ptr& failure) {
    const std::string why = failure_of(failure);
    if (!why.empty() && on_failure) on_failure(fmt::format("task {} failed: {}", name, why));
    tasks.erase(id);
    if (tasks.empty()) emptied.notify();
  }

  void cancel() {
    closed = true;
    // An emission may end a task, which erases it: the signals are held here meanwhile.
    std::vector<std::shared_ptr<asio::cancellation_signal>> signals;
    for (const auto& [id, signal] : tasks) signals.push_back(signal);
    for (const auto& signal : signals) signal->emit(asio::cancellation_type::terminal);
    // Asio carries an emission from outside the executor over by a handler that refers to the
    // signal, even where its task ends first.
    asio::post(executor, [signals = std::move(signals)] {});
  }

  asio::any_io_executor executor;
  std::function<void(std::string_view)> on_failure;
  Event emptied;
  std::map<std::uint64_t, std::shared_ptr<asio::cancellation_signal>> tasks;
  std::uint64_t next_id = 1;
  bool closed = false;
};

TaskGroup::TaskGroup(asio::any_io_executor executor,
                     std::function<void(std::string_view)> on_failure)
    : state_(std::make_shared<State>(executor, std::move(on_failure))) {}

TaskGroup::~TaskGroup() {
  state_->on_failure = nullptr;
  state_->cancel();
}

void TaskGroup::spawn(std::string name, asio::awaitable<void> task) {
  if (state_->closed) return;
  const std::uint64_t id = state_->next_id++;
  auto signal = std::make_shared<asio::cancellation_signal>();
  state_->tasks[id] = signal;
  // `signal` is kept in the handler too: its slot must outlive the coroutine.
  asio::co_spawn(
      state_->executor, std::move(task),
      asio::bind_cancellation_slot(signal->slot(), [state = state_, id, name = std::move(name),
                                                    signal](const std::exception_ptr& failure) {
        state->ended(id, name, failure);
      }));
}

void TaskGroup::cancel() {
  state_->cancel();
}

asio::awaitable<void> TaskGroup::wait_until_empty(std::shared_ptr<State> state) {
  while (!state->tasks.empty()) {
    if (co_await state->emptied.wait_until(SteadyTime::max()) == Woken::cancelled) co_return;
  }
}

asio::awaitable<void> TaskGroup::close() {
  state_->cancel();
  return wait_until_empty(state_);
}

std::size_t TaskGroup::size() const {
  return state_->tasks.size();
}

}  // namespace gavel

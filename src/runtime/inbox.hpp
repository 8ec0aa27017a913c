#pragma once
// Work that other threads hand to an executor, in order, with one wake-up for everything that came
// since the last: a group of appends that became durable together costs one post, not one each.

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>

namespace gavel {

namespace asio = boost::asio;

class Inbox {
public:
  using Work = std::move_only_function<void()>;

  explicit Inbox(asio::any_io_executor executor);
  // On the executor's thread. What has not run never will.
  ~Inbox();
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  // The end that other threads hold; it may outlive the inbox.
  class Slot {
  public:
    void push(Work work) const;

  private:
    friend class Inbox;
    struct State;
    explicit Slot(std::shared_ptr<State> state) : state_(std::move(state)) {}
    std::shared_ptr<State> state_;
  };
  const Slot& slot() const { return slot_; }

private:
  Slot slot_;
};

}  // namespace gavel

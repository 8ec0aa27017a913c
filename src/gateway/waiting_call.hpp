#pragma once
// A call of the harness that a gateway waits for. The call runs in a coroutine of its own; the one
// that serves the client takes what happens meanwhile (held, progress) in between, and may stop
// waiting at any time: the action itself goes on, and its outcome is recorded.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "runtime/harness.hpp"

namespace gavel {

class WaitingCall : public std::enable_shared_from_this<WaitingCall> {
public:
  struct Held {
    IntentId intent;
    HoldReason reason = HoldReason::ask;
  };

  // What the upstream said while it worked.
  struct Notice {
    std::string method;  // notifications/progress or notifications/message
    std::string params;  // JSON text
  };

  // `harness` must outlive the call. on_held is replaced, as are those callbacks of the caller's
  // side that are set.
  static std::shared_ptr<WaitingCall> start(const asio::any_io_executor& executor, Harness& harness,
                                            CallRequest request);
  // An action that was asked for before: Harness::collect, again and again until it is finished,
  // or until its caller's patience ends.
  static std::shared_ptr<WaitingCall> start_collecting(const asio::any_io_executor& executor,
                                                       Harness& harness, LogId session,
                                                       IntentId intent, Caller caller,
                                                       CallerSide side,
                                                       SteadyTime patience = SteadyTime::max());
  // A request that one upstream answers by itself: see take_reply().
  static std::shared_ptr<WaitingCall> start_pass(const asio::any_io_executor& executor,
                                                 Harness& harness, std::string server,
                                                 CallRequest request);
  explicit WaitingCall(const asio::any_io_executor& executor);

  // Returns when something is new, at the deadline, or when the waiting coroutine is cancelled.
  asio::awaitable<void> wait_until(SteadyTime deadline);

  bool finished() const { return answer_ || reply_; }
  // The action that it is, once that is known; perhaps before it is durable.
  std::optional<IntentId> intent() const { return intent_; }
  // Once, after finished().
  Result<CallAnswer> take_answer();
  UpstreamReply take_reply();
  // Once, the first time it is held.
  std::optional<Held> take_held();
  // What the tool said, in order, each once; of a flood only the last ones.
  std::optional<Notice> next_notice();
  // What the server asked, each once.
  std::optional<UpstreamQuestion> next_question();
  // Whether anything ever was new.
  bool has_news() const { return news_; }
  // Called whenever something is new; replaces the one before.
  void on_news(std::function<void()> callback) { on_news_ = std::move(callback); }

  // While the client is asked something, patience does not end the call.
  void park() { parked_ = true; }
  void unpark() { parked_ = false; }

  // Ends the current wait.
  void notify();
  // Nobody waits any more.
  void abandon();

private:
  using Listener = std::function<void(std::string_view params)>;
  Listener listener(std::string_view method);
  void hear(CallerSide& side);
  static asio::awaitable<void> run(std::shared_ptr<WaitingCall> self, Harness& harness,
                                   CallRequest request);
  static asio::awaitable<void> run_collecting(std::shared_ptr<WaitingCall> self, Harness& harness,
                                              LogId session, IntentId intent, Caller caller,
                                              CallerSide side, SteadyTime patience);
  static asio::awaitable<void> run_pass(std::shared_ptr<WaitingCall> self, Harness& harness,
                                        std::string server, CallRequest request);

  asio::steady_timer wake_;
  asio::cancellation_signal cancel_;
  std::optional<Result<CallAnswer>> answer_;
  std::optional<IntentId> intent_;
  std::optional<Held> held_;
  std::optional<UpstreamReply> reply_;
  std::deque<Notice> notices_;
  std::deque<UpstreamQuestion> questions_;
  std::function<void()> on_news_;
  bool parked_ = false;
  bool news_ = false;
  bool abandoned_ = false;
};

// Abandons the call when the waiting coroutine ends, however it does.
class CallGuard {
public:
  explicit CallGuard(std::shared_ptr<WaitingCall> call) : call_(std::move(call)) {}
  ~CallGuard() {
    if (call_) call_->abandon();
  }
  // It goes on without this.
  void release() { call_.reset(); }
  CallGuard(const CallGuard&) = delete;
  CallGuard& operator=(const CallGuard&) = delete;

private:
  std::shared_ptr<WaitingCall> call_;
};

}  // namespace gavel

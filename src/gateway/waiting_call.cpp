#include "gateway/waiting_call.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "protocol/jsonrpc.hpp"

namespace gavel {
namespace {

constexpr std::size_t kNoticesMax = 64;
constexpr std::size_t kQuestionsMax = 64;
constexpr std::chrono::minutes kCollectFor{10};

}  // namespace

WaitingCall::WaitingCall(const asio::any_io_executor& executor) : wake_(executor) {}

std::shared_ptr<WaitingCall> WaitingCall::start(const asio::any_io_executor& executor,
                                                Harness& harness, CallRequest request) {
  auto call = std::make_shared<WaitingCall>(executor);
  // The harness may keep the callbacks longer than anybody waits.
  const std::weak_ptr<WaitingCall> weak = call;
  request.on_held = [weak](IntentId intent, HoldReason reason) {
    const auto self = weak.lock();
    if (!self) return;
    self->held_ = Held{intent, reason};
    self->notify();
  };
  request.on_intent = [weak](IntentId intent) {
    if (const auto self = weak.lock()) self->intent_ = intent;
  };
  call->hear(request.side);
  asio::co_spawn(executor, run(call, harness, std::move(request)),
                 asio::bind_cancellation_slot(call->cancel_.slot(), [call](std::exception_ptr) {}));
  return call;
}

std::shared_ptr<WaitingCall> WaitingCall::start_collecting(const asio::any_io_executor& executor,
                                                           Harness& harness, LogId session,
                                                           IntentId intent, Caller caller,
                                                           CallerSide side, SteadyTime patience) {
  auto call = std::make_shared<WaitingCall>(executor);
  call->intent_ = intent;
  call->hear(side);
  asio::co_spawn(executor,
                 run_collecting(call, harness, std::move(session), intent, std::move(caller),
                                std::move(side), patience),
                 asio::bind_cancellation_slot(call->cancel_.slot(), [call](std::exception_ptr) {}));
  return call;
}

asio::awaitable<void> WaitingCall::run_collecting(std::shared_ptr<WaitingCall> self,
                                                  Harness& harness, LogId session, IntentId intent,
                                                  Caller caller, CallerSide side,
                                                  SteadyTime patience) {
  for (;;) {
    const auto until = std::min(patience, std::chrono::steady_clock::now() + kCollectFor);
    auto answer = co_await harness.collect(session, intent, caller, until, side);
    if (self->parked_) patience = std::max(patience, until + kCollectFor);
    if (answer && answer->kind == AnswerKind::pending && until < patience) continue;
    self->answer_ = std::move(answer);
    break;
  }
  self->notify();
}

std::shared_ptr<WaitingCall> WaitingCall::start_pass(const asio::any_io_executor& executor,
                                                     Harness& harness, std::string server,
                                                     CallRequest request) {
  auto call = std::make_shared<WaitingCall>(executor);
  call->hear(request.side);
  asio::co_spawn(executor, run_pass(call, harness, std::move(server), std::move(request)),
                 asio::bind_cancellation_slot(call->cancel_.slot(), [call](std::exception_ptr) {}));
  return call;
}

void WaitingCall::hear(CallerSide& side) {
  if (side.on_progress) side.on_progress = listener("notifications/progress");
  if (side.on_log) side.on_log = listener("notifications/message");
  if (!side.on_question) return;
  side.on_question = [weak = weak_from_this()](UpstreamQuestion question) {
    const auto self = weak.lock();
    if (!self || self->abandoned_ || self->questions_.size() == kQuestionsMax) {
      question.answer({}, rpc_error_object(rpc::kInternalError, "the client no longer waits"));
      return;
    }
    self->questions_.push_back(std::move(question));
    self->notify();
  };
}

WaitingCall::Listener WaitingCall::listener(std::string_view method) {
  return [weak = weak_from_this(), method](std::string_view params) {
    const auto self = weak.lock();
    if (!self) return;
    if (self->notices_.size() == kNoticesMax) self->notices_.pop_front();
    self->notices_.emplace_back(std::string(method), std::string(params));
    self->notify();
  };
}

asio::awaitable<void> WaitingCall::run(std::shared_ptr<WaitingCall> self, Harness& harness,
                                       CallRequest request) {
  const auto patience = request.patience - std::chrono::steady_clock::now();
  try {
    for (;;) {
      auto answer = co_await harness.call(CallRequest(request));
      const bool again = self->parked_ && answer && answer->kind == AnswerKind::pending;
      if (!again) {
        self->answer_ = std::move(answer);
        break;
      }
      // The same call is attached to itself.
      request.patience = std::chrono::steady_clock::now() + patience;
    }
  } catch (const std::exception& error) {
    self->answer_ = fail(ErrorCode::internal, fmt::format("the call failed unexpectedly: {}",
                                                          for_display(error.what(), 500)));
  }
  self->notify();
}

asio::awaitable<void> WaitingCall::run_pass(std::shared_ptr<WaitingCall> self, Harness& harness,
                                            std::string server, CallRequest request) {
  UpstreamReply reply;
  try {
    reply = co_await harness.pass(std::move(server), std::move(request));
  } catch (const std::exception& error) {
    reply.error = {ErrorCode::internal, fmt::format("the request failed unexpectedly: {}",
                                                    for_display(error.what(), 500))};
  }
  self->reply_ = std::move(reply);
  self->notify();
}

void WaitingCall::notify() {
  news_ = true;
  wake_.cancel();
  if (on_news_) on_news_();
}

asio::awaitable<void> WaitingCall::wait_until(SteadyTime deadline) {
  const auto self = shared_from_this();
  if (!news_) {
    wake_.expires_at(deadline);
    co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  news_ = false;
}

Result<CallAnswer> WaitingCall::take_answer() {
  ASSERT(answer_.has_value());
  return std::move(*answer_);
}

UpstreamReply WaitingCall::take_reply() {
  ASSERT(reply_.has_value());
  return std::move(*reply_);
}

std::optional<UpstreamQuestion> WaitingCall::next_question() {
  if (questions_.empty()) return std::nullopt;
  auto first = std::move(questions_.front());
  questions_.pop_front();
  return first;
}

std::optional<WaitingCall::Held> WaitingCall::take_held() {
  return std::exchange(held_, std::nullopt);
}

std::optional<WaitingCall::Notice> WaitingCall::next_notice() {
  if (notices_.empty()) return std::nullopt;
  auto first = std::move(notices_.front());
  notices_.pop_front();
  return first;
}

void WaitingCall::abandon() {
  if (abandoned_ || finished()) return;
  abandoned_ = true;
  for (auto& question : std::exchange(questions_, {})) {
    question.answer({}, rpc_error_object(rpc::kInternalError, "the client no longer waits"));
  }
  cancel_.emit(asio::cancellation_type::terminal);
}

}  // namespace gavel

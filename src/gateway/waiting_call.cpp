#include "gateway/waiting_call.hpp"

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/assert.hpp"
#include "base/text.hpp"

namespace gavel {
namespace {

constexpr std::size_t kNoticesMax = 64;

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
  auto& side = request.side;
  if (side.on_progress) side.on_progress = call->listener("notifications/progress");
  if (side.on_log) side.on_log = call->listener("notifications/message");
  asio::co_spawn(executor, run(call, harness, std::move(request)),
                 asio::bind_cancellation_slot(call->cancel_.slot(), [call](std::exception_ptr) {}));
  return call;
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
  try {
    self->answer_ = co_await harness.call(std::move(request));
  } catch (const std::exception& error) {
    self->answer_ = fail(ErrorCode::internal, fmt::format("the call failed unexpectedly: {}",
                                                          for_display(error.what(), 500)));
  }
  self->notify();
}

void WaitingCall::notify() {
  news_ = true;
  wake_.cancel();
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
  if (abandoned_ || answer_) return;
  abandoned_ = true;
  cancel_.emit(asio::cancellation_type::terminal);
}

}  // namespace gavel

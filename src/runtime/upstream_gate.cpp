#include "runtime/upstream_gate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <deque>

namespace gavel {
namespace {

constexpr std::chrono::milliseconds kRetryAfterMin{100};
constexpr std::chrono::milliseconds kRetryAfterMax{30'000};
// Without a rate nothing tells when a slot falls free.
constexpr std::chrono::milliseconds kRetryAfterUnknown{1'000};

}  // namespace

struct UpstreamGate::State {
  struct Waiter {
    asio::steady_timer timer;
    bool granted = false;
  };

  State(asio::any_io_executor on, const Clock& its_clock, std::string of, Limits with)
      : executor(std::move(on)),
        clock(its_clock),
        name(std::move(of)),
        limits(with),
        tokens(static_cast<double>(with.rate.burst)),
        refilled_at(its_clock.steady()) {}

  bool limited() const { return limits.rate.per_second > 0; }

  void refill() {
    const SteadyTime now = clock.steady();
    const std::chrono::duration<double> passed = now - refilled_at;
    refilled_at = now;
    const auto burst = static_cast<double>(std::max<std::uint64_t>(limits.rate.burst, 1));
    tokens = std::min(burst, tokens + passed.count() * limits.rate.per_second);
  }

  // When a whole token will be there.
  SteadyTime token_at() const {
    const std::chrono::duration<double> missing((1.0 - tokens) / limits.rate.per_second);
    return refilled_at + std::chrono::ceil<std::chrono::microseconds>(missing);
  }

  bool take() {
    if (in_flight >= limits.concurrency_max) return false;
    if (limited()) {
      refill();
      if (tokens < 1.0) return false;
      tokens -= 1.0;
    }
    ++in_flight;
    return true;
  }

  void serve_queue() {
    while (!queue.empty() && take()) {
      Waiter* waiter = queue.front();
      queue.pop_front();
      waiter->granted = true;
      waiter->timer.cancel();
    }
    // The first in line may have another time to wake at than it had further back.
    if (!queue.empty()) queue.front()->timer.cancel();
  }

  void leave() {
    --in_flight;
    serve_queue();
  }

  Refusal refusal(std::string_view why) const {
    auto after = kRetryAfterUnknown;
    if (limited()) {
      const double seconds = static_cast<double>(queue.size() + 1) / limits.rate.per_second;
      after = std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
    }
    after = std::clamp(after, kRetryAfterMin, kRetryAfterMax);
    return {{ErrorCode::busy,
             fmt::format("server \"{}\" is busy: {}; nothing was sent, try again in {} ms", name,
                         why, after.count())},
            after};
  }

  asio::any_io_executor executor;
  const Clock& clock;
  std::string name;
  Limits limits;
  double tokens;
  SteadyTime refilled_at;
  std::uint64_t in_flight = 0;
  std::deque<Waiter*> queue;
};

UpstreamGate::UpstreamGate(asio::any_io_executor executor, const Clock& clock, std::string name,
                           Limits limits)
    : state_(std::make_shared<State>(std::move(executor), clock, std::move(name), limits)) {}

UpstreamGate::Permit::~Permit() {
  if (state_) state_->leave();
}

std::size_t UpstreamGate::in_flight() const {
  return state_->in_flight;
}
std::size_t UpstreamGate::queued() const {
  return state_->queue.size();
}

asio::awaitable<std::expected<UpstreamGate::Permit, UpstreamGate::Refusal>> UpstreamGate::enter(
    SteadyTime deadline) {
  return wait(state_, deadline);
}

asio::awaitable<std::expected<UpstreamGate::Permit, UpstreamGate::Refusal>> UpstreamGate::wait(
    std::shared_ptr<State> state, SteadyTime deadline) {
  if (state->queue.empty() && state->take()) co_return Permit(state);
  if (state->queue.size() >= state->limits.queue_max) {
    co_return std::unexpected(state->refusal(fmt::format("{} requests are in flight and {} wait",
                                                         state->in_flight, state->queue.size())));
  }
  struct Queued {
    State& state;
    State::Waiter& waiter;
    ~Queued() {
      // Whoever gives up lets the next one come forward; one that was served in the same moment
      // gives its slot back.
      if (std::erase(state.queue, &waiter) == 0 && waiter.granted) {
        state.leave();
      } else {
        state.serve_queue();
      }
    }
  };
  State::Waiter waiter{asio::steady_timer(state->executor)};
  state->queue.push_back(&waiter);
  Queued queued{*state, waiter};
  while (!waiter.granted) {
    const bool lacks_token = state->queue.front() == &waiter && state->limited() &&
                             state->in_flight < state->limits.concurrency_max;
    if (state->clock.steady() >= deadline) {
      co_return std::unexpected(state->refusal("no slot fell free before the deadline"));
    }
    waiter.timer.expires_at(lacks_token ? std::min(deadline, state->token_at()) : deadline);
    // A cancelled coroutine throws out of its next co_await.
    co_await waiter.timer.async_wait(asio::as_tuple(asio::use_awaitable));
    if (!waiter.granted) state->serve_queue();
  }
  waiter.granted = false;  // the slot now belongs to the permit
  co_return Permit(state);
}

}  // namespace gavel

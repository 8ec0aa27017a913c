#pragma once
// The gate before an upstream: how many requests may be in flight, how many may wait, how many may
// start per second. Who waits is served in order; who finds the queue full is told at once, and
// when to come back. So a slow server makes its callers busy, not Gavel full.
//
//   enter ─► slot and token free? ─► Permit          (given back when it is destroyed)
//              │ no                     ▲
//              ▼                        │ in order
//            queue (bounded) ───────────┘
//              │ full: busy, retry after a while · deadline: busy

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "policy/policy.hpp"
#include "runtime/clock.hpp"
#include "runtime/upstream.hpp"

namespace gavel {

class UpstreamGate {
  struct State;

public:
  struct Limits {
    std::uint64_t concurrency_max = 16;
    std::uint64_t queue_max = 256;
    RateSpec rate;
  };
  // Why nobody may pass now. Nothing was sent.
  struct Refusal {
    Error error;
    std::chrono::milliseconds retry_after{0};
  };

  class Permit {
  public:
    explicit Permit(std::shared_ptr<State> state) : state_(std::move(state)) {}
    Permit(Permit&&) noexcept = default;
    Permit& operator=(Permit&&) = delete;
    ~Permit();

  private:
    std::shared_ptr<State> state_;
  };

  // `name`: of the upstream, for messages. `clock` is borrowed and outlives the gate.
  UpstreamGate(asio::any_io_executor executor, const Clock& clock, std::string name, Limits limits);
  UpstreamGate(const UpstreamGate&) = delete;
  UpstreamGate& operator=(const UpstreamGate&) = delete;

  // The refusal's code is busy.
  asio::awaitable<std::expected<Permit, Refusal>> enter(SteadyTime deadline);

  std::size_t in_flight() const;
  std::size_t queued() const;

private:
  static asio::awaitable<std::expected<Permit, Refusal>> wait(std::shared_ptr<State> state,
                                                              SteadyTime deadline);

  std::shared_ptr<State> state_;
};

}  // namespace gavel

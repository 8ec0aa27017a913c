#pragma once
// What the tests of upstreams share: an event loop with the machine's clock, coroutines that are
// started and waited for, and the server programs of tests/fixtures/servers.

#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/clock.hpp"
#include "runtime/upstream_factory.hpp"

namespace gavel {

// Longer than anything a test waits for, on a loaded machine.
inline constexpr std::chrono::seconds kTestPatience{60};

class TestClock final : public Clock {
public:
  Timestamp now() const override {
    return {std::chrono::duration_cast<std::chrono::milliseconds>(
                std::chrono::system_clock::now().time_since_epoch())
                .count()};
  }
  SteadyTime steady() const override { return std::chrono::steady_clock::now(); }
};

class TestRandom final : public Random {
public:
  std::uint64_t next() override { return state_ = state_ * 6364136223846793005U + 1442695041U; }

private:
  std::uint64_t state_ = 1;
};

// A coroutine that runs beside the test. Its result is there once it is done.
template <typename T>
struct Running {
  std::optional<T> result;
  std::exception_ptr failure;
  asio::cancellation_signal cancel;
  bool done() const { return result.has_value() || failure; }
};

class UpstreamWorld {
public:
  template <typename T>
  std::shared_ptr<Running<T>> start(asio::awaitable<T> task) {
    auto running = std::make_shared<Running<T>>();
    asio::co_spawn(io, std::move(task),
                   asio::bind_cancellation_slot(running->cancel.slot(),
                                                [running](std::exception_ptr failure, T value) {
                                                  running->failure = failure;
                                                  if (!failure) running->result = std::move(value);
                                                }));
    return running;
  }

  // Turns the loop until `reached` says so; false when that takes too long.
  bool until(const std::function<bool()>& reached) {
    const auto end = clock.steady() + kTestPatience;
    while (!reached()) {
      if (io.stopped()) io.restart();
      if (clock.steady() > end) return false;
      io.run_one_for(std::chrono::milliseconds(100));
    }
    return true;
  }

  template <typename T>
  T wait(asio::awaitable<T> task) {
    return wait(start(std::move(task)));
  }
  template <typename T>
  T wait(const std::shared_ptr<Running<T>>& running) {
    if (!until([&] { return running->done(); })) throw std::runtime_error("it takes too long");
    if (running->failure) std::rethrow_exception(running->failure);
    return std::move(*running->result);
  }
  void wait(asio::awaitable<void> task) {
    bool done = false;
    asio::co_spawn(io, std::move(task), [&](const std::exception_ptr& failure) {
      done = true;
      if (failure) std::rethrow_exception(failure);
    });
    if (!until([&] { return done; })) throw std::runtime_error("it takes too long");
  }

  SteadyTime in(std::chrono::milliseconds span) const { return clock.steady() + span; }

  UpstreamOptions options() {
    UpstreamOptions made;
    made.clock = &clock;
    made.random = &random;
    made.log_line = [this](std::string_view line) { log.emplace_back(line); };
    made.timing.backoff_first = std::chrono::milliseconds(20);
    return made;
  }

  TestClock clock;
  TestRandom random;
  std::vector<std::string> log;
  asio::io_context io;
};

// A server that a test writes: request() is its own.
class TestUpstream : public Upstream {
public:
  explicit TestUpstream(std::string name) : name_(std::move(name)) {}
  const std::string& name() const override { return name_; }
  UpstreamStatus status() const override { return {}; }
  asio::awaitable<void> close() override { co_return; }
  asio::awaitable<Result<json::object>> capabilities(SteadyTime) override {
    co_return json::object{};
  }

private:
  std::string name_;
};

inline std::string fixture_server(const std::string& name) {
  const auto root = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  return (root / "tests" / "fixtures" / "servers" / name).string();
}

inline UpstreamRequest tool_call(SteadyTime deadline, std::string_view tool,
                                 std::string_view arguments = "{}") {
  UpstreamRequest request;
  request.method = "tools/call";
  request.params =
      "{\"name\":\"" + std::string(tool) + "\",\"arguments\":" + std::string(arguments) + "}";
  request.deadline = deadline;
  return request;
}

// The text of a CallToolResult; what the reply says otherwise where it is none.
inline std::string text_of(const UpstreamReply& reply) {
  if (reply.delivery == Delivery::not_sent) return "not sent: " + reply.error.message;
  if (reply.delivery == Delivery::lost) return "lost: " + reply.error.message;
  if (reply.result.empty()) return "error: " + reply.rpc_error;
  const auto result = parse_json(reply.result);
  const auto* content = result ? find_array(*result, "content") : nullptr;
  if (content == nullptr || content->empty()) return "result: " + reply.result;
  return std::string(string_or(content->front(), "text"));
}

}  // namespace gavel

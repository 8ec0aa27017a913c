#include "runtime/upstream_gate.hpp"

#include <gmock/gmock.h>

#include "runtime/upstream_world_test.hpp"

namespace gavel {
namespace {

using namespace std::chrono_literals;

using Passed = std::expected<UpstreamGate::Permit, UpstreamGate::Refusal>;
// Results are moved into place, which a permit allows only once: it is held by pointer here.
using Held = std::shared_ptr<Passed>;

asio::awaitable<Held> pass(UpstreamGate& gate, SteadyTime deadline) {
  auto passed = co_await gate.enter(deadline);
  co_return std::make_shared<Passed>(std::move(passed));
}

class UpstreamGateTest : public testing::Test {
protected:
  void make(UpstreamGate::Limits limits) {
    gate_ = std::make_unique<UpstreamGate>(world_.io.get_executor(), world_.clock, "pg", limits);
  }
  std::shared_ptr<Running<Held>> enter(std::chrono::milliseconds patience = 60s) {
    auto running = world_.start(pass(*gate_, world_.in(patience)));
    poll();
    return running;
  }
  void poll() {
    world_.io.restart();
    world_.io.poll();
  }

  UpstreamWorld world_;
  std::unique_ptr<UpstreamGate> gate_;
};

TEST_F(UpstreamGateTest, ServesInOrderWhatDoesNotFit) {
  make({.concurrency_max = 1, .queue_max = 8, .rate = {}});
  auto first = world_.wait(enter());
  const auto second = enter();
  const auto third = enter();
  EXPECT_EQ(gate_->in_flight(), 1u);
  EXPECT_EQ(gate_->queued(), 2u);
  first.reset();
  ASSERT_TRUE(world_.until([&] { return second->done(); }));
  EXPECT_FALSE(third->done());
  second->result->reset();
  auto last = world_.wait(third);
  EXPECT_TRUE(last->has_value());
  last.reset();
  EXPECT_EQ(gate_->in_flight(), 0u);
}

TEST_F(UpstreamGateTest, AFullQueueIsBusyAtOnce) {
  make({.concurrency_max = 1, .queue_max = 1, .rate = {}});
  const auto first = world_.wait(enter());
  const auto second = enter();
  const auto refused = world_.wait(enter());
  ASSERT_FALSE(refused->has_value());
  EXPECT_EQ(refused->error().error.code, ErrorCode::busy);
  EXPECT_GT(refused->error().retry_after, 0ms);
  EXPECT_THAT(refused->error().error.message, testing::HasSubstr("pg"));
}

TEST_F(UpstreamGateTest, ADeadlineInTheQueueIsBusyAndLeavesTheQueue) {
  make({.concurrency_max = 1, .queue_max = 8, .rate = {}});
  auto first = world_.wait(enter());
  const auto refused = world_.wait(enter(5ms));
  ASSERT_FALSE(refused->has_value());
  EXPECT_EQ(gate_->queued(), 0u);
  first.reset();
  EXPECT_TRUE(world_.wait(enter())->has_value());
}

TEST_F(UpstreamGateTest, WhoIsCancelledLeavesTheQueueToTheOthers) {
  make({.concurrency_max = 1, .queue_max = 8, .rate = {}});
  auto first = world_.wait(enter());
  const auto second = enter();
  const auto third = enter();
  second->cancel.emit(asio::cancellation_type::terminal);
  ASSERT_TRUE(world_.until([&] { return second->done(); }));
  EXPECT_TRUE(second->failure);
  EXPECT_EQ(gate_->queued(), 1u);
  first.reset();
  EXPECT_TRUE(world_.wait(third)->has_value());
}

TEST_F(UpstreamGateTest, ASlotThatIsGivenToSomebodyWhoLeavesIsNotLost) {
  make({.concurrency_max = 1, .queue_max = 8, .rate = {}});
  auto first = world_.wait(enter());
  const auto second = enter();
  // Both before the loop turns: the slot is granted, and the one it is granted to is cancelled.
  first.reset();
  second->cancel.emit(asio::cancellation_type::terminal);
  ASSERT_TRUE(world_.until([&] { return second->done(); }));
  if (second->result) second->result->reset();
  EXPECT_EQ(gate_->in_flight(), 0u);
  EXPECT_TRUE(world_.wait(enter())->has_value());
}

TEST_F(UpstreamGateTest, ARateLetsABurstPassAndThenOneAtATime) {
  make({.concurrency_max = 100, .queue_max = 100, .rate = {.per_second = 50, .burst = 3}});
  const auto begin = world_.clock.steady();
  std::vector<std::shared_ptr<Running<Held>>> all;
  for (int i = 0; i < 6; ++i) all.push_back(enter());
  EXPECT_TRUE(all[2]->done());
  for (const auto& each : all) EXPECT_TRUE(world_.wait(each)->has_value());
  // Three beyond the burst, 20 ms apart.
  EXPECT_GE(world_.clock.steady() - begin, 55ms);
}

TEST_F(UpstreamGateTest, AFullQueueWithARateSaysWhenToComeBack) {
  make({.concurrency_max = 1, .queue_max = 0, .rate = {.per_second = 0.5, .burst = 1}});
  const auto first = world_.wait(enter());
  const auto refused = world_.wait(enter());
  ASSERT_FALSE(refused->has_value());
  EXPECT_EQ(refused->error().retry_after, 2s);
}

}  // namespace
}  // namespace gavel

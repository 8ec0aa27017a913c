#include "runtime/task_group.hpp"

#include <gmock/gmock.h>

#include <stdexcept>

#include "runtime/upstream_world_test.hpp"

namespace gavel {
namespace {

asio::awaitable<void> wait_forever(std::shared_ptr<Event> event, std::shared_ptr<int> ended) {
  struct AtEnd {
    std::shared_ptr<int> ended;
    ~AtEnd() { ++*ended; }
  } at_end{ended};
  co_await event->wait_until(SteadyTime::max());
}

asio::awaitable<void> throw_something() {
  throw std::runtime_error("the floor is lava");
  co_return;
}

class TaskGroupTest : public testing::Test {
protected:
  std::shared_ptr<Event> event() { return std::make_shared<Event>(world_.io.get_executor()); }

  UpstreamWorld world_;
  std::vector<std::string> failures_;
  TaskGroup group_{world_.io.get_executor(),
                   [this](std::string_view line) { failures_.emplace_back(line); }};
};

TEST_F(TaskGroupTest, NamesATaskThatFails) {
  group_.spawn("reading the floor", throw_something());
  ASSERT_TRUE(world_.until([&] { return group_.size() == 0; }));
  EXPECT_THAT(failures_, testing::ElementsAre("task reading the floor failed: the floor is lava"));
}

TEST_F(TaskGroupTest, CloseCancelsAndWaitsForEveryTask) {
  const auto ended = std::make_shared<int>(0);
  for (int i = 0; i < 3; ++i) group_.spawn("waiting", wait_forever(event(), ended));
  world_.io.poll();
  EXPECT_EQ(group_.size(), 3u);
  world_.wait(group_.close());
  EXPECT_EQ(*ended, 3);
  EXPECT_EQ(group_.size(), 0u);
  EXPECT_TRUE(failures_.empty());
}

TEST_F(TaskGroupTest, NothingStartsOnceItIsClosed) {
  world_.wait(group_.close());
  group_.spawn("too late", throw_something());
  EXPECT_EQ(group_.size(), 0u);
  EXPECT_TRUE(failures_.empty());
}

TEST_F(TaskGroupTest, DestroyingItCancelsItsTasks) {
  const auto ended = std::make_shared<int>(0);
  {
    TaskGroup group(world_.io.get_executor(), {});
    group.spawn("waiting", wait_forever(event(), ended));
    world_.io.poll();
  }
  EXPECT_TRUE(world_.until([&] { return *ended == 1; }));
}

TEST_F(TaskGroupTest, ATaskThatEndsLeavesTheGroup) {
  const auto ended = std::make_shared<int>(0);
  const auto signal = event();
  group_.spawn("waiting", wait_forever(signal, ended));
  world_.io.poll();
  signal->notify();
  EXPECT_TRUE(world_.until([&] { return group_.size() == 0; }));
  EXPECT_EQ(*ended, 1);
}

asio::awaitable<Woken> wait_on(std::shared_ptr<Event> event, SteadyTime deadline) {
  co_return co_await event->wait_until(deadline);
}

TEST_F(TaskGroupTest, AnEventWakesAllWhoWaitAndNobodyElse) {
  const auto signal = event();
  const auto first = world_.start(wait_on(signal, SteadyTime::max()));
  const auto second = world_.start(wait_on(signal, SteadyTime::max()));
  const auto late = world_.start(wait_on(signal, world_.in(std::chrono::milliseconds(1))));
  EXPECT_EQ(world_.wait(late), Woken::deadline);
  signal->notify();
  EXPECT_EQ(world_.wait(first), Woken::notified);
  EXPECT_EQ(world_.wait(second), Woken::notified);
  const auto cancelled = world_.start(wait_on(signal, SteadyTime::max()));
  world_.io.restart();
  world_.io.poll();
  cancelled->cancel.emit(asio::cancellation_type::terminal);
  EXPECT_EQ(world_.wait(cancelled), Woken::cancelled);
}

}  // namespace
}  // namespace gavel

#include "runtime/inbox.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <optional>
#include <thread>
#include <vector>

namespace gavel {
namespace {

TEST(Inbox, RunsWhatSeveralThreadsPushEachInItsOrder) {
  constexpr int kThreads = 4;
  constexpr int kEach = 1000;
  asio::io_context loop;
  const auto busy = asio::make_work_guard(loop);
  Inbox inbox(loop.get_executor());
  std::vector<std::vector<int>> seen(kThreads);
  int total = 0;
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t, slot = inbox.slot()] {
      for (int i = 0; i < kEach; ++i) {
        slot.push([&, t, i] {
          seen[t].push_back(i);
          if (++total == kThreads * kEach) loop.stop();
        });
      }
    });
  }
  loop.run();
  for (auto& thread : threads) thread.join();
  for (const auto& numbers : seen) {
    ASSERT_EQ(numbers.size(), static_cast<std::size_t>(kEach));
    for (int i = 0; i < kEach; ++i) EXPECT_EQ(numbers[static_cast<std::size_t>(i)], i);
  }
}

TEST(Inbox, OneWakeUpRunsEverythingThatCameMeanwhile) {
  asio::io_context loop;
  Inbox inbox(loop.get_executor());
  int ran = 0;
  for (int i = 0; i < 10; ++i) inbox.slot().push([&] { ++ran; });
  EXPECT_EQ(loop.run_one(), 1u);
  EXPECT_EQ(ran, 10);
}

TEST(Inbox, WorkPushedByWorkRunsInALaterTurn) {
  asio::io_context loop;
  Inbox inbox(loop.get_executor());
  std::vector<int> order;
  inbox.slot().push([&] {
    inbox.slot().push([&] { order.push_back(3); });
    order.push_back(1);
  });
  inbox.slot().push([&] { order.push_back(2); });
  loop.run();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

TEST(Inbox, NothingRunsOnceItIsGone) {
  asio::io_context loop;
  auto inbox = std::make_optional<Inbox>(loop.get_executor());
  const auto slot = inbox->slot();
  int ran = 0;
  slot.push([&] {
    ++ran;
    inbox.reset();
  });
  slot.push([&] { ++ran; });
  loop.run();
  EXPECT_EQ(ran, 1);
  slot.push([&] { ++ran; });
  loop.restart();
  loop.run();
  EXPECT_EQ(ran, 1);
}

}  // namespace
}  // namespace gavel

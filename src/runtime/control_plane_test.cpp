#include "runtime/control_plane.hpp"

#include <gtest/gtest.h>

#include "log/log_testing.hpp"
#include "runtime/clock.hpp"

namespace gavel {
namespace {

class Counting : public Random {
public:
  std::uint64_t next() override { return ++n_; }

private:
  std::uint64_t n_ = 0;
};

// Nothing that is appended becomes durable before sync() says so.
class SlowLog : public testing::ForwardingLog {
public:
  Result<Head> head(const LogId& log) override {
    auto head = ForwardingLog::head(log);
    if (head) head->durable = std::min(head->durable, synced_);
    return head;
  }
  void sync(Position up_to) { synced_ = up_to; }

private:
  Position synced_;
};

class ControlPlaneTest : public ::testing::Test {
protected:
  void append(Body body) {
    Entry entry;
    entry.author = Principal{"operator"};
    entry.role = Role::admin;
    entry.body = std::move(body);
    ASSERT_TRUE(plane_.append(plane_.state(kEverything), {std::move(entry)}, random_,
                              [](const Status&) {}));
  }
  bool halted(Lifts lifts, Effect effect = Effect::write) {
    const auto view = plane_.view_of(LogId{"s"}, Principal{"a"}, "box", {}, lifts);
    return !check_halts(view, effect);
  }

  SlowLog log_;
  ControlPlane plane_{log_};
  Counting random_;
};

TEST_F(ControlPlaneTest, AHaltCountsAtOnceAndItsEndOnceThatIsDurable) {
  append(HaltRaised{HaltMode::halt, "stop"});
  EXPECT_TRUE(halted(Lifts::sequenced));
  EXPECT_TRUE(halted(Lifts::durable));

  append(HaltLifted{"go on"});
  EXPECT_FALSE(halted(Lifts::sequenced));
  EXPECT_TRUE(halted(Lifts::durable));
  log_.sync(Position{1});
  EXPECT_TRUE(halted(Lifts::durable)) << "the halt is durable, not its end";
  log_.sync(Position{2});
  EXPECT_FALSE(halted(Lifts::durable));
}

TEST_F(ControlPlaneTest, AHaltThatBecomesAFreezeIsOneUntilThatIsDurable) {
  append(HaltRaised{HaltMode::halt, "stop"});
  append(HaltRaised{HaltMode::freeze, "read on"});
  EXPECT_FALSE(halted(Lifts::sequenced, Effect::read));
  EXPECT_TRUE(halted(Lifts::durable, Effect::read));
  log_.sync(Position{2});
  EXPECT_FALSE(halted(Lifts::durable, Effect::read));
  EXPECT_TRUE(halted(Lifts::durable, Effect::write));
}

TEST_F(ControlPlaneTest, OfTwoEndsTheLastOneCounts) {
  append(HaltRaised{HaltMode::halt, "stop"});
  append(HaltLifted{"go on"});
  append(HaltRaised{HaltMode::halt, "stop again"});
  append(HaltLifted{"go on again"});
  log_.sync(Position{2});
  EXPECT_TRUE(halted(Lifts::durable));
  log_.sync(Position{4});
  EXPECT_FALSE(halted(Lifts::durable));
}

}  // namespace
}  // namespace gavel

// Reads whose failure nobody is owed: the same call is a new one.
#include <gtest/gtest.h>

#include "core/test_world.hpp"

namespace gavel {
namespace {

TEST(AbandonedRead, IsMadeAgainWhereNobodyWaited) {
  const auto after = [](OutcomeKind kind, std::optional<ErrorCode> code, Effect effect) {
    TestWorld world;
    const auto call = world.call("t__call", "{}", Verdict::allow, effect);
    RecordOutcome left;
    left.intent = world.propose(call).intent;
    left.kind = kind;
    left.code = code;
    left.now = world.now;
    world.apply(decide(world.state, left).value());
    EXPECT_TRUE(world.folds_to_itself());
    return world.propose(call).disposition;
  };
  EXPECT_EQ(after(OutcomeKind::failed, ErrorCode::cancelled, Effect::read), Disposition::dispatch);
  EXPECT_EQ(after(OutcomeKind::failed, ErrorCode::timeout, Effect::read), Disposition::replay);
  EXPECT_EQ(after(OutcomeKind::failed, ErrorCode::cancelled, Effect::write), Disposition::replay);
  EXPECT_EQ(after(OutcomeKind::unknown, ErrorCode::cancelled, Effect::write), Disposition::attach);
}

TEST(AbandonedRead, IsMadeAgainWhereItsProcessEnded) {
  TestWorld world;
  const auto call = world.call("t__read", "{}", Verdict::allow, Effect::read);
  const auto lost = world.propose(call);
  world.apply(decide_lost(world.state, lost.intent, world.now).value());
  EXPECT_EQ(world.propose(call).disposition, Disposition::dispatch);
}

}  // namespace
}  // namespace gavel

// Actions that clients perform themselves.
#include "core/decide.hpp"
#include "core/test_world.hpp"

namespace gavel {
namespace {

Propose elsewhere(const TestWorld& world, Verdict verdict, Effect effect = Effect::write) {
  Propose command = world.call("own__shell", R"({"command":"make"})", verdict, effect);
  command.elsewhere = true;
  command.key = "call:c1";
  command.key_source = KeySource::call_id;
  command.assessment.idempotent = true;
  command.assessment.attempts_max = 3;
  command.assessment.has_probe = true;
  return command;
}

TEST(Elsewhere, AnAllowedActionIsTheClientsToPerformAndReport) {
  TestWorld world;
  const auto proposed = world.propose(elsewhere(world, Verdict::allow));
  EXPECT_EQ(proposed.disposition, Disposition::dispatch);
  EXPECT_EQ(world.actions.back(), Action(Permit{proposed.intent})) << "and nothing is dispatched";
  EXPECT_EQ(decide_take(world.state, world.view(), proposed.intent, world.now).error().code,
            ErrorCode::conflict)
      << "leave is given once";
  world.outcome(proposed.intent, OutcomeKind::ok);
  EXPECT_TRUE(world.state.open.empty());
  EXPECT_TRUE(world.state.settling.empty()) << "no probe can look";
  EXPECT_TRUE(world.folds_to_itself());
}

TEST(Elsewhere, AReleasedActionWaitsUntilItsLeaveIsTaken) {
  TestWorld world;
  const auto proposed = world.propose(elsewhere(world, Verdict::ask));
  world.apply(world.vote(proposed.intent, Verdict::allow).value());
  EXPECT_EQ(world.state.open.at(proposed.intent).phase, Phase::committed);
  EXPECT_EQ(world.actions.back(), Action(Offer{proposed.intent}));
  EXPECT_TRUE(decide_lost(world.state, proposed.intent, world.now)->entries.empty());
  world.halt(HaltMode::freeze);
  EXPECT_EQ(decide_take(world.state, world.view(), proposed.intent, world.now).error().code,
            ErrorCode::halted);
  world.resume();
  world.apply(decide_take(world.state, world.view(), proposed.intent, world.now).value());
  EXPECT_EQ(world.state.open.at(proposed.intent).phase, Phase::in_flight);
  EXPECT_EQ(world.actions.back(), Action(Permit{proposed.intent}));
  EXPECT_TRUE(world.folds_to_itself());
}

TEST(Elsewhere, LeaveThatNobodyTakesInTimeHasFailedAndFreesItsBudget) {
  TestWorld world;
  Propose command = elsewhere(world, Verdict::ask);
  command.assessment.budgets = {{"calls", LogId{}, 1, Duration{0}}};
  const auto proposed = world.propose(command);
  CastVote vote;
  vote.intent = proposed.intent;
  vote.voter = Principal{"operator"};
  vote.verdict = Verdict::allow;
  vote.digest = command.digest;
  vote.now = world.now;
  world.apply(decide(world.state, world.view(command.assessment.budgets), vote).value());
  EXPECT_EQ(world.state.budgets.at("calls").calls_reserved(), 1u);
  EXPECT_TRUE(due_intents(world.state, world.now).empty());
  world.now = world.now + Duration{3'600'000};
  ASSERT_EQ(due_intents(world.state, world.now).size(), 1u);
  world.apply(decide_due(world.state, world.view(), proposed.intent, world.now).value());
  EXPECT_TRUE(world.state.open.empty());
  EXPECT_EQ(world.state.counters.failed, 1u);
  EXPECT_EQ(world.state.budgets.at("calls").calls_reserved(), 0u);
  EXPECT_EQ(world.state.budgets.at("calls").calls_used, 0u);
  EXPECT_TRUE(world.folds_to_itself());
}

TEST(Elsewhere, AnOutcomeThatIsNotReportedIsUnknownAndNeverRetried) {
  TestWorld world;
  const auto proposed = world.propose(elsewhere(world, Verdict::allow));
  world.now = world.now + Duration{60'000};
  ASSERT_EQ(due_intents(world.state, world.now).size(), 1u);
  world.apply(decide_due(world.state, world.view(), proposed.intent, world.now).value());
  EXPECT_EQ(world.state.open.at(proposed.intent).phase, Phase::unknown);
  EXPECT_FALSE(decide_retry(world.state, world.view(), proposed.intent, world.now));
  EXPECT_TRUE(due_intents(world.state, world.now).empty());
  world.outcome(proposed.intent, OutcomeKind::ok);  // reported late
  EXPECT_TRUE(world.state.open.empty());
  EXPECT_TRUE(world.folds_to_itself());
}

TEST(Elsewhere, AReadThatIsNotReportedHasFailed) {
  TestWorld world;
  const auto proposed = world.propose(elsewhere(world, Verdict::allow, Effect::read));
  world.now = world.now + Duration{60'000};
  world.apply(decide_due(world.state, world.view(), proposed.intent, world.now).value());
  EXPECT_TRUE(world.state.open.empty());
  EXPECT_EQ(world.state.counters.failed, 1u);
}

}  // namespace
}  // namespace gavel

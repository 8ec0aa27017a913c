#include "core/state.hpp"

#include "core/test_world.hpp"

namespace gavel {
namespace {

TEST(NextDue, NothingWaitsInAnIdleSession) {
  TestWorld world;
  EXPECT_EQ(next_due(world.state), std::nullopt);
  const IntentId write = world.propose(world.call("t__write", "{}")).intent;
  EXPECT_EQ(next_due(world.state), world.now + Duration{60'000}) << "the attempt's deadline";
  world.outcome(write, OutcomeKind::ok);
  EXPECT_EQ(next_due(world.state), std::nullopt);
}

TEST(NextDue, HeldIntentAtItsExpiryAndAConfirmedTwoStepAtItsDelay) {
  TestWorld world;
  const IntentId held = world.propose(world.call("t__drop", "{}", Verdict::two_step)).intent;
  EXPECT_EQ(next_due(world.state), world.now + Duration{3'600'000});
  world.apply(world.vote(held, Verdict::allow).value());
  EXPECT_EQ(next_due(world.state), world.now + Duration{5'000});
}

TEST(NextDue, ConfirmedButUnsettledWaitsForTheProbe) {
  TestWorld world;
  Propose command = world.call("t__write", "{}");
  command.assessment.has_probe = true;
  const IntentId write = world.propose(command).intent;
  world.outcome(write, OutcomeKind::ok);
  EXPECT_EQ(next_due(world.state), world.now) << "the probe runs again after a restart";
  const IntentId held = world.propose(world.call("t__drop", "{}", Verdict::two_step)).intent;
  world.apply(world.vote(held, Verdict::allow).value());
  EXPECT_EQ(next_due(world.state), world.now + Duration{3'600'000});
  world.now = world.now + Duration{5'000};
  EXPECT_TRUE(due_intents(world.state, world.now).empty());
  world.probe(write, ProbeVerdict::happened);
  EXPECT_EQ(due_intents(world.state, world.now), std::vector{held});
}

TEST(NextDue, CommittedAtOnceAndUnknownADayAfterItsDeadline) {
  TestWorld world;
  const IntentId held = world.propose(world.call("t__write", "{}", Verdict::ask)).intent;
  Decision commit;
  commit.intent = held;
  commit.ruling = Ruling::commit;
  world.force(Role::decider, "gavel", commit);
  EXPECT_EQ(next_due(world.state), world.now);
  world.apply(decide_lost(world.state, held, world.now).value());
  EXPECT_EQ(world.state.open.at(held).phase, Phase::in_flight);
  world.outcome(held, OutcomeKind::unknown);
  EXPECT_EQ(next_due(world.state), world.now + Duration{60'000} + Duration{24 * 3'600'000});
}

TEST(NextDue, ProposedOnlyHasNoTimeOfItsOwn) {
  TestWorld world;
  IntentProposed proposal;
  proposal.key = "k";
  proposal.key_source = KeySource::client;
  proposal.requester = Principal{"agent"};
  ASSERT_EQ(world.force(Role::driver, "agent", proposal), Folded::applied);
  EXPECT_EQ(next_due(world.state), std::nullopt);
}

TEST(Budget, SumsOfWhatEntriesClaimStopAtTheLargestNumber) {
  TestWorld world;
  const auto reserve = [&](std::uint64_t intent, std::uint64_t calls, std::int64_t ms) {
    return world.force(Role::decider, "gavel",
                       BudgetReserved{"b", LogId{"s"}, IntentId{intent}, calls, Duration{ms}});
  };
  const auto settle = [&](std::uint64_t intent, std::uint64_t calls, std::int64_t ms) {
    return world.force(Role::decider, "gavel",
                       BudgetSettled{"b", LogId{"s"}, IntentId{intent}, calls, Duration{ms}});
  };
  EXPECT_EQ(reserve(1, 1, -1), Folded::skipped);
  EXPECT_EQ(reserve(1, UINT64_MAX, kTimeMaxMs), Folded::applied);
  EXPECT_EQ(reserve(2, 5, 5), Folded::applied);
  const Budget& budget = world.state.budgets.at("b");
  EXPECT_EQ(budget.calls_reserved(), UINT64_MAX);
  EXPECT_EQ(budget.wall_clock_reserved(), Duration{kTimeMaxMs});
  EXPECT_EQ(settle(1, UINT64_MAX, kTimeMaxMs), Folded::applied);
  EXPECT_EQ(settle(2, 5, -5), Folded::skipped);
  EXPECT_EQ(settle(2, 5, 5), Folded::applied);
  EXPECT_EQ(budget.calls_used, UINT64_MAX);
  EXPECT_EQ(budget.wall_clock_used, Duration{kTimeMaxMs});
  EXPECT_EQ(settle(2, 5, 5), Folded::skipped) << "settled already";
  EXPECT_EQ(decode_snapshot(encode_snapshot(world.state)), world.state);
}

TEST(CallDigest, TellsToolsAndArgumentsApart) {
  const Digest a = sha256("a");
  EXPECT_EQ(call_digest("t", a), call_digest("t", a));
  EXPECT_NE(call_digest("t", a), call_digest("u", a));
  EXPECT_NE(call_digest("t", a), call_digest("t", sha256("b")));
}

}  // namespace
}  // namespace gavel

#include "core/fold.hpp"

#include <fmt/format.h>

#include "core/test_world.hpp"

namespace gavel {
namespace {

TEST(Fold, SecondDecisionIsVoidAndVisible) {  // I2
  TestWorld world;
  const auto held = world.propose(world.call("t__write", "{}", Verdict::ask));
  world.apply(world.vote(held.intent, Verdict::deny).value());
  Decision late;
  late.intent = held.intent;
  late.ruling = Ruling::commit;
  EXPECT_EQ(world.force(Role::decider, "gavel", late), Folded::skipped);
  EXPECT_EQ(world.state.counters.skipped, 1u);
  EXPECT_TRUE(world.state.open.empty());
}

TEST(Fold, SkipsWhatMakesNoSense) {  // I10
  TestWorld world;
  const auto held = world.propose(world.call("t__write", "{}", Verdict::ask));
  const IntentProposed& proposal = world.state.open.at(held.intent).proposal;
  Vote bound;
  bound.intent = held.intent;
  bound.voter = Principal{"operator"};
  bound.verdict = Verdict::allow;
  bound.digest = proposal.digest;
  bound.effect = proposal.effect;
  bound.policy_version = proposal.policy_version;
  Vote other_digest = bound;
  other_digest.digest = Digest{};
  Vote other_effect = bound;
  other_effect.effect = Effect::read;
  Vote other_policy = bound;
  other_policy.policy_version = "v2";
  Vote by_requester = bound;
  by_requester.voter = Principal{"agent"};
  Vote as_policy = bound;
  as_policy.voter = kPolicyVoter;
  Attempt attempt{held.intent, 1, {}, 1};
  Outcome outcome;
  outcome.intent = held.intent;
  const std::tuple<Role, std::string, Body> table[] = {
      {Role::approver, "operator", other_digest},
      {Role::approver, "operator", other_effect},
      {Role::approver, "operator", other_policy},
      {Role::approver, "agent", by_requester},
      {Role::approver, "policy", as_policy},
      {Role::approver, "somebody", bound},  // speaks in another's name
      {Role::driver, "operator", bound},    // no right to vote
      {Role::executor, "gavel", attempt},   // nothing was committed
      {Role::executor, "gavel", outcome},
      {Role::executor, "gavel", Delivered{held.intent}},
      {Role::executor, "gavel", Delivered{IntentId{99}}},
      {Role::executor, "gavel", Probed{held.intent, ProbeVerdict::happened, {}, {}}},
      {Role::decider, "gavel", Replayed{IntentId{99}, 1, ""}},
      {Role::decider, "gavel", Held{held.intent, HoldReason::ask, {}, {}}},  // held already
      {Role::decider, "gavel", BudgetSettled{"none", LogId{"s"}, held.intent, 0, {}}},
      {Role::driver, "agent", EpochElected{Epoch{7}, Principal{"agent"}, ""}},
      {Role::driver, "agent", SessionOpened{Principal{"agent"}, ""}},
      {Role::driver, "agent", proposal},  // its key is taken
      {Role::admin, "operator", HaltRaised{}},
      {Role::admin, "operator", HaltLifted{}},
      {Role::admin, "operator", PolicyActivated{}},
      {Role::driver, "agent", UnknownEntry{999, "x", 0}},
  };
  State before = world.state;
  std::uint64_t skipped = 0;
  for (const auto& [role, author, body] : table) {
    EXPECT_EQ(world.force(role, author, body), Folded::skipped) << name_of(body);
    before.tail = world.state.tail;
    before.counters.skipped = ++skipped;
    ASSERT_EQ(world.state, before) << name_of(body);
  }
  EXPECT_EQ(world.force(Role::approver, "operator", bound), Folded::applied);
  EXPECT_TRUE(world.folds_to_itself());
}

TEST(Fold, OneAttemptInFlightAtATime) {  // I4
  TestWorld world;
  Propose command = world.call("t__put", "{}");
  command.assessment.idempotent = true;
  const IntentId put = world.propose(command).intent;
  EXPECT_EQ(world.force(Role::executor, "gavel", Attempt{put, 2, {}, 2}), Folded::skipped);
  world.outcome(put, OutcomeKind::unknown);
  EXPECT_EQ(world.force(Role::executor, "gavel", Attempt{put, 3, {}, 2}), Folded::skipped)
      << "numbers have no gaps";
  EXPECT_EQ(world.force(Role::executor, "gavel", Attempt{put, 2, {}, 1}), Folded::skipped)
      << "the fencing token must grow";
  EXPECT_EQ(world.force(Role::executor, "gavel", Attempt{put, 2, {}, UINT64_MAX}), Folded::skipped)
      << "a leap would leave no tokens for later attempts";
  EXPECT_EQ(world.force(Role::executor, "gavel", Attempt{put, 2, {}, 2}), Folded::applied);
}

TEST(Fold, WhatMayHaveHappenedIsNotTriedAgainBlindly) {  // I4
  TestWorld world;
  const IntentId pay = world.propose(world.call("t__pay", "{}")).intent;
  world.outcome(pay, OutcomeKind::unknown);
  EXPECT_EQ(world.force(Role::executor, "gavel", Attempt{pay, 2, {}, 2}), Folded::skipped);
}

TEST(Fold, NobodyAsksInAnothersName) {
  TestWorld world;
  IntentProposed proposal;
  proposal.key = "k";
  proposal.key_source = KeySource::client;
  proposal.requester = Principal{"operator"};
  EXPECT_EQ(world.force(Role::driver, "agent", proposal), Folded::skipped)
      << "the agent could then approve its own action";
  proposal.requester = Principal{"agent"};
  EXPECT_EQ(world.force(Role::driver, "agent", proposal), Folded::applied);
}

TEST(Fold, ControlLogCountsBarriersAndSkipsTheRest) {
  ControlState state;
  state.log = LogId{"control/everything"};
  const auto force = [&](Role role, Body body) {
    Entry entry;
    entry.position = state.tail.next();
    entry.role = role;
    entry.body = std::move(body);
    return fold(state, entry);
  };
  EXPECT_EQ(force(Role::admin, PolicyActivated{"v1", {}}), Folded::applied);
  EXPECT_EQ(force(Role::driver, HaltRaised{}), Folded::skipped);
  EXPECT_EQ(force(Role::admin, HaltLifted{}), Folded::skipped);
  EXPECT_EQ(force(Role::observer, HaltRaised{}), Folded::applied);
  EXPECT_EQ(force(Role::admin, Vote{}), Folded::skipped);
  EXPECT_EQ(force(Role::decider, BudgetReserved{"b", LogId{"s"}, IntentId{1}, 1, {}}),
            Folded::applied);
  EXPECT_EQ(force(Role::decider, BudgetReserved{"b", LogId{"s"}, IntentId{1}, 1, {}}),
            Folded::skipped);
  EXPECT_EQ(force(Role::decider, BudgetSettled{"b", LogId{"s"}, IntentId{1}, 1, {}}),
            Folded::applied);
  EXPECT_EQ(state.barrier, 4u);
  EXPECT_EQ(state.skipped, 4u);
  EXPECT_TRUE(state.halt);
}

}  // namespace
}  // namespace gavel

#include "core/decide.hpp"

#include <fmt/format.h>

#include "core/test_world.hpp"

namespace gavel {
namespace {

TEST(Propose, AllowedCallIsCommittedWithItsAttemptInOnePlan) {
  TestWorld world;
  const auto proposed = world.propose(world.call("t__write", R"({"a":1})"));
  EXPECT_EQ(proposed.disposition, Disposition::dispatch);
  const OpenIntent& open = world.state.open.at(proposed.intent);
  EXPECT_EQ(open.phase, Phase::in_flight);
  EXPECT_EQ(open.attempts, 1u);
  EXPECT_EQ(proposed.plan.guards.size(), 2u);
  ASSERT_FALSE(world.actions.empty());
  EXPECT_EQ(world.actions.back(),
            Action(Dispatch{proposed.intent, 1, 1, world.now + Duration{60'000}}));
  world.outcome(proposed.intent, OutcomeKind::ok);
  EXPECT_TRUE(world.state.open.empty());
  EXPECT_EQ(world.state.counters.ok, 1u);
  EXPECT_TRUE(world.folds_to_itself());
}

TEST(Propose, DeniedCallIsRecordedAndAborted) {
  TestWorld world;
  const auto proposed = world.propose(world.call("t__write", "{}", Verdict::deny));
  EXPECT_EQ(proposed.disposition, Disposition::aborted);
  EXPECT_TRUE(world.state.open.empty());
  EXPECT_EQ(world.state.counters.aborted, 1u);
  const auto& decision = std::get<Decision>(world.log.back().body);
  EXPECT_EQ(decision.code, "denied");
  EXPECT_EQ(decision.rule, "rule");
}

TEST(Propose, StaleEpochIsRefusedAndTheRefusalIsLogged) {  // I3
  TestWorld world;
  Propose zombie = world.call("t__write", "{}");
  world.apply(decide(world.state, Elect{Principal{"other"}, "wake", world.now}).value());
  const auto refused = decide(world.state, world.view(), zombie);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::stale_epoch);
  EXPECT_NE(refused.error().message.find("epoch 2 (other)"), std::string::npos);
  for (std::uint64_t i = 0; i < kRefusalsPerEpoch + 5; ++i) {
    world.apply(
        refuse(world.state, {Principal{"agent"}, Epoch{1}, "propose", refused.error(), world.now}));
  }
  EXPECT_EQ(world.state.counters.refused, kRefusalsPerEpoch);
  Propose future = world.call("t__write", "{}");
  future.epoch = Epoch{9};
  EXPECT_EQ(decide(world.state, world.view(), future).error().code, ErrorCode::invalid_argument);
}

TEST(Key, SameKeyAttachesThenReplaysAndRefusesOtherArguments) {
  TestWorld world;
  Propose command = world.call("t__write", R"({"a":1})");
  command.key = "k";
  command.key_source = KeySource::client;
  const auto first = world.propose(command);
  EXPECT_EQ(world.propose(command).disposition, Disposition::attach);
  world.outcome(first.intent, OutcomeKind::ok);
  const auto replay = world.propose(command);
  EXPECT_EQ(replay.disposition, Disposition::replay);
  EXPECT_EQ(replay.intent, first.intent);
  EXPECT_EQ(world.state.counters.replayed, 1u);
  Propose other = world.call("t__write", R"({"a":2})");
  other.key = "k";
  EXPECT_EQ(decide(world.state, world.view(), other).error().code, ErrorCode::key_reused);
}

TEST(Key, DerivedKeyRepeatsUntilItsAnswerArrived) {
  TestWorld world;
  const Propose command = world.call("t__write", R"({"a":1})");
  const auto first = world.propose(command);
  EXPECT_EQ(world.propose(command).disposition, Disposition::attach);
  world.outcome(first.intent, OutcomeKind::ok);
  EXPECT_EQ(world.propose(command).disposition, Disposition::replay);
  world.deliver(first.intent);
  const auto second = world.propose(command);
  EXPECT_EQ(second.disposition, Disposition::dispatch);
  EXPECT_EQ(world.state.open.at(second.intent).proposal.occurrence, 2u);
  EXPECT_TRUE(world.folds_to_itself());
}

TEST(Key, RerunInALaterEpochSkipsWhatWasDoneAndRetriesWhatFailed) {
  TestWorld world;
  const Propose ok = world.call("t__write", R"({"n":1})");
  const Propose bad = world.call("t__write", R"({"n":2})");
  for (const auto& [command, kind] : {std::pair{ok, OutcomeKind::ok}, {bad, OutcomeKind::failed}}) {
    const auto proposed = world.propose(command);
    world.outcome(proposed.intent, kind);
    world.deliver(proposed.intent);
  }
  world.apply(decide(world.state, Elect{Principal{"agent"}, "rerun", world.now}).value());
  Propose again = ok;
  again.epoch = world.state.epoch;
  EXPECT_EQ(world.propose(again).disposition, Disposition::replay);
  EXPECT_EQ(world.propose(again).disposition, Disposition::dispatch) << "a second one is new";
  again = bad;
  again.epoch = world.state.epoch;
  EXPECT_EQ(world.propose(again).disposition, Disposition::dispatch);
  EXPECT_TRUE(world.folds_to_itself());
}

TEST(Hold, ApprovalBySomebodyElseCommits) {
  TestWorld world;
  const auto held = world.propose(world.call("t__write", "{}", Verdict::ask));
  EXPECT_EQ(held.disposition, Disposition::held);
  EXPECT_EQ(world.vote(held.intent, Verdict::allow, "agent").error().code,
            ErrorCode::permission_denied);
  world.apply(world.vote(held.intent, Verdict::allow).value());
  EXPECT_EQ(world.state.open.at(held.intent).phase, Phase::in_flight);
  EXPECT_EQ(world.vote(held.intent, Verdict::allow).error().code, ErrorCode::conflict);
}

TEST(Hold, VoteBindsToTheArgumentsThatWereShown) {  // I7
  TestWorld world;
  const auto held = world.propose(world.call("t__write", R"({"a":1})", Verdict::ask));
  CastVote vote;
  vote.intent = held.intent;
  vote.voter = Principal{"operator"};
  vote.verdict = Verdict::allow;
  vote.digest = canonical_digest(parse_json(R"({"a":2})").value());
  vote.now = world.now;
  EXPECT_EQ(decide(world.state, world.view(), vote).error().code, ErrorCode::conflict);
  vote.role = Role::driver;
  EXPECT_EQ(decide(world.state, world.view(), vote).error().code, ErrorCode::permission_denied);
}

TEST(Hold, DenialAborts) {
  TestWorld world;
  const auto held = world.propose(world.call("t__write", "{}", Verdict::ask));
  world.apply(world.vote(held.intent, Verdict::deny).value());
  EXPECT_TRUE(world.state.open.empty());
  EXPECT_EQ(world.vote(held.intent, Verdict::deny).error().code, ErrorCode::conflict);
  EXPECT_EQ(world.vote(IntentId{99}, Verdict::deny).error().code, ErrorCode::not_found);
}

TEST(Hold, ExpiryAborts) {
  TestWorld world;
  const auto held = world.propose(world.call("t__write", "{}", Verdict::ask));
  EXPECT_TRUE(due_intents(world.state, world.now).empty());
  EXPECT_EQ(next_due(world.state), world.state.open.at(held.intent).hold->expires_at);
  world.now = world.now + Duration{3'600'000};
  ASSERT_EQ(due_intents(world.state, world.now), std::vector{held.intent});
  world.apply(decide_due(world.state, world.view(), held.intent, world.now).value());
  EXPECT_EQ(std::get<Decision>(world.log.back().body).code, "timeout");
}

TEST(TwoStep, CommitsOnlyWhenConfirmedAndTheDelayIsOver) {
  TestWorld world;
  const auto held =
      world.propose(world.call("t__drop", "{}", Verdict::two_step, Effect::destructive));
  world.apply(world.vote(held.intent, Verdict::allow).value());
  EXPECT_EQ(world.state.open.at(held.intent).phase, Phase::held) << "confirmed too early";
  EXPECT_TRUE(due_intents(world.state, world.now).empty());
  world.now = world.now + Duration{5'000};
  ASSERT_EQ(due_intents(world.state, world.now), std::vector{held.intent});
  world.apply(decide_due(world.state, world.view(), held.intent, world.now).value());
  EXPECT_EQ(world.state.open.at(held.intent).phase, Phase::in_flight);
}

TEST(TwoStep, DelayAloneIsNotEnough) {
  TestWorld world;
  const auto held =
      world.propose(world.call("t__drop", "{}", Verdict::two_step, Effect::destructive));
  world.now = world.now + Duration{6'000};
  EXPECT_TRUE(due_intents(world.state, world.now).empty());
  world.apply(world.vote(held.intent, Verdict::allow).value());
  EXPECT_EQ(world.state.open.at(held.intent).phase, Phase::in_flight);
}

TEST(Halt, NothingCommitsUnderAHaltAndReadsDoUnderAFreeze) {  // I6
  TestWorld world;
  const auto held = world.propose(world.call("t__write", R"({"h":1})", Verdict::ask));
  world.halt(HaltMode::freeze);
  EXPECT_EQ(world.propose(world.call("t__write", "{}")).disposition, Disposition::aborted);
  EXPECT_EQ(world.propose(world.call("t__read", "{}", Verdict::allow, Effect::read)).disposition,
            Disposition::dispatch);
  EXPECT_EQ(world.vote(held.intent, Verdict::allow).error().code, ErrorCode::halted);
  world.halt(HaltMode::halt);
  EXPECT_EQ(
      world.propose(world.call("t__read", R"({"b":1})", Verdict::allow, Effect::read)).disposition,
      Disposition::aborted);
  world.resume();
  world.apply(world.vote(held.intent, Verdict::allow).value());
  EXPECT_EQ(world.scope("control/everything").barrier, 3u);
}

TEST(Halt, OnlyTheRightRolesRaiseAndLift) {
  ControlState state;
  state.log = LogId{"control/everything"};
  EXPECT_FALSE(decide(state, RaiseHalt{Principal{"a"}, Role::driver, HaltMode::halt, "", {}}));
  EXPECT_TRUE(decide(state, RaiseHalt{Principal{"o"}, Role::observer, HaltMode::halt, "", {}}));
  EXPECT_EQ(decide(state, LiftHalt{Principal{"o"}, Role::observer, "", {}}).error().code,
            ErrorCode::permission_denied);
  EXPECT_EQ(decide(state, LiftHalt{Principal{"o"}, Role::admin, "", {}}).error().code,
            ErrorCode::conflict);
  state.halt = Halt{};
  EXPECT_EQ(
      decide(state, RaiseHalt{Principal{"o"}, Role::admin, HaltMode::halt, "", {}}).error().code,
      ErrorCode::conflict);
  EXPECT_EQ(decide(state, RaiseHalt{Principal{"o"}, Role::observer, HaltMode::freeze, "", {}})
                .error()
                .code,
            ErrorCode::permission_denied);
}

TEST(Unknown, IsResolvedByProbeRetryOrPersonOnly) {  // I4
  TestWorld world;
  const auto lost = world.propose(world.call("t__pay", "{}"));
  world.outcome(lost.intent, OutcomeKind::unknown);
  EXPECT_EQ(world.state.open.at(lost.intent).phase, Phase::unknown);
  EXPECT_EQ(decide_retry(world.state, world.view(), lost.intent, world.now).error().code,
            ErrorCode::conflict);
  RecordProbe probe;
  probe.intent = lost.intent;
  probe.now = world.now;
  world.apply(decide(world.state, probe).value());
  EXPECT_TRUE(world.state.open.contains(lost.intent)) << "unclear resolves nothing";
  probe.verdict = ProbeVerdict::happened;
  probe.evidence = Payload::of("{}");
  world.apply(decide(world.state, probe).value());
  EXPECT_EQ(world.state.keys.begin()->second.final, Final::ok);

  const auto second = world.propose(world.call("t__pay", R"({"x":1})"));
  world.outcome(second.intent, OutcomeKind::unknown);
  Resolve resolve;
  resolve.intent = second.intent;
  resolve.resolver = Principal{"operator"};
  resolve.kind = OutcomeKind::unknown;
  EXPECT_FALSE(decide(world.state, resolve));
  resolve.kind = OutcomeKind::failed;
  world.apply(decide(world.state, resolve).value());
  EXPECT_TRUE(world.state.open.empty());
  EXPECT_TRUE(world.folds_to_itself());
}

TEST(Unknown, IdempotentToolIsTriedAgainWithAHigherFencingToken) {
  TestWorld world;
  Propose command = world.call("t__put", "{}");
  command.assessment.idempotent = true;
  command.assessment.attempts_max = 2;
  const auto put = world.propose(command);
  world.outcome(put.intent, OutcomeKind::unknown);
  EXPECT_EQ(world.actions.back(), Action(Retry{put.intent}));
  world.apply(decide_retry(world.state, world.view(), put.intent, world.now).value());
  EXPECT_EQ(world.state.fencing_token, 2u);
  world.outcome(put.intent, OutcomeKind::unknown);
  EXPECT_FALSE(decide_retry(world.state, world.view(), put.intent, world.now))
      << "attempts used up";
}

TEST(Lost, WriteBecomesUnknownAndReadFails) {
  TestWorld world;
  const auto write = world.propose(world.call("t__write", "{}"));
  const auto read = world.propose(world.call("t__read", "{}", Verdict::allow, Effect::read));
  world.apply(decide_lost(world.state, write.intent, world.now).value());
  world.apply(decide_lost(world.state, read.intent, world.now).value());
  EXPECT_EQ(world.state.open.at(write.intent).phase, Phase::unknown);
  EXPECT_FALSE(world.state.open.contains(read.intent));
}

TEST(Settling, NextWriteWaitsUntilTheProbeAgrees) {
  TestWorld world;
  Propose command = world.call("t__write", R"({"n":1})");
  command.assessment.has_probe = true;
  const auto first = world.propose(command);
  world.outcome(first.intent, OutcomeKind::ok);
  EXPECT_TRUE(world.state.settling.contains(first.intent));
  const auto second = world.propose(world.call("t__write", R"({"n":2})"));
  EXPECT_EQ(second.disposition, Disposition::held);
  EXPECT_EQ(world.state.open.at(second.intent).hold->reason, HoldReason::settling);
  EXPECT_EQ(world.propose(world.call("t__read", "{}", Verdict::allow, Effect::read)).disposition,
            Disposition::dispatch);
  EXPECT_FALSE(world.vote(second.intent, Verdict::allow)) << "no vote can replace the probe";
  RecordProbe probe;
  probe.intent = first.intent;
  probe.verdict = ProbeVerdict::happened;
  probe.now = world.now;
  world.apply(decide(world.state, probe).value());
  EXPECT_EQ(world.actions.back(), Action(Recheck{}));
  ASSERT_EQ(due_intents(world.state, world.now), std::vector{second.intent});
  world.apply(decide_due(world.state, world.view(), second.intent, world.now).value());
  EXPECT_EQ(world.state.open.at(second.intent).phase, Phase::in_flight);
}

TEST(Budget, CallsAndWallClockNeverPassTheirLimit) {  // I12
  TestWorld world;
  for (const auto& log : {LogId{}, LogId{"control/budget/shared"}}) {
    BudgetClaim claim{"b" + log.value, log, 2, Duration{0}};
    std::vector<IntentId> intents;
    for (int n = 0; n < 3; ++n) {
      Propose command =
          world.call("t__write", fmt::format(R"({{"n":{},"log":"{}"}})", n, log.value));
      command.assessment.budgets = {claim};
      const auto proposed = world.propose(command);
      EXPECT_EQ(proposed.disposition, n < 2 ? Disposition::dispatch : Disposition::aborted);
      if (n < 2) intents.push_back(proposed.intent);
    }
    EXPECT_EQ(std::get<Decision>(world.log.back().body).code, "budget_exhausted");
    for (const auto intent : intents) world.outcome(intent, OutcomeKind::ok);
    const Budget& budget = log.empty() ? world.state.budgets.at(claim.budget)
                                       : world.scope(log.value).budgets.at(claim.budget);
    EXPECT_EQ(budget.calls_used, 2u);
    EXPECT_TRUE(budget.reserved.empty());
  }
}

TEST(Budget, WallClockIsReservedByTimeoutAndSettledByUse) {
  TestWorld world;
  Propose command = world.call("t__write", "{}");
  command.assessment.budgets = {BudgetClaim{"wall", LogId{}, 0, Duration{100'000}}};
  const auto first = world.propose(command);
  Propose second = world.call("t__write", R"({"n":2})");
  second.assessment.budgets = command.assessment.budgets;
  EXPECT_EQ(world.propose(second).disposition, Disposition::aborted) << "60 s + 60 s > 100 s";
  world.now = world.now + Duration{1'000};
  world.outcome(first.intent, OutcomeKind::ok);
  EXPECT_EQ(world.state.budgets.at("wall").wall_clock_used, Duration{1'000});
  Propose third = world.call("t__write", R"({"n":3})");
  third.assessment.budgets = command.assessment.budgets;
  EXPECT_EQ(world.propose(third).disposition, Disposition::dispatch);
}

TEST(Open, TwiceIsRefused) {
  TestWorld world;
  EXPECT_EQ(decide(world.state, Open{LogId{"s"}, Principal{"a"}, "", world.now}).error().code,
            ErrorCode::already_exists);
  State fresh;
  EXPECT_EQ(decide(fresh, Elect{Principal{"a"}, "", world.now}).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace gavel

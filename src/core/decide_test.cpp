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
  const auto replayed = world.propose(again);
  EXPECT_EQ(replayed.disposition, Disposition::replay);
  world.deliver(replayed.intent);
  EXPECT_EQ(world.propose(again).disposition, Disposition::dispatch) << "a second one is new";
  again = bad;
  again.epoch = world.state.epoch;
  EXPECT_EQ(world.propose(again).disposition, Disposition::dispatch);
  EXPECT_TRUE(world.folds_to_itself());
}

// A further round of `first`: the same call with what the server had asked for.
Propose round_of(const TestWorld& world, const Propose& first, const std::string& with_input) {
  Propose round = world.call(first.tool, with_input);
  round.round_of = first.digest;
  round.key = first.key;
  round.key_source = first.key_source;
  round.epoch = world.state.epoch;
  return round;
}

TEST(Round, TheSameAnswersAreTheSameActionAndOthersAnother) {
  for (const std::string key : {"", "k"}) {
    TestWorld world;
    Propose first = world.call("t__write", R"({"a":1})");
    first.key = key;
    if (!key.empty()) first.key_source = KeySource::client;
    const auto asked = world.propose(first);
    world.outcome(asked.intent, OutcomeKind::failed);
    world.deliver(asked.intent);
    const auto yes = round_of(world, first, R"({"a":1,"com.gavel/input":{"requestState":"1"}})");
    const auto round = world.propose(yes);
    EXPECT_EQ(round.disposition, Disposition::dispatch);
    const IntentProposed proposal = world.state.open.at(round.intent).proposal;
    const std::string of_first = world.state.key_of.at(asked.intent);
    EXPECT_TRUE(proposal.key.starts_with(of_first + "+")) << proposal.key;
    EXPECT_EQ(proposal.key_source, KeySource::client);
    EXPECT_EQ(world.propose(yes).disposition, Disposition::attach);
    world.outcome(round.intent, OutcomeKind::ok);
    world.deliver(round.intent);
    EXPECT_EQ(world.propose(yes).disposition, Disposition::replay);
    const auto no = round_of(world, first, R"({"a":1,"com.gavel/input":{"requestState":"2"}})");
    EXPECT_EQ(world.propose(no).disposition, Disposition::dispatch);
    EXPECT_TRUE(world.folds_to_itself());
  }
}

TEST(Round, ACallWhoseRoundIsNotDeliveredIsNotANewCall) {
  TestWorld world;
  const Propose first = world.call("t__write", R"({"a":1})");
  const auto asked = world.propose(first);
  world.outcome(asked.intent, OutcomeKind::failed);
  world.deliver(asked.intent);
  const auto round =
      world.propose(round_of(world, first, R"({"a":1,"com.gavel/input":{"requestState":"1"}})"));
  EXPECT_EQ(world.propose(first).disposition, Disposition::replay) << "it is asked the same";
  world.outcome(round.intent, OutcomeKind::ok);
  EXPECT_EQ(world.propose(first).intent, asked.intent);
  world.deliver(round.intent);
  world.deliver(asked.intent);
  EXPECT_EQ(world.propose(first).disposition, Disposition::dispatch);
}

TEST(Round, ARerunIsAskedTheSameAndWhatItAnswersAlikeIsNotDoneAgain) {
  TestWorld world;
  const Propose first = world.call("t__write", R"({"a":1})");
  const Propose unanswered = world.call("t__write", R"({"a":2})");
  for (const auto& command : {first, unanswered}) {
    const auto asked = world.propose(command);
    world.outcome(asked.intent, OutcomeKind::failed);
    world.deliver(asked.intent);
  }
  const std::string answered = R"({"a":1,"com.gavel/input":{"requestState":"1"}})";
  const auto round = world.propose(round_of(world, first, answered));
  world.outcome(round.intent, OutcomeKind::ok);
  world.deliver(round.intent);
  world.apply(decide(world.state, Elect{Principal{"agent"}, "rerun", world.now}).value());
  Propose again = first;
  again.epoch = world.state.epoch;
  EXPECT_EQ(world.propose(again).disposition, Disposition::replay);
  const auto repeated = world.propose(round_of(world, first, answered));
  EXPECT_EQ(repeated.disposition, Disposition::replay);
  EXPECT_EQ(repeated.intent, round.intent);
  again = unanswered;
  again.epoch = world.state.epoch;
  EXPECT_EQ(world.propose(again).disposition, Disposition::dispatch) << "nothing was done";
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

TEST(Open, ProposalNeedsADriver) {
  State state;
  state.session = LogId{"s"};
  fold(state, [&] {
    Entry entry = decide(state, Open{LogId{"s"}, Principal{"agent"}, "", {}}).value().entries[0];
    entry.position = Position{1};
    return entry;
  }());
  TestWorld world;
  Propose early = world.call("t__write", "{}");
  early.epoch = Epoch{0};
  const auto refused = decide(state, {}, early);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "nobody drives session s yet; wake it first: gavel wake s");
}

TEST(Key, ClientKeyOfNoNamedSourceIsTheClients) {
  TestWorld world;
  Propose command = world.call("t__write", "{}");
  command.key = "k";
  world.propose(command);
  command = world.call("t__other", "{}");
  command.key = "c";
  command.key_source = KeySource::call_id;
  world.propose(command);
  EXPECT_EQ(world.state.open.at(world.state.keys.at("k").intent).proposal.key_source,
            KeySource::client);
  EXPECT_EQ(world.state.open.at(world.state.keys.at("c").intent).proposal.key_source,
            KeySource::call_id);
  EXPECT_EQ(world.state.occurrences.size(), 1u) << "a client's own key is not counted";
}

TEST(Key, ClientKeyThatLooksDerivedDoesNotShadowTheCall) {
  TestWorld world;
  const Propose call = world.call("t__write", R"({"a":1})");
  Propose squatter = world.call("t__other", R"({"b":1})");
  squatter.key = fmt::format("auto:t__write:{}:1", call.digest.hex().substr(0, 16));
  const IntentId squatted = world.propose(squatter).intent;
  const auto proposed = world.propose(call);
  EXPECT_EQ(proposed.disposition, Disposition::dispatch);
  EXPECT_NE(proposed.intent, squatted);
  EXPECT_EQ(world.state.open.at(proposed.intent).proposal.occurrence, 2u);
  EXPECT_EQ(world.propose(call).disposition, Disposition::attach);
}

TEST(Key, OpenIntentOfAnEarlierEpochIsAttachedToAndCounted) {
  TestWorld world;
  Propose command = world.call("t__write", "{}", Verdict::ask);
  const IntentId held = world.propose(command).intent;
  world.apply(decide(world.state, Elect{Principal{"agent"}, "rerun", world.now}).value());
  command.epoch = world.state.epoch;
  const auto attached = world.propose(command);
  EXPECT_EQ(attached.disposition, Disposition::attach);
  EXPECT_EQ(attached.intent, held);
  ASSERT_EQ(attached.plan.entries.size(), 1u);
  EXPECT_EQ(std::get<Replayed>(attached.plan.entries[0].body).occurrence, 1u);
  EXPECT_TRUE(world.propose(command).plan.entries.empty()) << "counted once";
}

TEST(Key, FailedRunsAreLookedPastUpToALimit) {
  TestWorld world;
  const Propose command = world.call("t__write", "{}");
  KeyRecord failed;
  failed.tool = command.tool;
  failed.digest = command.digest;
  failed.closed = failed.delivered = true;
  const auto key = [&](std::uint64_t n) {
    return fmt::format("auto:t__write:{}:{}", command.digest.hex().substr(0, 16), n);
  };
  const auto add = [&](std::uint64_t n) {
    failed.intent = IntentId{1'000'000 + n};
    add_key(world.state, key(n), failed);
  };
  for (std::uint64_t n = 1; n <= kFailedRunsMax; ++n) add(n);
  const auto last = decide(world.state, world.view(), command);
  ASSERT_TRUE(last);
  EXPECT_EQ(std::get<IntentProposed>(last->plan.entries[0].body).occurrence, kFailedRunsMax + 1);
  Entry entry = last->plan.entries[0];
  entry.position = world.state.tail.next();
  State folded = world.state;
  EXPECT_EQ(fold(folded, entry), Folded::applied);
  add(kFailedRunsMax + 1);
  const auto refused = decide(world.state, world.view(), command);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::too_large);
}

TEST(Hold, VoteIsRefusedWhereItCannotCount) {
  TestWorld world;
  const IntentId held = world.propose(world.call("t__write", "{}", Verdict::ask)).intent;
  EXPECT_EQ(world.vote(held, Verdict::allow, "policy").error().code, ErrorCode::permission_denied);
  EXPECT_EQ(world.vote(held, Verdict::ask).error().code, ErrorCode::invalid_argument);
  world.now = world.now + Duration{3'600'000};
  EXPECT_EQ(world.vote(held, Verdict::allow).error().code, ErrorCode::conflict) << "expired";
  EXPECT_EQ(world.vote(held, Verdict::deny).error().code, ErrorCode::conflict) << "expired";
}

TEST(Hold, RequesterMayTakeBackWhatTheyAskedFor) {
  TestWorld world;
  const IntentId held = world.propose(world.call("t__write", "{}", Verdict::two_step)).intent;
  world.apply(world.vote(held, Verdict::deny, "agent").value());
  EXPECT_FALSE(world.state.open.contains(held));
}

TEST(Hold, AdminApprovesToo) {
  TestWorld world;
  const IntentId held = world.propose(world.call("t__write", "{}", Verdict::ask)).intent;
  CastVote vote;
  vote.intent = held;
  vote.voter = Principal{"root"};
  vote.role = Role::admin;
  vote.verdict = Verdict::allow;
  vote.digest = world.state.open.at(held).proposal.digest;
  vote.now = world.now;
  world.apply(decide(world.state, world.view(), vote).value());
  EXPECT_EQ(world.state.open.at(held).phase, Phase::in_flight);
}

TEST(Hold, ApprovalWaitsForEarlierWritesToSettle) {
  TestWorld world;
  const IntentId asked = world.propose(world.call("t__ask", "{}", Verdict::ask)).intent;
  Propose command = world.call("t__write", "{}");
  command.assessment.has_probe = true;
  const IntentId write = world.propose(command).intent;
  world.outcome(write, OutcomeKind::ok);
  world.apply(world.vote(asked, Verdict::allow).value());
  EXPECT_EQ(world.state.open.at(asked).phase, Phase::held);
  EXPECT_EQ(world.vote(asked, Verdict::allow).error().code, ErrorCode::conflict) << "said already";
  world.probe(write, ProbeVerdict::happened);
  ASSERT_EQ(due_intents(world.state, world.now), std::vector{asked});
  world.apply(decide_due(world.state, world.view(), asked, world.now).value());
  EXPECT_EQ(world.state.open.at(asked).phase, Phase::in_flight);
}

TEST(Hold, BudgetIsTakenWhenItCommits) {
  TestWorld world;
  const BudgetClaim claim{"b", LogId{}, 1, Duration{0}};
  std::vector<IntentId> held;
  for (const char* arguments : {"1", "2"}) {
    Propose command = world.call("t__ask", arguments, Verdict::ask);
    command.assessment.budgets = {claim};
    held.push_back(world.propose(command).intent);
  }
  EXPECT_FALSE(world.state.budgets.contains("b"));
  const auto approve = [&](IntentId intent) {
    CastVote vote;
    vote.intent = intent;
    vote.voter = Principal{"operator"};
    vote.verdict = Verdict::allow;
    vote.digest = world.state.open.at(intent).proposal.digest;
    vote.now = world.now;
    return decide(world.state, world.view({claim}), vote);
  };
  world.apply(approve(held[0]).value());
  EXPECT_EQ(approve(held[1]).error().code, ErrorCode::budget_exhausted);
  EXPECT_EQ(world.state.budgets.at("b").calls_reserved(), 1u);
}

TEST(Hold, TimesStayWithinWhatCanBeAdded) {
  TestWorld world;
  Propose command = world.call("t__drop", "{}", Verdict::two_step);
  command.assessment.delay = Duration::max();
  command.assessment.hold_for = Duration::max();
  command.assessment.timeout = Duration::max();
  const IntentId held = world.propose(command).intent;
  const OpenIntent& open = world.state.open.at(held);
  EXPECT_GT(open.hold->not_before, world.now);
  EXPECT_GT(open.hold->expires_at, open.hold->not_before);
  EXPECT_LT(open.hold->expires_at.ms, kTimeMaxMs);
  command = world.call("t__write", "{}");
  command.assessment.timeout = Duration::min();
  EXPECT_EQ(world.state.open.at(world.propose(command).intent).deadline, world.now);
}

TEST(TwoStep, HoldOutlastsItsDelay) {
  TestWorld world;
  Propose command = world.call("t__drop", "{}", Verdict::two_step);
  command.assessment.delay = Duration{10'000};
  command.assessment.hold_for = Duration{5'000};
  const Held hold = *world.state.open.at(world.propose(command).intent).hold;
  EXPECT_EQ(hold.not_before, world.now + Duration{10'000});
  EXPECT_EQ(hold.expires_at, world.now + Duration{20'000});
}

TEST(TwoStep, SameVoteTwiceIsRefusedUntilItWouldCommit) {
  TestWorld world;
  const IntentId held = world.propose(world.call("t__drop", "{}", Verdict::two_step)).intent;
  world.apply(world.vote(held, Verdict::allow).value());
  EXPECT_EQ(world.vote(held, Verdict::allow).error().code, ErrorCode::conflict);
  world.apply(world.vote(held, Verdict::allow, "second").value());
  world.now = world.now + Duration{5'000};
  world.apply(world.vote(held, Verdict::allow).value());
  EXPECT_EQ(world.state.open.at(held).phase, Phase::in_flight);
}

TEST(TwoStep, DenialAfterAConfirmationAborts) {
  TestWorld world;
  const IntentId held = world.propose(world.call("t__drop", "{}", Verdict::two_step)).intent;
  world.apply(world.vote(held, Verdict::allow).value());
  world.apply(world.vote(held, Verdict::deny, "second").value());
  EXPECT_FALSE(world.state.open.contains(held));
  EXPECT_EQ(std::get<Decision>(world.log.back().body).reason, "second denied it");
}

TEST(Due, NothingHappensBeforeItsTime) {
  TestWorld world;
  const IntentId held = world.propose(world.call("t__ask", "{}", Verdict::ask)).intent;
  EXPECT_TRUE(decide_due(world.state, world.view(), held, world.now).value().entries.empty());
  EXPECT_TRUE(
      decide_due(world.state, world.view(), IntentId{99}, world.now).value().entries.empty());
}

TEST(Due, HoldForSettlingEndsAtItsExpiry) {
  TestWorld world;
  Propose command = world.call("t__write", R"({"n":1})");
  command.assessment.has_probe = true;
  world.outcome(world.propose(command).intent, OutcomeKind::ok);
  const IntentId held = world.propose(world.call("t__write", R"({"n":2})")).intent;
  world.now = world.now + Duration{3'600'000};
  world.apply(decide_due(world.state, world.view(), held, world.now).value());
  EXPECT_EQ(std::get<Decision>(world.log.back().body).reason,
            "nobody released it in time (held as settling)");
}

TEST(Budget, TwoLimitsOnOneBudgetTakeFromItOnce) {
  TestWorld world;
  Propose command = world.call("t__write", "{}");
  command.assessment.budgets = {BudgetClaim{"b", LogId{}, 5, Duration{0}},
                                BudgetClaim{"b", LogId{}, 0, Duration{100'000}}};
  const IntentId write = world.propose(command).intent;
  EXPECT_EQ(world.state.budgets.at("b").calls_reserved(), 1u);
  world.outcome(write, OutcomeKind::ok);
  EXPECT_EQ(world.state.budgets.at("b").calls_used, 1u);
}

TEST(Budget, SeveralOfOneLogAreTakenInOneAppend) {
  TestWorld world;
  const LogId team{"control/budget/team"};
  Propose command = world.call("t__write", "{}");
  command.assessment.budgets = {BudgetClaim{"calls", team, 5, Duration{0}},
                                BudgetClaim{"time", team, 0, Duration{100'000}}};
  const auto proposed = world.propose(command);
  ASSERT_EQ(proposed.plan.control.size(), 1u);
  EXPECT_EQ(proposed.plan.control[0].entries.size(), 2u);
  world.outcome(proposed.intent, OutcomeKind::ok);
  EXPECT_EQ(world.scope(team.value).budgets.at("calls").calls_used, 1u);
  EXPECT_TRUE(world.scope(team.value).budgets.at("time").reserved.empty());
}

TEST(Budget, OneThatCannotBeCheckedAbortsTheCall) {
  TestWorld world;
  const auto code_of = [&](const BudgetClaim& claim, const ControlView& view) {
    Propose command = world.call("t__write", claim.budget + "1");
    command.arguments = Payload::of("{}");
    command.assessment.budgets = {claim};
    const auto proposed = decide(world.state, view, command);
    EXPECT_EQ(proposed->disposition, Disposition::aborted);
    return std::get<Decision>(proposed->plan.entries.back().body).code;
  };
  EXPECT_EQ(code_of(BudgetClaim{"", LogId{}, 1, Duration{0}}, world.view()), "internal");
  EXPECT_EQ(code_of(BudgetClaim{"1", LogId{"control/budget/x"}, 1, Duration{0}}, ControlView{}),
            "internal")
      << "its state is missing";
}

TEST(Outcome, IsRefusedWhereNothingRuns) {
  TestWorld world;
  const IntentId held = world.propose(world.call("t__ask", "{}", Verdict::ask)).intent;
  RecordOutcome outcome;
  outcome.intent = held;
  EXPECT_EQ(decide(world.state, outcome).error().code, ErrorCode::conflict);
  EXPECT_EQ(decide_lost(world.state, held, world.now).error().code, ErrorCode::conflict);
  outcome.intent = IntentId{99};
  EXPECT_EQ(decide(world.state, outcome).error().code, ErrorCode::not_found);
  EXPECT_EQ(decide_lost(world.state, IntentId{99}, world.now).error().code, ErrorCode::not_found);
  EXPECT_EQ(decide_retry(world.state, world.view(), IntentId{99}, world.now).error().code,
            ErrorCode::not_found);
}

TEST(Outcome, OfACallIsNotAPersonsToSay) {
  TestWorld world;
  RecordOutcome outcome;
  outcome.intent = world.propose(world.call("t__write", "{}")).intent;
  outcome.source = OutcomeSource::person;
  EXPECT_EQ(decide(world.state, outcome).error().code, ErrorCode::invalid_argument);
  Resolve resolve;
  resolve.intent = outcome.intent;
  resolve.resolver = Principal{"operator"};
  EXPECT_EQ(decide(world.state, resolve).error().code, ErrorCode::conflict) << "it still runs";
}

TEST(Outcome, LateAnswerResolvesWhatWasGivenUp) {
  TestWorld world;
  const IntentId write = world.propose(world.call("t__write", "{}")).intent;
  world.outcome(write, OutcomeKind::unknown);
  RecordOutcome again;
  again.intent = write;
  again.now = world.now;
  EXPECT_TRUE(decide(world.state, again).value().entries.empty()) << "unknown it is already";
  world.now = world.now + Duration{90'000};
  world.outcome(write, OutcomeKind::ok, R"({"late":true})");
  EXPECT_EQ(std::get<Outcome>(world.log.back().body).took, Duration{90'000});
  EXPECT_TRUE(world.state.open.empty());
}

TEST(Outcome, PersonsWordIsRecordedWithTheirName) {
  TestWorld world;
  const IntentId write = world.propose(world.call("t__write", "{}")).intent;
  world.outcome(write, OutcomeKind::unknown);
  Resolve resolve;
  resolve.intent = write;
  resolve.resolver = Principal{"operator"};
  resolve.kind = OutcomeKind::ok;
  resolve.reason = "seen in the ledger";
  Plan plan = decide(world.state, resolve).value();
  Outcome forged = std::get<Outcome>(plan.entries[0].body);
  EXPECT_EQ(world.force(Role::approver, "somebody", forged), Folded::skipped);
  EXPECT_EQ(world.force(Role::executor, "operator", forged), Folded::skipped);
  world.apply(decide(world.state, resolve).value());
  const auto& outcome = std::get<Outcome>(world.log.back().body);
  EXPECT_EQ(outcome.resolver.value, "operator");
  EXPECT_EQ(outcome.reason, "seen in the ledger");
}

TEST(Probe, TellsOnlyOfWhatIsUnknownOrSettling) {
  TestWorld world;
  RecordProbe probe;
  probe.intent = IntentId{99};
  EXPECT_EQ(decide(world.state, probe).error().code, ErrorCode::not_found);
  probe.intent = world.propose(world.call("t__write", "{}")).intent;
  EXPECT_EQ(decide(world.state, probe).error().code, ErrorCode::conflict);
  world.outcome(probe.intent, OutcomeKind::unknown);
  world.probe(probe.intent, ProbeVerdict::absent);
  const KeyRecord& record = world.state.keys.begin()->second;
  EXPECT_EQ(record.final, Final::failed);
  EXPECT_TRUE(world.state.settling.empty());
}

TEST(Lost, AttemptIsMadeOfACommitWithoutOne) {
  TestWorld world;
  const IntentId held = world.propose(world.call("t__write", "{}", Verdict::ask)).intent;
  Decision commit;
  commit.intent = held;
  commit.ruling = Ruling::commit;
  ASSERT_EQ(world.force(Role::decider, "gavel", commit), Folded::applied);
  world.apply(decide_lost(world.state, held, world.now).value());
  EXPECT_EQ(world.state.open.at(held).attempts, 1u);
  EXPECT_EQ(std::get<Dispatch>(world.actions.back()).intent, held);
}

TEST(Retry, ReadMayAlwaysBeTriedAgainWhileAttemptsLast) {
  TestWorld world;
  Propose command = world.call("t__read", "{}", Verdict::allow, Effect::read);
  command.assessment.attempts_max = 2;
  const IntentId read = world.propose(command).intent;
  EXPECT_FALSE(decide_retry(world.state, world.view(), read, world.now)) << "it still runs";
  world.outcome(read, OutcomeKind::unknown);
  world.apply(decide_retry(world.state, world.view(), read, world.now).value());
  EXPECT_EQ(world.state.open.at(read).attempts, 2u);
}

TEST(Refusal, NeedsASessionToStandIn) {
  EXPECT_TRUE(refuse(State{}, {Principal{"z"}, Epoch{1}, "propose", {}, {}}).entries.empty());
}

TEST(Halt, MessageSaysWhoWhyAndWhatToDo) {
  TestWorld world;
  world.halt(HaltMode::freeze);
  EXPECT_EQ(check_halts(world.view(), Effect::write).error().message,
            "a freeze of everything by operator is in force: incident. Reads are still allowed; do "
            "nothing "
            "else until it is resumed.");
  world.halt(HaltMode::halt);
  EXPECT_EQ(
      check_halts(world.view(), Effect::read).error().message,
      "a halt of everything by operator is in force: incident. Do nothing until it is resumed.");
}

}  // namespace
}  // namespace gavel

// The invariants of docs (design, section 3) as far as core alone can break them, one test each.
#include <fmt/format.h>

#include "core/test_world.hpp"

namespace gavel {
namespace {

std::size_t count_kind(const TestWorld& world, std::uint16_t kind) {
  return static_cast<std::size_t>(
      std::count_if(world.log.begin(), world.log.end(),
                    [&](const Entry& entry) { return kind_of(entry.body) == kind; }));
}

TEST(Invariant, I1DispatchOnlyBehindACommitOnRecord) {
  TestWorld world;
  for (const auto verdict : {Verdict::ask, Verdict::two_step, Verdict::deny}) {
    world.propose(world.call("t__write", fmt::format(R"("{}")", to_string(verdict)), verdict));
  }
  for (const auto& action : world.actions) {
    EXPECT_FALSE(std::holds_alternative<Dispatch>(action));
  }
  for (const auto& [id, open] : world.state.open) {
    EXPECT_EQ(world.force(Role::executor, "gavel", Attempt{id, 1, {}, 1}), Folded::skipped);
    EXPECT_TRUE(react(world.state, world.log.back()).empty()) << "an attempt nobody committed";
  }
  const auto allowed = world.propose(world.call("t__write", "{}"));
  const auto& entries = allowed.plan.entries;
  ASSERT_EQ(entries.size(), 4u);
  EXPECT_EQ(std::get<Decision>(entries[2].body).ruling, Ruling::commit);
  EXPECT_TRUE(std::holds_alternative<Attempt>(entries[3].body));
}

TEST(Invariant, I2FirstDecisionIsTheOnlyOne) {
  TestWorld world;
  const auto decision = [](IntentId intent, Ruling ruling) {
    Decision made;
    made.intent = intent;
    made.ruling = ruling;
    return made;
  };
  for (const auto first : {Ruling::commit, Ruling::abort}) {
    const IntentId held =
        world
            .propose(world.call("t__write", fmt::format(R"("{}")", to_string(first)), Verdict::ask))
            .intent;
    ASSERT_EQ(world.force(Role::decider, "gavel", decision(held, first)), Folded::applied);
    const State before = world.state;
    for (const auto second : {Ruling::commit, Ruling::abort}) {
      ASSERT_EQ(world.force(Role::decider, "gavel", decision(held, second)), Folded::skipped);
    }
    EXPECT_EQ(world.state.open, before.open);
    EXPECT_EQ(world.state.keys, before.keys);
  }
  EXPECT_EQ(world.state.counters.skipped, 4u) << "void, and visible as void";
}

TEST(Invariant, I3StaleDriverDecidesNothing) {
  TestWorld world;
  const Propose zombie = world.call("t__write", "{}");
  world.apply(decide(world.state, Elect{Principal{"other"}, "wake", world.now}).value());
  EXPECT_EQ(decide(world.state, world.view(), zombie).error().code, ErrorCode::stale_epoch);
  IntentProposed forged;
  forged.key = "k";
  forged.key_source = KeySource::client;
  forged.requester = Principal{"agent"};
  Entry entry;
  entry.position = world.state.tail.next();
  entry.epoch = Epoch{1};
  entry.author = Principal{"agent"};
  entry.body = forged;
  EXPECT_EQ(fold(world.state, entry), Folded::skipped);
  entry.position = world.state.tail.next();
  entry.epoch = Epoch{2};
  EXPECT_EQ(fold(world.state, entry), Folded::applied);
  const auto fresh = [&] {
    Propose command = world.call("t__write", "{}");
    return world.propose(command).intent;
  };
  const IntentId first = fresh();
  EXPECT_EQ(world.state.fencing_token, 1u);
  world.outcome(first, OutcomeKind::ok);
  world.deliver(first);
  fresh();
  EXPECT_EQ(world.state.fencing_token, 2u) << "tools can tell a late attempt from a new one";
}

TEST(Invariant, I4AtMostOneAttemptAndNoBlindRetry) {
  TestWorld world;
  const IntentId pay = world.propose(world.call("t__pay", "{}")).intent;
  EXPECT_EQ(decide_retry(world.state, world.view(), pay, world.now).error().message,
            fmt::format("s#{} may not be tried again: its tool is not idempotent", pay.value));
  EXPECT_EQ(world.force(Role::executor, "gavel", Attempt{pay, 2, {}, 2}), Folded::skipped);
  world.outcome(pay, OutcomeKind::unknown);
  EXPECT_FALSE(decide_retry(world.state, world.view(), pay, world.now));
  EXPECT_EQ(world.force(Role::executor, "gavel", Attempt{pay, 2, {}, 2}), Folded::skipped);
  EXPECT_EQ(world.propose(world.call("t__pay", "{}")).disposition, Disposition::attach)
      << "asking again does not act again";
  EXPECT_EQ(count_kind(world, Attempt::kKind), 3u) << "one that counts, two that do not";
}

TEST(Invariant, I5NobodyIsAnsweredBeforeAnOutcomeIsInTheLog) {
  TestWorld world;
  const IntentId write = world.propose(world.call("t__write", "{}")).intent;
  EXPECT_TRUE(mark_delivered(world.state, write, world.now).entries.empty());
  EXPECT_EQ(world.force(Role::executor, "gavel", Delivered{write}), Folded::skipped);
  world.outcome(write, OutcomeKind::ok);
  const auto answer = std::get<Answer>(world.actions[world.actions.size() - 2]);
  EXPECT_EQ(answer.answer, world.state.tail);
  EXPECT_EQ(world.state.keys.begin()->second.answer, answer.answer);
  world.deliver(write);
  EXPECT_TRUE(mark_delivered(world.state, write, world.now).entries.empty()) << "once";
  EXPECT_TRUE(mark_delivered(world.state, IntentId{99}, world.now).entries.empty());
}

TEST(Invariant, I6NothingCommitsAfterAHalt) {
  for (const auto mode : {HaltMode::halt, HaltMode::freeze}) {
    for (const std::string scope : {"control/everything", "control/agent/agent"}) {
      TestWorld world;
      const IntentId asked = world.propose(world.call("t__ask", "{}", Verdict::ask)).intent;
      const IntentId two = world.propose(world.call("t__two", "{}", Verdict::two_step)).intent;
      world.apply(world.vote(two, Verdict::allow).value());
      Propose repeated = world.call("t__put", "{}");
      repeated.assessment.idempotent = true;
      repeated.assessment.attempts_max = 5;
      const IntentId put = world.propose(repeated).intent;
      world.outcome(put, OutcomeKind::unknown);
      const auto attempts = count_kind(world, Attempt::kKind);

      world.halt(mode, scope);
      const State before = world.state;
      EXPECT_EQ(world.vote(asked, Verdict::allow).error().code, ErrorCode::halted);
      world.now = world.now + Duration{5'000};
      EXPECT_EQ(decide_due(world.state, world.view(), two, world.now).error().code,
                ErrorCode::halted);
      EXPECT_EQ(decide_retry(world.state, world.view(), put, world.now).error().code,
                ErrorCode::halted);
      EXPECT_EQ(world.state, before);
      for (const auto verdict : {Verdict::allow, Verdict::ask, Verdict::two_step}) {
        for (const auto effect : {Effect::read, Effect::write, Effect::irreversible}) {
          const auto proposed = world.propose(
              world.call("t__new", fmt::format(R"("{} {}")", to_string(verdict), to_string(effect)),
                         verdict, effect));
          const bool frozen_read = mode == HaltMode::freeze && effect == Effect::read;
          EXPECT_EQ(proposed.disposition == Disposition::aborted, !frozen_read);
        }
      }
      EXPECT_EQ(count_kind(world, Attempt::kKind), attempts + (mode == HaltMode::freeze ? 1 : 0));
      EXPECT_TRUE(world.vote(asked, Verdict::deny)) << "saying no is never halted";
    }
  }
}

TEST(Invariant, I6EveryCommitIsGuardedByTheBarriersItSaw) {
  TestWorld world;
  world.halt(HaltMode::halt);
  world.resume();
  const std::vector<ControlPosition> seen = {{LogId{"control/everything"}, 2},
                                             {LogId{"control/agent/agent"}, 0}};
  const auto guarded = [&](const Plan& plan) {
    EXPECT_EQ(plan.guards, seen);
    for (const auto& entry : plan.entries) {
      if (const auto* decision = std::get_if<Decision>(&entry.body)) {
        EXPECT_EQ(decision->control, seen);
      }
    }
  };
  guarded(world.propose(world.call("t__write", "{}")).plan);
  const auto held = world.propose(world.call("t__ask", "{}", Verdict::ask));
  EXPECT_TRUE(held.plan.guards.empty());
  const IntentId two = world.propose(world.call("t__two", "{}", Verdict::two_step)).intent;
  world.apply(world.vote(two, Verdict::allow).value());
  guarded(world.vote(held.intent, Verdict::allow).value());
  guarded(decide_due(world.state, world.view(), two, world.now + Duration{5'000}).value());
}

TEST(Invariant, I7VotesBindToWhatWasShown) {
  TestWorld world;
  const IntentId held = world.propose(world.call("t__write", R"({"a":1})", Verdict::ask)).intent;
  const IntentProposed& proposal = world.state.open.at(held).proposal;
  Vote vote;
  vote.intent = held;
  vote.voter = Principal{"operator"};
  vote.verdict = Verdict::allow;
  vote.digest = proposal.digest;
  vote.effect = proposal.effect;
  vote.policy_version = proposal.policy_version;
  const auto cast = [&](const auto& spoil) {
    Vote spoiled = vote;
    spoil(spoiled);
    return world.force(Role::approver, "operator", spoiled);
  };
  EXPECT_EQ(cast([](Vote& v) { v.digest = sha256("other arguments"); }), Folded::skipped);
  EXPECT_EQ(cast([](Vote& v) { v.effect = Effect::read; }), Folded::skipped);
  EXPECT_EQ(cast([](Vote& v) { v.policy_version = "v0"; }), Folded::skipped);
  EXPECT_EQ(cast([](Vote& v) { v.intent = IntentId{99}; }), Folded::skipped);
  EXPECT_FALSE(is_confirmed(world.state.open.at(held)));
  EXPECT_EQ(cast([](Vote&) {}), Folded::applied);
  EXPECT_TRUE(is_confirmed(world.state.open.at(held)));
}

TEST(Invariant, I7VotesOfProgramsConfirmNothing) {
  TestWorld world;
  const IntentId held = world.propose(world.call("t__drop", "{}", Verdict::two_step)).intent;
  const IntentProposed& proposal = world.state.open.at(held).proposal;
  Vote judged;
  judged.intent = held;
  judged.voter = Principal{"a second model"};
  judged.verdict = Verdict::allow;
  judged.digest = proposal.digest;
  judged.effect = proposal.effect;
  judged.policy_version = proposal.policy_version;
  ASSERT_EQ(world.force(Role::voter, "a second model", judged), Folded::applied);
  EXPECT_TRUE(due_intents(world.state, world.now + Duration{5'000}).empty());
}

TEST(Invariant, I8StateIsAFunctionOfThePrefix) {
  TestWorld world;
  for (int n = 0; n < 5; ++n) {
    const IntentId write =
        world.propose(world.call("t__write", fmt::format("{}", n), static_cast<Verdict>(n % 4)))
            .intent;
    if (world.state.open.contains(write) && world.state.open.at(write).phase == Phase::in_flight) {
      world.outcome(write, OutcomeKind::ok);
    }
  }
  State once;
  State again;
  once.session = again.session = world.state.session;
  for (const auto& entry : world.log) {
    fold(once, entry);
    const auto reread = decode(entry.position, encode(entry));
    ASSERT_TRUE(reread);
    fold(again, *reread);
    ASSERT_EQ(once, again) << "at " << entry.position.value;
  }
  EXPECT_EQ(once, world.state);
}

TEST(Invariant, I10NoBadEntryWedgesASession) {
  TestWorld world;
  const IntentId held = world.propose(world.call("t__write", "{}", Verdict::ask)).intent;
  const Role roles[] = {Role::driver,   Role::voter,    Role::decider, Role::executor,
                        Role::observer, Role::approver, Role::admin};
  Outcome outcome;
  outcome.intent = held;
  Vote vote;
  vote.intent = held;
  const Body bodies[] = {SessionOpened{},
                         EpochElected{Epoch{UINT64_MAX}, {}, ""},
                         IntentProposed{},
                         vote,
                         Held{held, HoldReason::ask, {}, {}},
                         Attempt{held, UINT64_MAX, {}, UINT64_MAX},
                         outcome,
                         Delivered{held},
                         Replayed{held, UINT64_MAX, ""},
                         Probed{held, ProbeVerdict::happened, "", {}},
                         HaltRaised{},
                         HaltLifted{},
                         PolicyActivated{},
                         BudgetSettled{"b", LogId{"s"}, held, UINT64_MAX, Duration{kTimeMaxMs}},
                         UnknownEntry{3, "", 200}};
  std::uint64_t skipped = 0;
  for (const auto role : roles) {
    for (const auto& body : bodies) {
      EXPECT_EQ(world.force(role, "mallory", body), Folded::skipped)
          << to_string(role) << " " << name_of(body);
      EXPECT_EQ(world.state.counters.skipped, ++skipped) << "a skip is on record";
    }
  }
  world.apply(world.vote(held, Verdict::allow).value());
  world.outcome(held, OutcomeKind::ok);
  world.deliver(held);
  EXPECT_EQ(world.propose(world.call("t__write", "{}")).disposition, Disposition::dispatch);
  EXPECT_TRUE(world.folds_to_itself());
}

TEST(Invariant, I12SumOfWhatIsAllowedNeverPassesTheLimit) {
  for (const auto& log : {LogId{}, LogId{"control/budget/shared"}}) {
    TestWorld world;
    const BudgetClaim claim{"b", log, 3, Duration{200'000}};
    const auto budget = [&]() -> const Budget& {
      return log.empty() ? world.state.budgets.at("b") : world.scope(log.value).budgets.at("b");
    };
    std::vector<IntentId> running;
    for (int n = 0; n < 12; ++n) {
      Propose command = world.call("t__write", fmt::format("{}", n));
      command.assessment.budgets = {claim};
      const auto proposed = world.propose(command);
      if (proposed.disposition == Disposition::dispatch) running.push_back(proposed.intent);
      EXPECT_LE(budget().calls_used + budget().calls_reserved(), 3u);
      EXPECT_LE(budget().wall_clock_used + budget().wall_clock_reserved(), Duration{200'000});
      world.now = world.now + Duration{70'000};
      if (n % 3 == 2 && !running.empty()) {
        world.outcome(running.front(), OutcomeKind::failed);
        running.erase(running.begin());
      }
    }
    EXPECT_EQ(budget().calls_used + budget().calls_reserved(), 3u);
  }
}

TEST(Invariant, I12UnknownOutcomeKeepsItsReservation) {
  TestWorld world;
  Propose command = world.call("t__write", "{}");
  command.assessment.budgets = {BudgetClaim{"b", LogId{}, 1, Duration{0}},
                                BudgetClaim{"w", LogId{"control/budget/w"}, 0, Duration{60'000}}};
  const IntentId write = world.propose(command).intent;
  world.outcome(write, OutcomeKind::unknown);
  EXPECT_EQ(world.state.budgets.at("b").calls_reserved(), 1u);
  EXPECT_EQ(world.scope("control/budget/w").budgets.at("w").wall_clock_reserved(),
            Duration{60'000});
  world.now = world.now + Duration{10'000'000};
  Resolve resolve;
  resolve.intent = write;
  resolve.resolver = Principal{"operator"};
  resolve.kind = OutcomeKind::ok;
  resolve.now = world.now;
  world.apply(decide(world.state, resolve).value());
  EXPECT_EQ(world.state.budgets.at("b").calls_used, 1u);
  EXPECT_EQ(world.scope("control/budget/w").budgets.at("w").wall_clock_used, Duration{60'000})
      << "at most what was reserved";
  EXPECT_EQ(world.scope("control/budget/w").budgets.at("w").wall_clock_reserved(), Duration{0});
}

}  // namespace
}  // namespace gavel

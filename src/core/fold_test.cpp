#include "core/fold.hpp"

#include <fmt/format.h>

#include <random>

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
      {Role::decider, "gavel", Replayed{IntentId{99}, 1}},
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

TEST(Rights, EveryRoleAppendsOnlyItsKinds) {
  EXPECT_TRUE(may_append(Role::observer, HaltRaised::kKind));
  EXPECT_FALSE(may_append(Role::observer, HaltLifted::kKind));
  EXPECT_FALSE(may_append(Role::driver, Decision::kKind));
  EXPECT_FALSE(may_append(Role::driver, Vote::kKind));
  EXPECT_FALSE(may_append(Role::approver, Decision::kKind));
  Entry entry;
  entry.role = Role::driver;
  entry.body = UnknownEntry{99, "", 0};
  EXPECT_EQ(check_rights(entry).error().code, ErrorCode::permission_denied);
}

// A session under random commands: every decided entry folds, the log folds to the same state, a
// snapshot is the state, and no run of bytes crashes the decoder.
TEST(Property, RandomSessionsFoldDeterministically) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 random(seed);
    TestWorld world;
    const auto pick = [&](std::uint64_t n) { return random() % n; };
    for (int step = 0; step < 80; ++step) {
      world.now = world.now + Duration{static_cast<std::int64_t>(pick(3'000))};
      std::vector<IntentId> open;
      for (const auto& [id, intent] : world.state.open) open.push_back(id);
      const IntentId some = open.empty() ? IntentId{1} : open[pick(open.size())];
      switch (pick(9)) {
        case 0:
        case 1:
        case 2: {
          Propose command =
              world.call(fmt::format("t__{}", pick(3)), fmt::format(R"({{"n":{}}})", pick(4)),
                         static_cast<Verdict>(pick(4)), static_cast<Effect>(pick(4)));
          command.assessment.idempotent = pick(2) == 0;
          command.assessment.has_probe = pick(2) == 0;
          command.assessment.attempts_max = 1 + pick(3);
          command.assessment.hold_for = Duration{20'000};
          if (pick(3) == 0) command.key = fmt::format("k{}", pick(5));
          if (pick(2) == 0)
            command.assessment.budgets = {BudgetClaim{"b", LogId{}, 20, Duration{0}}};
          const auto proposed =
              decide(world.state, world.view(command.assessment.budgets), command);
          if (proposed) world.apply(proposed->plan);
          break;
        }
        case 3: {
          RecordOutcome command;
          command.intent = some;
          command.kind = static_cast<OutcomeKind>(pick(3));
          command.now = world.now;
          if (auto plan = decide(world.state, command)) world.apply(*plan);
          break;
        }
        case 4:
          if (auto plan = world.vote(some, pick(4) == 0 ? Verdict::deny : Verdict::allow))
            world.apply(*plan);
          break;
        case 5: {
          RecordProbe probe;
          probe.intent = world.state.settling.empty() || pick(2) == 0
                             ? some
                             : world.state.settling.begin()->first;
          probe.verdict = static_cast<ProbeVerdict>(pick(3));
          probe.now = world.now;
          if (auto plan = decide(world.state, probe)) world.apply(*plan);
          break;
        }
        case 6:
          for (const auto id : due_intents(world.state, world.now)) {
            if (auto plan = decide_due(world.state, world.view(), id, world.now))
              world.apply(*plan);
          }
          break;
        case 7: {
          auto plan = pick(2) == 0 ? decide_lost(world.state, some, world.now)
                                   : decide_retry(world.state, world.view(), some, world.now);
          if (plan) world.apply(*plan);
          break;
        }
        case 8:
          if (pick(4) == 0) {
            world.apply(decide(world.state, Elect{Principal{"agent"}, "again", world.now}).value());
          } else if (!world.state.keys.empty()) {
            world.deliver(world.state.keys.begin()->second.intent);
          }
          break;
      }
      if (testing::Test::HasFatalFailure()) FAIL() << "seed " << seed << " step " << step;
    }
    ASSERT_TRUE(world.folds_to_itself()) << "seed " << seed;
    ASSERT_EQ(world.state.counters.skipped, 0u) << "seed " << seed;
    const auto restored = decode_snapshot(encode_snapshot(world.state));
    ASSERT_TRUE(restored);
    ASSERT_EQ(*restored, world.state) << "seed " << seed;
    for (const auto& entry : world.log) {
      std::string bytes = encode(entry);
      bytes[pick(bytes.size())] = static_cast<char>(pick(256));
      bytes.resize(pick(2) == 0 ? bytes.size() : pick(bytes.size() + 1));
      State victim;
      if (auto garbled = decode(Position{1}, bytes)) fold(victim, *garbled);
      (void)to_json(entry);
    }
    std::string snapshot = encode_snapshot(world.state);
    for (int i = 0; i < 50; ++i) {
      std::string garbled = snapshot;
      garbled[pick(garbled.size())] = static_cast<char>(pick(256));
      (void)decode_snapshot(garbled);
    }
  }
}

TEST(Codec, KeepsKindsItDoesNotKnow) {
  Entry entry;
  entry.position = Position{1};
  entry.author = Principal{"later"};
  entry.body = UnknownEntry{4242,
                            std::string("\x0a\x03"
                                        "abc",
                                        5),
                            33};
  const auto decoded = decode(Position{1}, encode(entry));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, entry);
  EXPECT_EQ(name_of(decoded->body), "unknown(4242)");
  EXPECT_EQ(to_json(*decoded)["bytes"].as_string(), "0a03616263");
}

TEST(Codec, RefusesWhatIsCutShortOrNewer) {
  Entry entry;
  entry.body = SessionOpened{Principal{"a"}, "c"};
  const std::string bytes = encode(entry);
  EXPECT_EQ(decode(Position{1}, "").error().code, ErrorCode::corrupted);
  EXPECT_EQ(decode(Position{1}, bytes.substr(0, 3)).error().code, ErrorCode::corrupted);
  std::string newer = bytes;
  newer[0] = 2;
  EXPECT_EQ(decode(Position{1}, newer).error().code, ErrorCode::unsupported);
  EXPECT_EQ(decode_snapshot("").error().code, ErrorCode::corrupted);
  EXPECT_EQ(decode_snapshot("\x09").error().code, ErrorCode::unsupported);
}

TEST(Codec, ShowsPayloadsAsJson) {
  Entry entry;
  entry.at = Timestamp{1'763'700'180'123};
  IntentProposed proposal;
  proposal.arguments = Payload::of(R"({"a":[1]})");
  proposal.effect = Effect::destructive;
  entry.body = proposal;
  const json::object shown = to_json(entry);
  EXPECT_EQ(write_json(shown.at("arguments")), R"({"a":[1]})");
  EXPECT_EQ(shown.at("effect").as_string(), "destructive");
  EXPECT_EQ(shown.at("at").as_string(), "2025-11-21T04:43:00.123Z");
  EXPECT_EQ(to_iso8601(Timestamp{-1}), "1969-12-31T23:59:59.999Z");
  Outcome outcome;
  outcome.result.digest = sha256("big");
  outcome.result.size = 1 << 20;
  entry.body = outcome;
  EXPECT_EQ(to_json(entry).at("result").as_object().at("size").as_uint64(), 1u << 20);
}

}  // namespace
}  // namespace gavel

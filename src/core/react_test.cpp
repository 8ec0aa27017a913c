#include "core/react.hpp"

#include "core/test_world.hpp"

namespace gavel {
namespace {

using Actions = std::vector<Action>;

// What the world's last command asked of the runtime.
Actions asked(TestWorld& world) {
  return std::exchange(world.actions, {});
}

TEST(React, AttemptIsDispatchedWithItsToken) {
  TestWorld world;
  const IntentId write = world.propose(world.call("t__write", "{}")).intent;
  EXPECT_EQ(asked(world), Actions({Dispatch{write, 1, 1, world.now + Duration{60'000}}}));
}

TEST(React, EndOfAnIntentAnswersItsCallerAndRechecksTheHeld) {
  TestWorld world;
  for (const auto kind : {OutcomeKind::ok, OutcomeKind::failed}) {
    const IntentId write = world.propose(world.call("t__write", "{}")).intent;
    asked(world);
    world.outcome(write, kind);
    EXPECT_EQ(asked(world), Actions({Answer{write, world.state.tail}, Recheck{}}));
    world.deliver(write);
    EXPECT_EQ(asked(world), Actions({}));
  }
  const IntentId denied = world.propose(world.call("t__write", "{}", Verdict::deny)).intent;
  EXPECT_EQ(asked(world), Actions({Answer{denied, world.state.tail}, Recheck{}}));
}

TEST(React, HeldIntentAsksPeople) {
  TestWorld world;
  const IntentId held = world.propose(world.call("t__drop", "{}", Verdict::two_step)).intent;
  EXPECT_EQ(asked(world), Actions({Notify{held, HoldReason::two_step}}));
}

TEST(React, WriteWithAProbeIsWatchedUntilItSettles) {
  TestWorld world;
  Propose command = world.call("t__write", "{}");
  command.assessment.has_probe = true;
  const IntentId write = world.propose(command).intent;
  asked(world);
  world.outcome(write, OutcomeKind::ok);
  EXPECT_EQ(asked(world), Actions({Answer{write, world.state.tail}, RunProbe{write}, Recheck{}}));
  for (const auto verdict : {ProbeVerdict::absent, ProbeVerdict::unclear}) {
    world.probe(write, verdict);
    EXPECT_EQ(asked(world), Actions({})) << to_string(verdict);
  }
  world.probe(write, ProbeVerdict::happened);
  EXPECT_EQ(asked(world), Actions({Recheck{}}));
}

TEST(React, UnknownOutcomeIsRetriedElseProbedElseLeftToPeople) {
  struct Case {
    bool idempotent;
    std::uint64_t attempts_max;
    bool has_probe;
    std::string_view expected;
  };
  const Case table[] = {
      {true, 2, true, "retry"},   {true, 2, false, "retry"}, {true, 1, true, "probe"},
      {true, 1, false, "people"}, {false, 2, true, "probe"}, {false, 2, false, "people"},
  };
  for (const auto& row : table) {
    TestWorld world;
    Propose command = world.call("t__write", "{}");
    command.assessment.idempotent = row.idempotent;
    command.assessment.attempts_max = row.attempts_max;
    command.assessment.has_probe = row.has_probe;
    const IntentId write = world.propose(command).intent;
    asked(world);
    world.outcome(write, OutcomeKind::unknown);
    const Actions expected =
        row.expected == "retry" ? Actions({Retry{write}})
        : row.expected == "probe"
            ? Actions({RunProbe{write}})
            : Actions({Notify{write, HoldReason::ask}, Answer{write, world.state.tail}});
    EXPECT_EQ(asked(world), expected) << row.expected;
  }
}

TEST(React, ProbeThatCannotTellLeavesItToPeople) {
  TestWorld world;
  Propose command = world.call("t__write", "{}");
  command.assessment.has_probe = true;
  const IntentId write = world.propose(command).intent;
  world.outcome(write, OutcomeKind::unknown);
  asked(world);
  world.probe(write, ProbeVerdict::unclear);
  EXPECT_EQ(asked(world),
            Actions({Notify{write, HoldReason::ask}, Answer{write, world.state.tail}}));
  world.probe(write, ProbeVerdict::happened);
  EXPECT_EQ(asked(world), Actions({Recheck{}, Answer{write, world.state.tail}, Recheck{}}))
      << "seen by its probe, so nothing is left to settle";
}

TEST(React, SkippedEntriesAskForNothing) {
  TestWorld world;
  const IntentId write = world.propose(world.call("t__write", "{}")).intent;
  const IntentId held = world.propose(world.call("t__ask", "{}", Verdict::ask)).intent;
  world.outcome(write, OutcomeKind::ok);
  asked(world);
  Outcome late;
  late.intent = write;
  Outcome of_nothing = late;
  of_nothing.intent = IntentId{99};
  Decision again;
  again.intent = write;
  Decision of_none;
  of_none.intent = IntentId{99};
  const std::pair<Role, Body> table[] = {
      {Role::executor, late},
      {Role::executor, of_nothing},
      {Role::decider, again},
      {Role::decider, of_none},
      {Role::executor, Attempt{write, 2, {}, 9}},
      {Role::executor, Attempt{held, 1, {}, 9}},
      {Role::decider, Held{write, HoldReason::ask, {}, {}}},
      {Role::decider, Held{held, HoldReason::settling, {}, {}}},
      {Role::executor, Probed{held, ProbeVerdict::unclear, "", {}}},
  };
  for (const auto& [role, body] : table) {
    ASSERT_EQ(world.force(role, "gavel", body), Folded::skipped) << name_of(body);
    EXPECT_EQ(react(world.state, world.log.back()), Actions({})) << name_of(body);
  }
}

}  // namespace
}  // namespace gavel

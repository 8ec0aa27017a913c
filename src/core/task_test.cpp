// Attempts that become tasks of their servers, and held intents that are taken back.
#include "core/test_world.hpp"

namespace gavel {
namespace {

class Tasks : public testing::Test {
protected:
  Tasks() { intent = world.propose(world.call("t__run", "{}")).intent; }
  Result<Plan> start(std::string task = "task-1") {
    return decide(world.state,
                  RecordTask{intent, std::move(task), "2026-07-28", Duration{500}, world.now});
  }
  const OpenIntent& open() { return world.state.open.at(intent); }

  TestWorld world;
  IntentId intent;
};

TEST_F(Tasks, AnAttemptInFlightBecomesOneOnce) {
  world.apply(start().value());
  EXPECT_EQ(open().task.task, "task-1");
  EXPECT_EQ(open().task.revision, "2026-07-28");
  EXPECT_EQ(open().phase, Phase::in_flight);
  const auto again = start("task-2");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::conflict);
  const TaskStarted forged{intent, 1, "task-2", "", {}};
  EXPECT_EQ(world.force(Role::executor, "gavel", forged), Folded::skipped);
}

TEST_F(Tasks, OneOfNoAttemptOrWithoutANameIsSkipped) {
  EXPECT_EQ(world.force(Role::executor, "gavel", TaskStarted{intent, 1, "", "", {}}),
            Folded::skipped);
  EXPECT_EQ(world.force(Role::executor, "gavel", TaskStarted{intent, 2, "t", "", {}}),
            Folded::skipped);
  const auto held = world.propose(world.call("t__held", "{}", Verdict::ask)).intent;
  EXPECT_EQ(world.force(Role::executor, "gavel", TaskStarted{held, 1, "t", "", {}}),
            Folded::skipped);
  world.outcome(intent, OutcomeKind::ok);
  EXPECT_FALSE(start());
}

TEST_F(Tasks, AreInTheSnapshotAndAskForAttentionAfterTheirDeadline) {
  const auto before = next_due(world.state);
  world.apply(start().value());
  const auto snapshot = decode_snapshot(encode_snapshot(world.state));
  ASSERT_TRUE(snapshot);
  EXPECT_EQ(*snapshot, world.state);
  ASSERT_TRUE(before && next_due(world.state));
  EXPECT_GT(*next_due(world.state), *before) << "no timer runs for what its server ends";
}

TEST_F(Tasks, TheNextAttemptIsNoTaskYet) {
  auto call = world.call("t__again", "{}");
  call.assessment.idempotent = true;
  call.assessment.attempts_max = 2;
  intent = world.propose(call).intent;
  world.apply(start().value());
  world.outcome(intent, OutcomeKind::unknown);
  EXPECT_EQ(open().task.task, "task-1") << "a person may look for it";
  world.apply(decide_retry(world.state, world.view(), intent, world.now).value());
  EXPECT_EQ(open().task.task, "");
}

TEST(Withdrawals, AreOfWhoeverAskedAndOfWhatIsHeld) {
  TestWorld world;
  const auto held = world.propose(world.call("t__held", "{}", Verdict::ask)).intent;
  const auto running = world.propose(world.call("t__run", "{}")).intent;
  const auto take_back = [&](IntentId intent, std::string who) {
    return decide(world.state, Withdraw{intent, Principal{std::move(who)}, world.now});
  };
  EXPECT_EQ(take_back(held, "somebody").error().code, ErrorCode::permission_denied);
  EXPECT_EQ(take_back(running, "agent").error().code, ErrorCode::conflict);
  world.apply(take_back(held, "agent").value());
  EXPECT_FALSE(world.state.open.contains(held));
  EXPECT_EQ(world.state.keys.at(world.state.key_of.at(held)).final, Final::aborted);
  EXPECT_FALSE(take_back(held, "agent"));
}

}  // namespace
}  // namespace gavel

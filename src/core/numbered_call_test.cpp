// Calls that their program numbers: a model that calls again gets a new number.
#include <gtest/gtest.h>

#include "core/test_world.hpp"

namespace gavel {
namespace {

Propose numbered(TestWorld& world, std::string number, Effect effect = Effect::write) {
  Propose call = world.call("t__call", "{}", Verdict::allow, effect);
  call.call_id = number;
  call.key = "call:" + std::move(number);
  call.key_source = KeySource::call_id;
  return call;
}

RecordOutcome outcome(TestWorld& world, IntentId intent, OutcomeKind kind) {
  RecordOutcome outcome;
  outcome.intent = intent;
  outcome.kind = kind;
  outcome.now = world.now;
  return outcome;
}

TEST(NumberedCall, RepeatsWhatIsNotFinished) {
  TestWorld world;
  const auto first = world.propose(numbered(world, "1"));
  ASSERT_EQ(first.disposition, Disposition::dispatch);
  const auto again = world.propose(numbered(world, "2"));
  EXPECT_EQ(again.disposition, Disposition::attach);
  EXPECT_EQ(again.intent, first.intent);
}

TEST(NumberedCall, RepeatsWhatNobodyKnowsTheEndOf) {
  TestWorld world;
  const auto first = world.propose(numbered(world, "1"));
  world.apply(decide(world.state, outcome(world, first.intent, OutcomeKind::unknown)).value());
  const auto again = world.propose(numbered(world, "2"));
  EXPECT_EQ(again.disposition, Disposition::attach);
  EXPECT_EQ(again.intent, first.intent);
}

TEST(NumberedCall, GetsTheAnswerThatNeverArrivedAndIsNewAfterIt) {
  TestWorld world;
  const auto first = world.propose(numbered(world, "1"));
  world.apply(decide(world.state, outcome(world, first.intent, OutcomeKind::ok)).value());
  const auto again = world.propose(numbered(world, "2"));
  EXPECT_EQ(again.disposition, Disposition::replay);
  EXPECT_EQ(again.intent, first.intent);
  world.apply(mark_delivered(world.state, first.intent, world.now));
  EXPECT_TRUE(world.folds_to_itself());
  // The program sends the second one again, after its answer arrived.
  EXPECT_EQ(world.propose(numbered(world, "2")).intent, first.intent);
  const auto other = world.propose(numbered(world, "3"));
  EXPECT_EQ(other.disposition, Disposition::dispatch);
  EXPECT_NE(other.intent, first.intent);
  EXPECT_EQ(world.propose(numbered(world, "1")).intent, first.intent);
}

TEST(NumberedCall, KeepsTheNumbersOfAllThatWaitedForIt) {
  TestWorld world;
  const auto first = world.propose(numbered(world, "1"));
  for (const char* number : {"2", "3", "2"}) {
    EXPECT_EQ(world.propose(numbered(world, number)).disposition, Disposition::attach);
  }
  world.apply(decide(world.state, outcome(world, first.intent, OutcomeKind::ok)).value());
  world.apply(mark_delivered(world.state, first.intent, world.now));
  EXPECT_EQ(world.state.joined.size(), 2u);
  EXPECT_TRUE(world.folds_to_itself());
  EXPECT_EQ(decode_snapshot(encode_snapshot(world.state)).value(), world.state);
  for (const char* number : {"1", "2", "3"}) {
    const auto again = world.propose(numbered(world, number));
    EXPECT_EQ(again.disposition, Disposition::replay);
    EXPECT_EQ(again.intent, first.intent);
  }
  auto changed = world.call("t__call", R"({"a":1})", Verdict::allow, Effect::write);
  changed.key = "call:2";
  changed.key_source = KeySource::call_id;
  const auto refused = decide(world.state, ControlView{}, changed);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::key_reused);
}

TEST(NumberedCall, IsRepeatedByOneWithoutANumber) {
  for (const auto kind : {OutcomeKind::unknown, OutcomeKind::ok}) {
    TestWorld world;
    const auto first = world.propose(numbered(world, "1"));
    const auto plain = world.call("t__call", "{}", Verdict::allow, Effect::write);
    EXPECT_EQ(world.propose(plain).intent, first.intent) << "it is at work";
    world.apply(decide(world.state, outcome(world, first.intent, kind)).value());
    EXPECT_EQ(world.propose(plain).intent, first.intent) << "its answer never arrived";
    EXPECT_TRUE(world.folds_to_itself());
    world.apply(mark_delivered(world.state, first.intent, world.now));
    const auto other = world.propose(plain);
    EXPECT_EQ(other.intent == first.intent, kind == OutcomeKind::unknown) << "the next is new";
    EXPECT_TRUE(world.folds_to_itself());
  }
}

TEST(NumberedCall, AndOneWithoutANumberAreTwoOnceItIsFinished) {
  TestWorld world;
  const auto first = world.propose(numbered(world, "1"));
  world.apply(decide(world.state, outcome(world, first.intent, OutcomeKind::ok)).value());
  world.apply(mark_delivered(world.state, first.intent, world.now));
  const auto plain = world.call("t__call", "{}", Verdict::allow, Effect::write);
  const auto other = world.propose(plain);
  EXPECT_NE(other.intent, first.intent);
  EXPECT_EQ(other.disposition, Disposition::dispatch);
  auto keyed = numbered(world, "x");
  keyed.key = "mine";
  keyed.key_source = KeySource::client;
  const auto own = world.propose(keyed);
  EXPECT_EQ(world.propose(plain).intent, other.intent) << "a client's key is an action of its own";
  EXPECT_NE(own.intent, other.intent);
}

TEST(NumberedCall, OtherArgumentsAndKeysOfAClientAreOtherActions) {
  TestWorld world;
  const auto first = world.propose(numbered(world, "1"));
  auto other = world.call("t__call", R"({"a":1})", Verdict::allow, Effect::write);
  other.key = "call:2";
  other.key_source = KeySource::call_id;
  EXPECT_NE(world.propose(other).intent, first.intent);
  auto keyed = numbered(world, "3");
  keyed.key = "mine";
  keyed.key_source = KeySource::client;
  EXPECT_NE(world.propose(keyed).intent, first.intent);
}

}  // namespace
}  // namespace gavel

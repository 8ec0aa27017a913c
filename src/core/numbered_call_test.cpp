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
  EXPECT_EQ(world.state.joined.size(), 3u) << "two numbers, and which repetition it was";
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

// Makes the call and gives its answer.
IntentId done(TestWorld& world, const Propose& call, OutcomeKind kind = OutcomeKind::ok) {
  const auto proposed = world.propose(call);
  if (proposed.disposition == Disposition::dispatch) world.outcome(proposed.intent, kind);
  world.deliver(proposed.intent);
  return proposed.intent;
}

void wake(TestWorld& world) {
  world.apply(decide(world.state, Elect{Principal{"agent"}, "died", world.now}).value());
}

TEST(NumberedCall, OfANewDriverMeetsTheSameRepetitionOfAnEarlierOne) {
  TestWorld world;
  const auto first = done(world, numbered(world, "1"));
  const auto second = done(world, numbered(world, "2"));
  EXPECT_NE(first, second) << "within an epoch a new number is a new call";
  wake(world);
  EXPECT_EQ(world.propose(numbered(world, "a1")).disposition, Disposition::replay);
  EXPECT_EQ(world.propose(numbered(world, "a1")).intent, first) << "sent again, it is the same";
  world.deliver(first);
  EXPECT_EQ(done(world, numbered(world, "a2")), second);
  const auto third = done(world, numbered(world, "a3"));
  EXPECT_GT(third, second) << "further than anyone got";
  EXPECT_TRUE(world.folds_to_itself());
  EXPECT_EQ(decode_snapshot(encode_snapshot(world.state)).value(), world.state);
  wake(world);
  for (const auto& [number, intent] : {std::pair{"b1", first}, {"b2", second}, {"b3", third}}) {
    EXPECT_EQ(done(world, numbered(world, number)), intent);
  }
  EXPECT_TRUE(world.folds_to_itself());
}

TEST(NumberedCall, OfANewDriverWaitsForWhatIsStillOpen) {
  for (const bool lost : {false, true}) {
    TestWorld world;
    const auto first = done(world, numbered(world, "1"));
    const auto open = world.propose(numbered(world, "2")).intent;
    if (lost) world.apply(decide(world.state, outcome(world, open, OutcomeKind::unknown)).value());
    wake(world);
    EXPECT_EQ(done(world, numbered(world, "a1")), first);
    const auto again = world.propose(numbered(world, "a2"));
    EXPECT_EQ(again.disposition, Disposition::attach);
    EXPECT_EQ(again.intent, open);
    EXPECT_TRUE(world.folds_to_itself());
  }
}

TEST(NumberedCall, OfANewDriverIsTriedAnewWhereItFailed) {
  TestWorld world;
  const auto failed = done(world, numbered(world, "1"), OutcomeKind::failed);
  const auto worked = done(world, numbered(world, "2"));
  wake(world);
  EXPECT_EQ(done(world, numbered(world, "a1")), worked);
  EXPECT_GT(done(world, numbered(world, "a2")), worked);
  EXPECT_LT(failed, worked);
  EXPECT_TRUE(world.folds_to_itself());
}

TEST(NumberedCall, AndOneWithoutANumberMeetAcrossDrivers) {
  TestWorld world;
  const auto plain = [&] { return world.call("t__call", "{}", Verdict::allow, Effect::write); };
  const auto first = done(world, numbered(world, "1"));
  const auto second = done(world, plain());
  EXPECT_NE(first, second);
  wake(world);
  EXPECT_EQ(done(world, plain()), first);
  EXPECT_EQ(done(world, numbered(world, "a2")), second);
  EXPECT_TRUE(world.folds_to_itself());
}

TEST(NumberedCall, WhoseServerAskedHasTheRoundsOfTheOneThatAsked) {
  const auto answered = [](const TestWorld& world, const std::string& number) {
    Propose round = world.call("t__call", R"({"com.gavel/input":{"requestState":"1"}})");
    round.round_of = world.call("t__call", "{}").digest;
    if (number.empty()) return round;
    round.key = "call:" + number;
    round.key_source = KeySource::call_id;
    return round;
  };
  TestWorld world;
  const auto asked = done(world, numbered(world, "1"), OutcomeKind::failed);
  const auto round = done(world, answered(world, "1"));
  EXPECT_NE(round, asked);
  wake(world);
  EXPECT_EQ(done(world, numbered(world, "a1")), asked) << "it is asked the same";
  EXPECT_EQ(done(world, answered(world, "a1")), round) << "what it answers alike is not done again";
  wake(world);
  EXPECT_EQ(done(world, world.call("t__call", "{}")), asked);
  EXPECT_GT(done(world, numbered(world, "b2")), round) << "another, before the first is answered";
  EXPECT_EQ(done(world, answered(world, "")), round);
  EXPECT_TRUE(world.folds_to_itself());
}

TEST(NumberedCall, ThatKeepsItsNumbersIsCountedByThem) {
  TestWorld world;
  const auto first = done(world, numbered(world, "f:0"));
  const auto second = done(world, numbered(world, "f:1"));
  wake(world);
  EXPECT_EQ(done(world, numbered(world, "f:1")), second);
  EXPECT_EQ(done(world, numbered(world, "f:0")), first);
  const auto third = done(world, numbered(world, "f:2"));
  EXPECT_GT(third, second) << "a third was wanted";
  EXPECT_EQ(done(world, numbered(world, "f:2")), third);
  EXPECT_TRUE(world.folds_to_itself());
}

TEST(NumberedCall, WhoseReplayedAnswerNeverArrivedIsRepeated) {
  for (const bool is_numbered : {true, false}) {
    TestWorld world;
    const auto call = [&](const std::string& number) {
      return is_numbered ? numbered(world, number)
                         : world.call("t__call", "{}", Verdict::allow, Effect::write);
    };
    const auto first = done(world, call("1"));
    wake(world);
    for (const char* number : {"a1", "a2"}) {
      const auto again = world.propose(call(number));
      EXPECT_EQ(again.disposition, Disposition::replay);
      EXPECT_EQ(again.intent, first);
    }
    world.deliver(first);
    EXPECT_GT(done(world, call("a3")), first);
    EXPECT_TRUE(world.folds_to_itself());
    EXPECT_EQ(decode_snapshot(encode_snapshot(world.state)).value(), world.state);
  }
}

TEST(NumberedCall, ThatJoinedAClientsKeyIsFoundByALaterDriver) {
  TestWorld world;
  auto keyed = numbered(world, "x");
  keyed.key = "mine";
  keyed.key_source = KeySource::client;
  const auto first = world.propose(keyed).intent;
  EXPECT_EQ(world.propose(numbered(world, "1")).intent, first) << "it is at work";
  world.outcome(first, OutcomeKind::ok);
  world.deliver(first);
  wake(world);
  EXPECT_EQ(done(world, numbered(world, "a1")), first);
  EXPECT_TRUE(world.folds_to_itself());
}

TEST(NumberedCall, ReadsAnewWhatMayHaveChanged) {
  TestWorld world;
  const auto read = [&](const std::string& number) {
    return done(world, numbered(world, number, Effect::read));
  };
  const auto first = read("1");
  const auto wrote = done(world, world.call("t__write", "{}"));
  const auto second = read("2");
  wake(world);
  EXPECT_EQ(read("a1"), first) << "nothing is new yet";
  EXPECT_EQ(done(world, world.call("t__write", "{}")), wrote);
  EXPECT_EQ(read("a2"), second);
  wake(world);
  EXPECT_EQ(read("b1"), first);
  const auto anew = done(world, world.call("t__write", R"({"another":1})"));
  EXPECT_GT(read("b2"), anew);
  EXPECT_GT(done(world, world.call("t__call", "{}", Verdict::allow, Effect::read)), anew);
  EXPECT_TRUE(world.folds_to_itself());
  EXPECT_EQ(decode_snapshot(encode_snapshot(world.state)).value(), world.state);
}

TEST(NumberedCall, ReadsAnewHoweverOftenItWasReadBefore) {
  TestWorld world;
  const std::uint64_t often = kFailedRunsMax + 1'000;
  for (std::uint64_t n = 1; n <= often; ++n) {
    done(world, numbered(world, std::to_string(n), Effect::read));
  }
  wake(world);
  done(world, world.call("t__write", "{}"));
  for (const std::uint64_t further : {1U, 2U}) {
    const auto read = world.propose(numbered(world, "a" + std::to_string(further), Effect::read));
    EXPECT_EQ(read.disposition, Disposition::dispatch);
    EXPECT_EQ(world.state.open.at(read.intent).proposal.occurrence, often + further);
    world.outcome(read.intent, OutcomeKind::ok);
    world.deliver(read.intent);
  }
  EXPECT_EQ(world.state.counters.skipped, 0u);
}

TEST(NumberedCall, OfARerunReadsWhatTheRunBeforeItRead) {
  TestWorld world;
  const auto read = [&](const std::string& number) {
    return done(world, numbered(world, number, Effect::read));
  };
  const auto write = [&] { return done(world, world.call("t__write", "{}")); };
  read("1");
  wake(world);
  const auto wrote = write();
  const auto after = read("a1");
  EXPECT_GT(after, wrote) << "what the first driver read is out of date";
  for (const std::string driver : {"b", "c"}) {
    wake(world);
    EXPECT_EQ(write(), wrote);
    EXPECT_EQ(read(driver + "1"), after) << "and what the second one read is not";
    EXPECT_TRUE(world.folds_to_itself());
  }
}

TEST(NumberedCall, ReadsAnewWhatItReadBeforeAWriteEvenIfItsAnswerNeverArrived) {
  TestWorld world;
  const auto before = world.propose(numbered(world, "1", Effect::read)).intent;
  world.outcome(before, OutcomeKind::ok);
  EXPECT_EQ(world.propose(numbered(world, "2", Effect::read)).intent, before);
  done(world, world.call("t__write", "{}"));
  EXPECT_GT(done(world, numbered(world, "3", Effect::read)), before);
}

TEST(NumberedCall, WhoseReplayedRoundWasLostIsAskedAndAnsweredTheSame) {
  TestWorld world;
  const auto round_of = [&](const std::string& number) {
    Propose round = world.call("t__call", R"({"com.gavel/input":{"requestState":"1"}})");
    round.round_of = world.call("t__call", "{}").digest;
    round.key = "call:" + number;
    round.key_source = KeySource::call_id;
    return round;
  };
  const auto asked = done(world, numbered(world, "1"), OutcomeKind::failed);
  const auto round = done(world, round_of("1"));
  wake(world);
  EXPECT_EQ(done(world, numbered(world, "b1")), asked);
  EXPECT_EQ(world.propose(round_of("b1")).intent, round) << "its answer never arrives";
  EXPECT_EQ(done(world, numbered(world, "b2")), asked);
  EXPECT_EQ(done(world, round_of("b2")), round);
  EXPECT_GT(done(world, numbered(world, "b3")), round) << "another";
  EXPECT_TRUE(world.folds_to_itself());
}

TEST(NumberedCall, IsMatchedInBoundedTimeWhateverKeysClientsGive) {
  TestWorld world;
  const auto call = world.call("t__call", "{}", Verdict::allow, Effect::read);
  for (int power = 1; power <= 64; ++power) {
    auto squatter = call;
    const auto n = power == 64 ? UINT64_MAX : (std::uint64_t{1} << power) - 1;
    squatter.key = derived_key("t__call", call.digest, n);
    squatter.key_source = KeySource::client;
    done(world, squatter);
  }
  done(world, world.call("t__write", "{}"));
  const auto read = decide(world.state, world.view(), call);
  EXPECT_TRUE(read || read.error().code == ErrorCode::too_large);
  if (read) world.apply(read->plan);
  Replayed leap{IntentId{3}, UINT64_MAX, ""};
  EXPECT_EQ(world.force(Role::decider, "gavel", leap), Folded::skipped);
}

TEST(NumberedCall, WithARoundMarkInItsNumberIsNoRound) {
  TestWorld world;
  auto call = numbered(world, "x+y");
  call.key = numbered_key("x+y");
  done(world, call);
  EXPECT_TRUE(world.state.rounds.empty());
}

TEST(NumberedCall, OfALogThatDidNotCountThemIsNew) {
  TestWorld world;
  const auto first = done(world, numbered(world, "1"));
  for (auto& entry : world.log) {
    if (auto* proposal = std::get_if<IntentProposed>(&entry.body)) proposal->occurrence = 0;
  }
  State old;
  old.session = world.state.session;
  for (const auto& entry : world.log) EXPECT_EQ(fold(old, entry), Folded::applied);
  world.state = old;
  wake(world);
  EXPECT_NE(done(world, numbered(world, "a1")), first);
  EXPECT_TRUE(world.folds_to_itself());
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

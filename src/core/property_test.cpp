// Sessions under random commands. What decide says must fold, and an oracle that reads the log on
// its own must find the invariants kept. Each seed is a test of its own, so a failure replays with
// --gtest_filter of its name.
#include "core/test_session.hpp"

namespace gavel {
namespace {

constexpr int kSteps = 90;

class Property : public testing::TestWithParam<std::uint64_t> {};

TEST_P(Property, RandomSessionKeepsTheInvariants) {
  RandomSession session(GetParam());
  for (int step = 0; step < kSteps; ++step) {
    ASSERT_NO_FATAL_FAILURE(session.step()) << "step " << step;
    ASSERT_EQ(session.oracle.complaint, "") << "step " << step;
    for (const auto& log : {LogId{}, LogId{"control/budget/b"}}) {
      ASSERT_LE(session.calls_taken(log), kCallsMax) << "step " << step;
    }
  }
  const State& state = session.world.state;
  EXPECT_TRUE(session.world.folds_to_itself());
  EXPECT_EQ(state.counters.skipped, 0u);
  EXPECT_EQ(decode_snapshot(encode_snapshot(state)), state);
}

// Entries changed, cut, dropped and doubled: whatever still decodes folds, twice alike, and its
// state can be kept and worked with.
TEST_P(Property, GarbledLogFoldsWithoutHarm) {
  RandomSession session(GetParam());
  for (int step = 0; step < kSteps; ++step) session.step();
  State once;
  State twice;
  for (const auto& entry : session.world.log) {
    std::string bytes = encode(entry);
    for (auto changes = session.pick(3); changes > 0; --changes) {
      bytes[session.pick(bytes.size())] = static_cast<char>(session.pick(256));
    }
    if (session.pick(8) == 0) bytes.resize(session.pick(bytes.size() + 1));
    for (auto copies = session.pick(3); copies > 0; --copies) {
      const auto garbled = decode(once.tail.next(), bytes);
      if (!garbled) break;
      ASSERT_EQ(decode(once.tail.next(), encode(*garbled)), garbled);
      ASSERT_TRUE(parse_json(write_json(to_json(*garbled))));
      ASSERT_EQ(fold(once, *garbled), fold(twice, *garbled));
      (void)react(once, *garbled);
    }
  }
  EXPECT_EQ(once, twice);
  EXPECT_EQ(decode_snapshot(encode_snapshot(once)), once);
  (void)next_due(once);
  for (const auto id : due_intents(once, session.world.now)) {
    (void)decide_due(once, {}, id, session.world.now);
  }
}

INSTANTIATE_TEST_SUITE_P(Seed, Property, testing::Range<std::uint64_t>(1, 41));

}  // namespace
}  // namespace gavel

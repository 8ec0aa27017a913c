#include <fmt/format.h>

#include "core/test_world.hpp"
#include "core/wire.hpp"

namespace gavel {
namespace {

// A session with something in every part of its state.
TestWorld busy_world() {
  TestWorld world;
  Propose settling = world.call("t__write", R"({"n":1})");
  settling.assessment.has_probe = true;
  settling.assessment.budgets = {BudgetClaim{"b", LogId{}, 10, Duration{1'000'000}}};
  const IntentId done = world.propose(settling).intent;
  world.now = world.now + Duration{20};
  world.outcome(done, OutcomeKind::ok);
  world.deliver(done);
  world.propose(world.call("t__write", R"({"n":2})"));
  const IntentId two = world.propose(world.call("t__drop", "{}", Verdict::two_step)).intent;
  world.apply(world.vote(two, Verdict::allow).value());
  Propose read = world.call("t__read", "{}", Verdict::allow, Effect::read);
  read.assessment.budgets = {BudgetClaim{"b", LogId{}, 10, Duration{0}},
                             BudgetClaim{"c", LogId{"control/budget/c"}, 10, Duration{0}}};
  world.propose(read);
  world.propose(world.call("t__denied", "{}", Verdict::deny));
  world.apply(refuse(world.state, {Principal{"z"}, Epoch{1}, "propose",
                                   Error{ErrorCode::stale_epoch, "old"}, world.now}));
  world.force(Role::driver, "agent", UnknownEntry{99, "x", 0});
  return world;
}

TEST(Snapshot, IsTheState) {
  const TestWorld world = busy_world();
  const State& state = world.state;
  ASSERT_FALSE(state.open.empty() || state.keys.empty() || state.occurrences.empty() ||
               state.budgets.empty() || state.settling.empty());
  ASSERT_FALSE(state.budgets.at("b").reserved.empty());
  ASSERT_GT(state.counters.skipped * state.counters.refused * state.fencing_token, 0u);
  const auto restored = decode_snapshot(encode_snapshot(state));
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_EQ(*restored, state);
  EXPECT_EQ(decode_snapshot(encode_snapshot(State{})), State{});
}

TEST(Snapshot, GoesOnLikeTheLog) {
  TestWorld world = busy_world();
  State restored = decode_snapshot(encode_snapshot(world.state)).value();
  world.now = world.now + Duration{10'000};
  const std::size_t from = world.log.size();
  for (const auto id : due_intents(world.state, world.now)) {
    world.apply(decide_due(world.state, world.view(), id, world.now).value());
  }
  world.propose(world.call("t__read", R"({"more":1})", Verdict::allow, Effect::read));
  ASSERT_GT(world.log.size(), from);
  for (std::size_t i = from; i < world.log.size(); ++i) fold(restored, world.log[i]);
  EXPECT_EQ(restored, world.state);
}

TEST(Snapshot, RefusesWhatItCannotRead) {
  EXPECT_EQ(decode_snapshot("").error().message, "the snapshot is empty");
  EXPECT_EQ(decode_snapshot("\x09").error().code, ErrorCode::unsupported);
  const std::string bytes = encode_snapshot(busy_world().state);
  EXPECT_EQ(decode_snapshot(bytes.substr(0, bytes.size() - 1)).error().message,
            "the snapshot is garbled");
}

TEST(Snapshot, EveryFlippedByteGivesAStateOrAnError) {
  const std::string bytes = encode_snapshot(busy_world().state);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string garbled = bytes;
      garbled[i] = static_cast<char>(static_cast<unsigned char>(garbled[i]) ^ flip);
      auto state = decode_snapshot(garbled);
      if (!state) continue;
      // Whatever it says, it can be worked with.
      (void)next_due(*state);
      for (const auto id : due_intents(*state, Timestamp{kTimeMaxMs})) {
        (void)decide_due(*state, {}, id, Timestamp{kTimeMaxMs});
      }
    }
  }
}

TEST(Snapshot, RefusesAStateThatContradictsItself) {
  const TestWorld world = busy_world();
  const auto refused = [&](const auto& spoil) {
    State state = world.state;
    spoil(state);
    const auto restored = decode_snapshot(encode_snapshot(state));
    return restored ? "taken" : restored.error().message;
  };
  const std::string expected = "the snapshot contradicts itself";
  const std::string key = world.state.open.begin()->second.proposal.key;
  EXPECT_EQ(refused([&](State& s) { s.keys.erase(key); }), expected);
  EXPECT_EQ(refused([&](State& s) { s.keys.at(key).closed = true; }), expected);
  EXPECT_EQ(refused([&](State& s) { s.keys.at(key).intent = IntentId{77}; }), expected);
  EXPECT_EQ(refused([&](State& s) { s.keys["another"] = s.keys.at(key); }), expected)
      << "two keys of one intent";
  EXPECT_EQ(refused([&](State& s) {
              for (auto& [id, open] : s.open) open.hold.reset();
            }),
            expected)
      << "held, and nothing says why";
  EXPECT_EQ(refused([&](State& s) { s.budgets.at("b").wall_clock_used = Duration{-1}; }), expected);
  EXPECT_EQ(refused([&](State& s) {
              s.budgets.at("b").reserved.begin()->second.wall_clock = Duration{-1};
            }),
            expected);
}

}  // namespace
}  // namespace gavel

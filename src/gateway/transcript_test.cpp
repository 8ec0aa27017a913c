#include "gateway/transcript.hpp"

#include <gtest/gtest.h>

namespace gavel {
namespace {

Entry entry(std::uint64_t position, Body body) {
  Entry made;
  made.position = Position{position};
  made.at = Timestamp{1000 + static_cast<std::int64_t>(position)};
  made.body = std::move(body);
  return made;
}

IntentProposed intent(std::string tool) {
  IntentProposed proposed;
  proposed.tool = std::move(tool);
  proposed.effect = Effect::write;
  proposed.key = "k";
  return proposed;
}

Outcome outcome(std::uint64_t of, OutcomeKind kind, std::string reason = {}) {
  Outcome made;
  made.intent = IntentId{of};
  made.kind = kind;
  made.reason = std::move(reason);
  return made;
}

Decision decision(std::uint64_t of, Ruling ruling, std::string reason) {
  Decision made;
  made.intent = IntentId{of};
  made.ruling = ruling;
  made.reason = std::move(reason);
  return made;
}

Attempt attempt(std::uint64_t of) {
  Attempt made;
  made.intent = IntentId{of};
  return made;
}

std::string phase_after(std::vector<Body> bodies) {
  Transcript transcript;
  std::uint64_t position = 0;
  for (auto& body : bodies) transcript.add(entry(++position, std::move(body)));
  return transcript.items().at(0).phase;
}

TEST(Transcript, FollowsAnIntentThroughItsPhases) {
  Held held;
  held.intent = IntentId{1};
  const auto commit = decision(1, Ruling::commit, "ok");
  EXPECT_EQ(phase_after({intent("t")}), "proposed");
  EXPECT_EQ(phase_after({intent("t"), held}), "held");
  EXPECT_EQ(phase_after({intent("t"), held, commit, attempt(1)}), "in_flight");
  EXPECT_EQ(phase_after({intent("t"), commit, attempt(1), outcome(1, OutcomeKind::unknown)}),
            "unknown");
  EXPECT_EQ(phase_after({intent("t"), commit, attempt(1), outcome(1, OutcomeKind::unknown),
                         outcome(1, OutcomeKind::ok)}),
            "ok");
  EXPECT_EQ(phase_after({intent("t"), decision(1, Ruling::abort, "no")}), "aborted");
}

TEST(Transcript, TheFirstDecisionAndOutcomeStand) {
  Transcript transcript;
  transcript.add(entry(1, intent("t")));
  transcript.add(entry(2, decision(1, Ruling::abort, "first")));
  transcript.add(entry(3, decision(1, Ruling::commit, "second")));
  transcript.add(entry(4, outcome(1, OutcomeKind::ok)));
  EXPECT_EQ(transcript.items().at(0).phase, "aborted");
  EXPECT_EQ(transcript.items().at(0).reason, "first");
}

TEST(Transcript, KeepsOrderEpochAndReplays) {
  Transcript transcript;
  EpochElected elected;
  elected.epoch = Epoch{3};
  transcript.add(entry(1, elected));
  transcript.add(entry(2, intent("a")));
  transcript.add(entry(3, intent("b")));
  Replayed replayed;
  replayed.intent = IntentId{2};
  transcript.add(entry(4, replayed));
  transcript.add(entry(5, replayed));
  // Of an intent that is not there.
  transcript.add(entry(6, outcome(99, OutcomeKind::ok)));
  const auto items = transcript.items();
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(items[0].tool, "a");
  EXPECT_EQ(items[0].replays, 2U);
  EXPECT_EQ(items[0].proposed_at, Timestamp{1002});
  EXPECT_EQ(items[1].tool, "b");
  EXPECT_EQ(transcript.epoch(), Epoch{3});
}

}  // namespace
}  // namespace gavel

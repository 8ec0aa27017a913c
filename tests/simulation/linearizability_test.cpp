#include "linearizability.hpp"

#include <gtest/gtest.h>

#include "rng.hpp"

namespace gavel::simulation {
namespace {

using Kind = LogOperation::Kind;

LogOperation append(std::uint64_t called, std::optional<std::uint64_t> returned,
                    std::uint64_t expected, std::uint64_t entry, bool accepted = true) {
  LogOperation made;
  made.kind = Kind::append;
  made.called = called;
  made.returned = returned;
  made.parts = {{.expected_tail = expected, .entry = entry}};
  if (!accepted) made.refused = LogOperation::Refusal::tail;
  return made;
}

// Of the first log, one after the other at moments 1, 2, ...
std::vector<LogOperation> in_turn(std::vector<LogOperation> history) {
  for (std::size_t i = 0; i < history.size(); ++i) {
    history[i].called = 2 * i + 1;
    history[i].returned = 2 * i + 2;
  }
  return history;
}

LogOperation of_parts(std::vector<LogOperation::Part> parts,
                      std::vector<LogOperation::Guard> guards = {},
                      std::optional<LogOperation::Refusal> refused = std::nullopt) {
  LogOperation made;
  made.kind = Kind::append;
  made.parts = std::move(parts);
  made.guards = std::move(guards);
  made.refused = refused;
  return made;
}

LogOperation read_of(std::size_t log, std::vector<std::uint64_t> entries) {
  LogOperation made;
  made.log = log;
  made.entries = std::move(entries);
  return made;
}

LogOperation read(std::uint64_t called, std::uint64_t returned,
                  std::vector<std::uint64_t> entries) {
  LogOperation made;
  made.called = called;
  made.returned = returned;
  made.entries = std::move(entries);
  return made;
}

LogOperation tail(std::uint64_t called, std::uint64_t returned, std::uint64_t length) {
  LogOperation made;
  made.kind = Kind::tail;
  made.called = called;
  made.returned = returned;
  made.tail = length;
  return made;
}

struct Case {
  std::string name;
  Linearity verdict;
  std::vector<LogOperation> history;
};

class Histories : public testing::TestWithParam<Case> {};

TEST_P(Histories, AreJudged) {
  const auto judgement = judge(GetParam().history);
  EXPECT_EQ(judgement.verdict, GetParam().verdict) << judgement.explanation;
}

constexpr auto kYes = Linearity::linearizable;
constexpr auto kNo = Linearity::not_linearizable;
constexpr auto kEpoch = LogOperation::Refusal::epoch;
constexpr auto kGuard = LogOperation::Refusal::guard;

INSTANTIATE_TEST_SUITE_P(
    ByHand, Histories,
    testing::Values(
        Case{"Nothing", kYes, {}},
        Case{"OneAfterTheOther", kYes, {append(1, 2, 0, 7), read(3, 4, {7}), tail(5, 6, 1)}},
        Case{"AStaleRead", kNo, {append(1, 2, 0, 7), read(3, 4, {})}},
        Case{"AReadDuringTheAppendMayMissIt", kYes, {append(1, 5, 0, 7), read(2, 3, {})}},
        Case{"AReadDuringTheAppendMaySeeIt", kYes, {append(1, 5, 0, 7), read(2, 3, {7})}},
        Case{"NothingIsSeenAndThenUnseen",
             kNo,
             {append(1, 9, 0, 7), read(2, 3, {7}), read(4, 5, {})}},
        Case{"TwoAtOneTail", kNo, {append(1, 4, 0, 7), append(2, 3, 0, 8)}},
        Case{"TheSecondIsRefused", kYes, {append(1, 4, 0, 7), append(2, 3, 0, 8, false)}},
        Case{"RefusedWithoutReason", kNo, {append(1, 2, 0, 7, false)}},
        Case{"ALostAppend", kNo, {append(1, 2, 0, 7), append(3, 4, 0, 8), read(5, 6, {8})}},
        Case{"AnUnknownOneMayHaveHappened",
             kYes,
             {append(1, std::nullopt, 0, 7), append(2, 3, 1, 8), read(4, 5, {7, 8})}},
        Case{"AnUnknownOneMayNeverHappen",
             kYes,
             {append(1, std::nullopt, 0, 7), append(2, 3, 0, 8), read(4, 5, {8})}},
        Case{"AnUnknownOneHappensOnce",
             kNo,
             {append(1, std::nullopt, 0, 7), read(2, 3, {7}), read(4, 5, {7, 7})}},
        Case{"AnUnknownOneDoesNotHappenBeforeItsCall",
             kNo,
             {read(1, 2, {7}), append(3, std::nullopt, 0, 7)}},
        Case{"AnotherOrderThanThatOfReaders",
             kNo,
             {append(1, 9, 0, 7), append(1, 9, 1, 8), read(2, 3, {7}), read(4, 5, {8})}},
        Case{"BothPartsOrNone", kNo,
             in_turn({of_parts({{.log = 0, .entry = 7}, {.log = 1, .entry = 8}}), read_of(0, {7}),
                      read_of(1, {})})},
        Case{"AnElectionEndsTheEpochBefore", kYes,
             in_turn({of_parts({{.entry = 7, .epoch = 1, .elects = true}}),
                      of_parts({{.expected_tail = 1, .entry = 8}}, {}, kEpoch),
                      of_parts({{.expected_tail = 1, .entry = 9, .epoch = 1}})})},
        Case{"AStaleDriverIsAccepted", kNo,
             in_turn({of_parts({{.entry = 7, .epoch = 1, .elects = true}}),
                      of_parts({{.expected_tail = 1, .entry = 8}})})},
        Case{"TwoAreElectedToOneEpoch", kNo,
             in_turn({of_parts({{.entry = 7, .epoch = 1, .elects = true}}),
                      of_parts({{.expected_tail = 1, .entry = 8, .epoch = 1, .elects = true}})})},
        Case{"AGuardSeesWhatWasRaised", kYes,
             in_turn({of_parts({{.log = 1, .entry = 7, .raises_barrier = true}}),
                      of_parts({{.entry = 8}}, {{.log = 1, .barrier = 0}}, kGuard),
                      of_parts({{.entry = 8}}, {{.log = 1, .barrier = 1}})})},
        Case{"AGuardSeesNothing", kNo,
             in_turn({of_parts({{.log = 1, .entry = 7, .raises_barrier = true}}),
                      of_parts({{.entry = 8}}, {{.log = 1, .barrier = 0}})})},
        Case{"AGuardRefusesWithoutReason", kNo,
             in_turn({of_parts({{.entry = 8}}, {{.log = 1, .barrier = 0}}, kGuard)})}),
    [](const auto& info) { return info.param.name; });

// A history made by one object whose operations overlap at random.
std::vector<LogOperation> true_history(Rng& rng, std::size_t operations) {
  std::vector<LogOperation> history;
  std::vector<std::uint64_t> state;
  for (std::size_t i = 0; i < operations; ++i) {
    const std::uint64_t moment = 100 * (i + 1);
    LogOperation made;
    made.kind = static_cast<Kind>(rng.below(3));
    made.called = moment - std::min<std::uint64_t>(moment - 1, rng.below(400));
    made.returned = moment + rng.below(400);
    if (made.kind == Kind::append) {
      const std::uint64_t at = rng.one_in(3) ? rng.below(state.size() + 2) : state.size();
      made.parts = {{.expected_tail = at, .entry = i + 1}};
      if (at != state.size()) made.refused = LogOperation::Refusal::tail;
      if (!made.refused) state.push_back(i + 1);
      if (rng.one_in(8)) made.returned.reset();
    }
    made.entries = state;
    made.tail = state.size();
    history.push_back(std::move(made));
  }
  return history;
}

TEST(Judge, AcceptsWhatOneObjectDid) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Rng rng(seed);
    const auto judgement = judge(true_history(rng, 40));
    EXPECT_EQ(judgement.verdict, kYes) << "seed " << seed << "\n" << judgement.explanation;
  }
}

TEST(Judge, FindsAReadOfWhatWasNeverThere) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Rng rng(seed);
    auto history = true_history(rng, 30);
    history[15].kind = Kind::read;
    history[15].returned = history[15].called + 1;
    history[15].entries = {999};
    EXPECT_EQ(judge(history).verdict, kNo) << "seed " << seed;
  }
}

TEST(Judge, GivesUpLoudly) {
  Rng rng(1);
  EXPECT_EQ(judge(true_history(rng, 40), 5).verdict, Linearity::gave_up);
}

}  // namespace
}  // namespace gavel::simulation

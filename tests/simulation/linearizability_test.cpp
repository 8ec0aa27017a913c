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
  made.expected_tail = expected;
  made.entry = entry;
  made.accepted = accepted;
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
             {append(1, 9, 0, 7), append(1, 9, 1, 8), read(2, 3, {7}), read(4, 5, {8})}}),
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
      made.entry = i + 1;
      made.expected_tail = rng.one_in(3) ? rng.below(state.size() + 2) : state.size();
      made.accepted = made.expected_tail == state.size();
      if (made.accepted) state.push_back(made.entry);
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

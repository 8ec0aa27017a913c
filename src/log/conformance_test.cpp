// The promises of the Log port (log/log.hpp), asked of every engine.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <mutex>
#include <thread>

#include "log/admission.hpp"
#include "log/log.hpp"
#include "log/log_testing.hpp"
#include "log/memory_log.hpp"
#include "log/rocks_log.hpp"

namespace gavel::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct Engine {
  const char* name;
  std::unique_ptr<Log> (*make)(const TempDirectory& directory);
};

std::unique_ptr<Log> make_memory(const TempDirectory&) {
  return make_memory_log();
}

std::unique_ptr<Log> open_rocks(const TempDirectory& directory) {
  RocksOptions options;
  options.directory = directory.sub("store");
  auto log = open_rocks_log(options);
  EXPECT_TRUE(log.has_value()) << log.error().message;
  return log ? std::move(*log) : nullptr;
}

class Conformance : public ::testing::TestWithParam<Engine> {
protected:
  void SetUp() override {
    log_ = GetParam().make(directory_);
    ASSERT_NE(log_, nullptr);
  }
  Head head(const std::string& name) {
    const auto head = log_->head(LogId{name});
    EXPECT_TRUE(head.has_value());
    return head.value_or(Head{});
  }

  TempDirectory directory_;
  std::unique_ptr<Log> log_;
};

INSTANTIATE_TEST_SUITE_P(Engines, Conformance,
                         ::testing::Values(Engine{"memory", &make_memory},
                                           Engine{"rocksdb", &open_rocks}),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST_P(Conformance, LogThatWasNeverWrittenHasAnEmptyHead) {
  const Head none = head("s");
  EXPECT_EQ(none.log, LogId{"s"});
  EXPECT_EQ(none.tail.value, 0u);
  EXPECT_EQ(none.epoch.value, 0u);
  EXPECT_TRUE(none.chain.is_zero());
  EXPECT_THAT(entries_of(*log_, "s"), IsEmpty());
}

TEST_P(Conformance, AppendTakesTheNextPositionsAndIsRead) {
  const auto first = put(*log_, part("s", 0, {"a", "b"}));
  ASSERT_TRUE(first.has_value()) << first.error().message;
  EXPECT_THAT(first->tails, ElementsAre(Position{2}));
  EXPECT_FALSE(first->repeated);
  ASSERT_TRUE(put(*log_, part("s", 2, {"c"})).has_value());
  EXPECT_THAT(entries_of(*log_, "s"), ElementsAre("a", "b", "c"));
  EXPECT_EQ(head("s").tail.value, 3u);
  EXPECT_EQ(head("s").durable.value, 3u);
}

TEST_P(Conformance, EntriesAreBytesOfAnyKind) {
  const std::string odd("\0\xff\n", 3);
  ASSERT_TRUE(put(*log_, part("s", 0, {odd, "", std::string(100'000, 'x')})).has_value());
  EXPECT_THAT(entries_of(*log_, "s"), ElementsAre(odd, "", std::string(100'000, 'x')));
}

TEST_P(Conformance, ChainCoversPositionsAndBytes) {
  ASSERT_TRUE(put(*log_, part("s", 0, {"a", "b"})).has_value());
  const Digest first = chain_next(Digest{}, Position{1}, "a");
  EXPECT_EQ(head("s").chain, chain_next(first, Position{2}, "b"));
  EXPECT_EQ(head("s").durable_chain, head("s").chain);
}

TEST_P(Conformance, AnotherTailIsAConflictThatNamesBoth) {
  ASSERT_TRUE(put(*log_, part("s", 0, {"a", "b"})).has_value());
  for (const std::uint64_t wrong : {0u, 1u, 3u}) {
    const auto refused = put(*log_, part("s", wrong, {"x"}));
    ASSERT_EQ(code_of(refused), ErrorCode::conflict);
    EXPECT_THAT(refused.error().message, HasSubstr("is at 2"));
    EXPECT_THAT(refused.error().message, HasSubstr(std::to_string(wrong)));
  }
  EXPECT_THAT(entries_of(*log_, "s"), ElementsAre("a", "b"));
}

TEST_P(Conformance, StaleDriverCanAppendNothing) {
  ASSERT_TRUE(put(*log_, elect(part("s", 0, {"elected 1"}, 1))).has_value());
  ASSERT_TRUE(put(*log_, part("s", 1, {"a"}, 1)).has_value());
  ASSERT_TRUE(put(*log_, elect(part("s", 2, {"elected 2"}, 2))).has_value());
  // Even at the right tail; and it is told why even at a wrong one.
  EXPECT_EQ(code_of(put(*log_, part("s", 3, {"zombie"}, 1))), ErrorCode::stale_epoch);
  EXPECT_EQ(code_of(put(*log_, part("s", 2, {"zombie"}, 1))), ErrorCode::stale_epoch);
  EXPECT_EQ(head("s").epoch.value, 2u);
  ASSERT_TRUE(put(*log_, part("s", 3, {"b"}, 2)).has_value());
}

TEST_P(Conformance, EpochThatWasNeverElectedIsRefused) {
  EXPECT_EQ(code_of(put(*log_, part("s", 0, {"a"}, 1))), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of(put(*log_, elect(part("s", 0, {"a"}, 2)))), ErrorCode::invalid_argument);
}

TEST_P(Conformance, LostElectionIsAConflict) {
  ASSERT_TRUE(put(*log_, elect(part("s", 0, {"one"}, 1))).has_value());
  EXPECT_EQ(code_of(put(*log_, elect(part("s", 0, {"two"}, 1)))), ErrorCode::conflict);
  EXPECT_EQ(code_of(put(*log_, elect(part("s", 1, {"two"}, 1)))), ErrorCode::conflict);
}

TEST_P(Conformance, RaisedBarrierRefusesWhoSawTheOldOne) {
  const auto guarded = [](std::uint64_t tail, std::uint64_t barrier) {
    Append append = append_of(part("s", tail, {"commit"}));
    append.guards.push_back({LogId{"control/everything"}, barrier});
    return append;
  };
  ASSERT_TRUE(put(*log_, guarded(0, 0)).has_value());
  AppendPart halt = part("control/everything", 0, {"halt"});
  halt.raises_barrier = true;
  ASSERT_TRUE(put(*log_, std::move(halt)).has_value());
  EXPECT_EQ(head("control/everything").barrier, 1u);
  const auto refused = put(*log_, guarded(1, 0));
  EXPECT_EQ(code_of(refused), ErrorCode::halted);
  EXPECT_THAT(refused.error().message, HasSubstr("control/everything"));
  ASSERT_TRUE(put(*log_, guarded(1, 1)).has_value());
  // An entry that does not raise it changes nothing for the others.
  ASSERT_TRUE(put(*log_, part("control/everything", 1, {"reservation"})).has_value());
  ASSERT_TRUE(put(*log_, guarded(2, 1)).has_value());
}

TEST_P(Conformance, PartsAreAllOrNothing) {
  ASSERT_TRUE(put(*log_, part("b", 0, {"b1"})).has_value());
  EXPECT_EQ(code_of(put(*log_, append_of({part("a", 0, {"a1"}), part("b", 0, {"x"})}))),
            ErrorCode::conflict);
  EXPECT_EQ(head("a").tail.value, 0u);
  const auto both = put(*log_, append_of({part("a", 0, {"a1", "a2"}), part("b", 1, {"b2"})}));
  ASSERT_TRUE(both.has_value()) << both.error().message;
  EXPECT_THAT(both->tails, ElementsAre(Position{2}, Position{2}));
  EXPECT_THAT(entries_of(*log_, "a"), ElementsAre("a1", "a2"));
  EXPECT_THAT(entries_of(*log_, "b"), ElementsAre("b1", "b2"));
}

TEST_P(Conformance, RepeatedAppendIsAnsweredNotRepeated) {
  const auto make = [] {
    Append append = append_of({elect(part("a", 0, {"a1", "a2"}, 1)), part("b", 0, {"b1"})});
    append.id = id_of(7);
    append.guards.push_back({LogId{"c"}, 0});
    return append;
  };
  ASSERT_TRUE(put(*log_, make()).has_value());
  // The world moved on since: another driver, more entries, a raised barrier.
  ASSERT_TRUE(put(*log_, elect(part("a", 2, {"a3"}, 2))).has_value());
  AppendPart halt = part("c", 0, {"halt"});
  halt.raises_barrier = true;
  ASSERT_TRUE(put(*log_, std::move(halt)).has_value());

  const auto again = put(*log_, make());
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_TRUE(again->repeated);
  EXPECT_THAT(again->tails, ElementsAre(Position{2}, Position{1}));
  EXPECT_THAT(entries_of(*log_, "a"), ElementsAre("a1", "a2", "a3"));
  EXPECT_THAT(entries_of(*log_, "b"), ElementsAre("b1"));
}

TEST_P(Conformance, RepeatIsAnsweredBeforeTheFirstIsDurable) {
  constexpr int kRounds = 50;
  std::latch durable(2 * kRounds);
  for (std::uint64_t i = 0; i < kRounds; ++i) {
    Append append = append_of(part("s", i, {"x"}));
    Append repeat = append;
    ASSERT_TRUE(log_->append(std::move(append), [&](Status) { durable.count_down(); }));
    const auto again = log_->append(std::move(repeat), [&](Status status) {
      EXPECT_TRUE(status.has_value());
      durable.count_down();
    });
    ASSERT_TRUE(again.has_value());
    EXPECT_TRUE(again->repeated);
    EXPECT_THAT(again->tails, ElementsAre(Position{i + 1}));
  }
  durable.wait();
  EXPECT_THAT(entries_of(*log_, "s"), SizeIs(kRounds));
}

TEST_P(Conformance, IdThatWasUsedForOtherPartsIsRefused) {
  Append first = append_of(part("a", 0, {"a1"}));
  first.id = id_of(9);
  ASSERT_TRUE(put(*log_, std::move(first)).has_value());
  Append longer = append_of(part("a", 0, {"a1", "a2"}));
  longer.id = id_of(9);
  EXPECT_EQ(code_of(put(*log_, std::move(longer))), ErrorCode::invalid_argument);
  Append wider = append_of({part("a", 0, {"a1"}), part("b", 0, {"b1"})});
  wider.id = id_of(9);
  EXPECT_EQ(code_of(put(*log_, std::move(wider))), ErrorCode::invalid_argument);
  // At another position the same id is another append.
  Append later = append_of(part("a", 1, {"a2"}));
  later.id = id_of(9);
  EXPECT_TRUE(put(*log_, std::move(later)).has_value());
}

TEST_P(Conformance, ReadKeepsItsLimitsButMovesOn) {
  ASSERT_TRUE(put(*log_, part("s", 0, {"aaaa", "bbbb", "cccc"})).has_value());
  ASSERT_TRUE(put(*log_, part("s", 3, {"dddd"})).has_value());
  const auto two = log_->read(LogId{"s"}, Position{2}, {.entries = 2, .bytes = 100});
  ASSERT_TRUE(two && two->size() == 2);
  EXPECT_EQ((*two)[0].bytes, "bbbb");
  EXPECT_EQ((*two)[1].position.value, 3u);
  EXPECT_THAT(*log_->read(LogId{"s"}, Position{1}, {.entries = 9, .bytes = 8}), SizeIs(2));
  EXPECT_THAT(*log_->read(LogId{"s"}, Position{1}, {.entries = 9, .bytes = 1}), SizeIs(1));
  EXPECT_THAT(*log_->read(LogId{"s"}, Position{1}, {.entries = 0, .bytes = 0}), SizeIs(1));
  EXPECT_THAT(*log_->read(LogId{"s"}, Position{5}), IsEmpty());
  EXPECT_EQ(code_of(log_->read(LogId{"s"}, Position{0})), ErrorCode::invalid_argument);
}

TEST_P(Conformance, NamesThatArePrefixesOfEachOtherDoNotMix) {
  const std::vector<std::string> names = {"s", "s-", "s/", "s1", "s/1", "s:", "sz"};
  for (const auto& name : names) {
    for (std::uint64_t i = 0; i < 3; ++i) {
      ASSERT_TRUE(put(*log_, part(name, i, {name + std::to_string(i)})).has_value());
    }
  }
  for (const auto& name : names) {
    EXPECT_THAT(entries_of(*log_, name), ElementsAre(name + "0", name + "1", name + "2"));
  }
}

TEST_P(Conformance, BadNamesAreRefusedEverywhere) {
  for (const auto& bad : {std::string(), std::string("a b"), std::string("a\0b", 3),
                          std::string(257, 'x'), std::string("\xc3\xa4")}) {
    EXPECT_EQ(code_of(put(*log_, part(bad, 0, {"x"}))), ErrorCode::invalid_argument);
    EXPECT_EQ(code_of(log_->head(LogId{bad})), ErrorCode::invalid_argument);
    EXPECT_EQ(code_of(log_->read(LogId{bad}, Position{1})), ErrorCode::invalid_argument);
    EXPECT_EQ(code_of(log_->load_snapshot(LogId{bad})), ErrorCode::invalid_argument);
    EXPECT_EQ(code_of(log_->save_snapshot(LogId{bad}, {})), ErrorCode::invalid_argument);
    EXPECT_EQ(code_of(log_->trim(LogId{bad}, Position{0})), ErrorCode::invalid_argument);
    Append guarded = append_of(part("s", 0, {"x"}));
    guarded.guards.push_back({LogId{bad}, 0});
    EXPECT_EQ(code_of(put(*log_, std::move(guarded))), ErrorCode::invalid_argument);
  }
  EXPECT_TRUE(put(*log_, part(std::string(256, 'x'), 0, {"x"})).has_value());
}

TEST_P(Conformance, MalformedAppendsAreRefused) {
  EXPECT_EQ(code_of(put(*log_, Append{})), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of(put(*log_, part("s", 0, {}))), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of(put(*log_, append_of({part("s", 0, {"a"}), part("s", 1, {"b"})}))),
            ErrorCode::invalid_argument);
  AppendPart early = part("s", 0, {"a"});
  early.next_due = Timestamp{-1};
  EXPECT_EQ(code_of(put(*log_, std::move(early))), ErrorCode::invalid_argument);
  Append forged = append_of(part("s", 0, {"a"}));
  forged.blobs.push_back({sha256("one"), "another"});
  EXPECT_EQ(code_of(put(*log_, std::move(forged))), ErrorCode::invalid_argument);
  EXPECT_EQ(head("s").tail.value, 0u);
}

TEST_P(Conformance, LimitsAreExact) {
  const std::vector<std::string> most(kAppendEntriesMax, "x");
  ASSERT_TRUE(put(*log_, part("many", 0, most)).has_value());
  std::vector<std::string> more = most;
  more.emplace_back("x");
  EXPECT_EQ(code_of(put(*log_, part("many", kAppendEntriesMax, more))), ErrorCode::too_large);
  ASSERT_TRUE(put(*log_, part("big", 0, {std::string(kAppendBytesMax, 'x')})).has_value());
  Append over = append_of(part("big", 1, {std::string(kAppendBytesMax, 'x')}));
  over.blobs.push_back({sha256("y"), "y"});
  EXPECT_EQ(code_of(put(*log_, std::move(over))), ErrorCode::too_large);
  EXPECT_EQ(head("big").tail.value, 1u);
  EXPECT_THAT(*log_->read(LogId{"big"}, Position{1}), SizeIs(1));
}

TEST_P(Conformance, BlobsAreKeptByDigest) {
  const std::string payload(200'000, 'p');
  for (std::uint64_t i = 0; i < 2; ++i) {
    Append append = append_of(part("s", i, {"see blob"}));
    append.blobs.push_back({sha256(payload), payload});
    ASSERT_TRUE(put(*log_, std::move(append)).has_value());
  }
  EXPECT_EQ(log_->blob(sha256(payload)).value_or(""), payload);
  EXPECT_EQ(code_of(log_->blob(sha256("nobody"))), ErrorCode::not_found);
}

TEST_P(Conformance, WatchTellsOfItsLogAndResumesByPosition) {
  std::mutex mutex;
  std::vector<std::uint64_t> one;
  std::vector<std::string> all;
  auto watch_one = log_->watch(LogId{"a"}, [&](const LogId& log, Position tail) {
    const std::lock_guard lock(mutex);
    EXPECT_EQ(log.value, "a");
    one.push_back(tail.value);
  });
  auto watch_all = log_->watch(std::nullopt, [&](const LogId& log, Position) {
    const std::lock_guard lock(mutex);
    all.push_back(log.value);
  });
  ASSERT_TRUE(put(*log_, part("a", 0, {"1"})).has_value());
  ASSERT_TRUE(put(*log_, part("b", 0, {"1"})).has_value());
  ASSERT_TRUE(put(*log_, part("a", 1, {"2", "3"})).has_value());
  // Watchers of the last append have run when a later one is durable.
  ASSERT_TRUE(put(*log_, part("c", 0, {"1"})).has_value());
  {
    const std::lock_guard lock(mutex);
    EXPECT_THAT(one, ElementsAre(1u, 3u));
    EXPECT_THAT(std::vector(all.begin(), all.begin() + 3), ElementsAre("a", "b", "a"));
    one.clear();
  }
  watch_one.reset();
  ASSERT_TRUE(put(*log_, part("a", 3, {"4"})).has_value());
  ASSERT_TRUE(put(*log_, part("c", 1, {"2"})).has_value());
  {
    const std::lock_guard lock(mutex);
    EXPECT_THAT(one, IsEmpty());
  }
  // Resuming is a matter of reading from the last position that was seen.
  EXPECT_THAT(entries_of(*log_, "a", 4), ElementsAre("4"));
}

TEST_P(Conformance, WatchMayEndItselfAndNeverRunsAfterwards) {
  std::unique_ptr<Subscription> own;
  std::atomic<int> calls{0};
  own = log_->watch(LogId{"a"}, [&](const LogId&, Position) {
    ++calls;
    own.reset();
  });
  for (std::uint64_t i = 0; i < 20; ++i) {
    ASSERT_TRUE(put(*log_, part("a", i, {"x"})).has_value());
  }
  EXPECT_EQ(calls, 1);

  // One thread appends while others come and go: a callback must not see a dead watch.
  std::atomic<bool> stop{false};
  std::thread comer([&] {
    while (!stop) {
      auto alive = std::make_unique<std::atomic<bool>>(true);
      auto watch = log_->watch(std::nullopt,
                               [&alive = *alive](const LogId&, Position) { EXPECT_TRUE(alive); });
      watch.reset();
      *alive = false;
    }
  });
  for (std::uint64_t i = 20; i < 200; ++i) {
    ASSERT_TRUE(put(*log_, part("a", i, {"x"})).has_value());
  }
  stop = true;
  comer.join();
}

TEST_P(Conformance, WatchOutlivesTheEngine) {
  auto watch = log_->watch(std::nullopt, [](const LogId&, Position) {});
  log_.reset();
  watch.reset();
}

TEST_P(Conformance, NewestSnapshotIsKept) {
  EXPECT_EQ(*log_->load_snapshot(LogId{"s"}), std::nullopt);
  EXPECT_EQ(code_of(log_->save_snapshot(LogId{"s"}, {Position{1}, "x"})), ErrorCode::conflict);
  ASSERT_TRUE(put(*log_, part("s", 0, {"a", "b", "c"})).has_value());
  EXPECT_EQ(code_of(log_->save_snapshot(LogId{"s"}, {Position{4}, "x"})), ErrorCode::conflict);
  EXPECT_EQ(code_of(log_->save_snapshot(LogId{"s"}, {Position{0}, "x"})), ErrorCode::conflict);
  ASSERT_TRUE(log_->save_snapshot(LogId{"s"}, {Position{2}, "two"}));
  EXPECT_EQ(head("s").snapshot.value, 2u);
  ASSERT_TRUE(log_->save_snapshot(LogId{"s"}, {Position{3}, "three"}));
  ASSERT_TRUE(log_->save_snapshot(LogId{"s"}, {Position{1}, "late"}));
  const auto loaded = log_->load_snapshot(LogId{"s"});
  ASSERT_TRUE(loaded && *loaded);
  EXPECT_EQ((*loaded)->position.value, 3u);
  EXPECT_EQ((*loaded)->bytes, "three");
  EXPECT_EQ(head("s").snapshot.value, 3u);
}

TEST_P(Conformance, TrimForgetsWhatTheSnapshotCovers) {
  for (std::uint64_t i = 0; i < 10; i += 2) {
    ASSERT_TRUE(
        put(*log_, part("s", i, {std::to_string(i + 1), std::to_string(i + 2)})).has_value());
  }
  EXPECT_EQ(code_of(log_->trim(LogId{"s"}, Position{3})), ErrorCode::conflict);
  ASSERT_TRUE(log_->save_snapshot(LogId{"s"}, {Position{7}, "state"}));
  EXPECT_EQ(code_of(log_->trim(LogId{"s"}, Position{8})), ErrorCode::conflict);
  const Digest chain = head("s").chain;
  ASSERT_TRUE(log_->trim(LogId{"s"}, Position{5}));
  EXPECT_EQ(head("s").trimmed.value, 5u);
  EXPECT_EQ(head("s").chain, chain);
  const auto gone = log_->read(LogId{"s"}, Position{5});
  ASSERT_EQ(code_of(gone), ErrorCode::not_found);
  EXPECT_THAT(gone.error().message, HasSubstr("the first that is left is 6"));
  EXPECT_THAT(entries_of(*log_, "s", 6), ElementsAre("6", "7", "8", "9", "10"));
  // Less than before changes nothing; a log that is not there has nothing to trim.
  ASSERT_TRUE(log_->trim(LogId{"s"}, Position{2}));
  EXPECT_EQ(head("s").trimmed.value, 5u);
  ASSERT_TRUE(log_->trim(LogId{"none"}, Position{0}));
  EXPECT_EQ(head("none").tail.value, 0u);
}

TEST_P(Conformance, LogTrimmedToItsEndGoesOn) {
  ASSERT_TRUE(put(*log_, part("s", 0, {"a", "b"})).has_value());
  ASSERT_TRUE(log_->save_snapshot(LogId{"s"}, {Position{2}, "state"}));
  ASSERT_TRUE(log_->trim(LogId{"s"}, Position{2}));
  EXPECT_THAT(*log_->read(LogId{"s"}, Position{3}), IsEmpty());
  ASSERT_TRUE(put(*log_, part("s", 2, {"c"})).has_value());
  EXPECT_THAT(entries_of(*log_, "s", 3), ElementsAre("c"));
}

TEST_P(Conformance, DueLogsComeEarliestFirst) {
  const auto due_at = [&](const std::string& name, std::uint64_t tail, std::int64_t at) {
    AppendPart timed = part(name, tail, {"x"});
    timed.next_due = Timestamp{at};
    ASSERT_TRUE(put(*log_, std::move(timed)).has_value());
  };
  due_at("late", 0, 3000);
  due_at("early", 0, 1000);
  due_at("middle", 0, 2000);
  due_at("never", 0, 0);
  EXPECT_THAT(*log_->due(Timestamp{999}, 10), IsEmpty());
  EXPECT_THAT(*log_->due(Timestamp{2000}, 10), ElementsAre(LogId{"early"}, LogId{"middle"}));
  EXPECT_THAT(*log_->due(Timestamp{INT64_MAX}, 2), ElementsAre(LogId{"early"}, LogId{"middle"}));
  EXPECT_EQ(head("early").next_due.ms, 1000);
  // An append that says nothing leaves the timer; zero clears it; another time moves it.
  ASSERT_TRUE(put(*log_, part("early", 1, {"x"})).has_value());
  due_at("middle", 1, 0);
  due_at("late", 1, 500);
  EXPECT_THAT(*log_->due(Timestamp{9999}, 10), ElementsAre(LogId{"late"}, LogId{"early"}));
}

TEST_P(Conformance, ListGoesByNameInPages) {
  for (const auto* name : {"control/b", "control/a", "alpha", "control/c", "zeta", "control"}) {
    ASSERT_TRUE(put(*log_, part(name, 0, {"x"})).has_value());
  }
  const auto names = [&](std::string_view prefix, const std::string& after, std::size_t limit) {
    std::vector<std::string> out;
    const auto heads = log_->list(prefix, LogId{after}, limit);
    EXPECT_TRUE(heads.has_value());
    for (const auto& listed : *heads) {
      EXPECT_EQ(listed.tail.value, 1u);
      out.push_back(listed.log.value);
    }
    return out;
  };
  EXPECT_THAT(names("control/", "", 10), ElementsAre("control/a", "control/b", "control/c"));
  EXPECT_THAT(names("control/", "", 2), ElementsAre("control/a", "control/b"));
  EXPECT_THAT(names("control/", "control/b", 2), ElementsAre("control/c"));
  EXPECT_THAT(names("", "alpha", 2), ElementsAre("control", "control/a"));
  EXPECT_THAT(names("control/", "zzz", 2), IsEmpty());
  EXPECT_THAT(names("nothing", "", 2), IsEmpty());
}

TEST_P(Conformance, CallbacksComeInTheOrderOfTheAppends) {
  constexpr std::uint64_t kAppends = 500;
  std::vector<std::uint64_t> order;
  std::latch durable(kAppends);
  for (std::uint64_t i = 0; i < kAppends; ++i) {
    ASSERT_TRUE(log_->append(append_of(part("s" + std::to_string(i % 7), i / 7, {"x"})),
                             [&, i](Status status) {
                               EXPECT_TRUE(status.has_value());
                               order.push_back(i);
                               durable.count_down();
                             })
                    .has_value());
  }
  durable.wait();
  ASSERT_THAT(order, SizeIs(kAppends));
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST_P(Conformance, CallbackMayAskTheLogItself) {
  std::promise<std::uint64_t> seen;
  ASSERT_TRUE(log_->append(append_of(part("s", 0, {"a"})),
                           [&](Status) { seen.set_value(head("s").durable.value); }));
  EXPECT_EQ(seen.get_future().get(), 1u);
}

TEST_P(Conformance, RacingWritersWinEachPositionOnce) {
  constexpr std::uint64_t kPositions = 300;
  constexpr std::size_t kThreads = 4;
  std::array<std::uint64_t, kThreads> wins{};
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (;;) {
        const auto tail = log_->head(LogId{"s"})->tail;
        if (tail.value >= kPositions) return;
        const auto result = put(*log_, part("s", tail.value, {"thread " + std::to_string(thread)}));
        if (result) {
          EXPECT_EQ(result->tails[0], tail.next());
          ++wins[thread];
        } else {
          EXPECT_EQ(result.error().code, ErrorCode::conflict);
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  const auto entries = entries_of(*log_, "s");
  std::uint64_t total = 0;
  for (std::size_t thread = 0; thread < kThreads; ++thread) {
    const auto mine =
        std::count(entries.begin(), entries.end(), "thread " + std::to_string(thread));
    EXPECT_EQ(wins[thread], static_cast<std::uint64_t>(mine));
    total += wins[thread];
  }
  EXPECT_EQ(total, entries.size());
}

TEST_P(Conformance, ReadersSeeOnlyWhatIsDurable) {
  std::atomic<std::uint64_t> durable{0};
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    while (!stop) {
      const std::uint64_t known = durable;
      const auto entries = log_->read(LogId{"s"}, Position{1}, {.entries = 10'000});
      ASSERT_TRUE(entries.has_value());
      ASSERT_GE(entries->size(), known);
      const auto now = log_->head(LogId{"s"});
      ASSERT_LE(now->durable, now->tail);
    }
  });
  for (std::uint64_t i = 0; i < 200; ++i) {
    ASSERT_TRUE(put(*log_, part("s", i, {"x"})).has_value());
    durable = i + 1;
  }
  stop = true;
  reader.join();
}

TEST_P(Conformance, HealthyEngineSaysSo) {
  EXPECT_TRUE(log_->health().has_value());
}

}  // namespace
}  // namespace gavel::testing

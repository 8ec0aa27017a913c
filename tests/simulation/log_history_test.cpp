// Histories of clients that append to two logs under epochs and guards, elect, raise barriers, read
// and ask for the head at the same time, on the engines that a process can have, each judged twice:
// the order in which appends are sequenced (append as it returns, the sequenced head), and what is
// durable (append until its callback, read, the durable tail).
#include <gtest/gtest.h>
#include <stdlib.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <latch>
#include <mutex>
#include <thread>

#include "linearizability.hpp"
#include "log/memory_log.hpp"
#include "log/rocks_log.hpp"
#include "rng.hpp"

namespace gavel::simulation {
namespace {

constexpr std::size_t kClients = 16;
constexpr std::size_t kOperations = 8;  // of each client, in a round

struct Engine {
  std::string name;
  int rounds = 0;
  std::function<std::unique_ptr<Log>(const std::string& directory)> open;
};

class TemporaryDirectory {
public:
  TemporaryDirectory() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "gavel-history-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::string path() const { return path_; }

private:
  std::string path_;
};

using Kind = LogOperation::Kind;
using Refusal = LogOperation::Refusal;

// What clients came by, over all rounds of an engine.
struct Reached {
  std::atomic<int> accepted = 0;
  std::atomic<int> in_both = 0;  // logs at once
  std::atomic<int> elected = 0;
  std::atomic<int> repeated = 0;
  std::array<std::atomic<int>, 3> refused{};  // by Refusal
};

// Two logs and everything that was done to them. Outlives its round's callbacks.
class Round {
public:
  Round(Log& log, const std::string& name, Reached& reached)
      : log_(log), names_{LogId{name + "/a"}, LogId{name + "/b"}}, reached_(reached) {}

  void client(std::uint64_t seed) {
    Rng rng(seed);
    std::array<Known, kJudgedLogs> known;
    for (std::size_t i = 0; i < kOperations; ++i) {
      const std::size_t log = rng.below(kJudgedLogs);
      switch (rng.below(6)) {
        case 0:
          durable_tail(log);
          break;
        case 1:
          read(log);
          break;
        case 2:
          known[log] = head(log);
          break;
        default:
          append(make_append(log, known, 1 + 2 * (seed * 1000 + i), rng), known, rng);
          break;
      }
    }
  }
  void settle() {
    while (waiting_ > 0) std::this_thread::yield();
  }
  const std::vector<LogOperation>& sequenced() const { return sequenced_; }
  const std::vector<LogOperation>& durable() const { return durable_; }

private:
  struct Known {
    std::uint64_t tail = 0;
    LogOperation::Fence fence;
  };

  std::uint64_t moment() { return ++clock_; }
  void record(std::vector<LogOperation>& history, LogOperation operation) {
    const std::lock_guard lock(mutex_);
    history.push_back(std::move(operation));
  }
  LogOperation begin(Kind kind, std::size_t log = 0) {
    LogOperation made;
    made.kind = kind;
    made.log = log;
    made.called = moment();
    return made;
  }

  Known head(std::size_t log) {
    LogOperation made = begin(Kind::tail, log);
    const auto head = log_.head(names_[log]);
    made.returned = moment();
    made.tail = head->tail.value;
    made.fence = {head->epoch.value, head->barrier};
    record(sequenced_, made);
    return {made.tail, *made.fence};
  }

  void durable_tail(std::size_t log) {
    LogOperation made = begin(Kind::tail, log);
    made.tail = log_.head(names_[log])->durable.value;
    made.returned = moment();
    record(durable_, made);
  }

  void read(std::size_t log) {
    LogOperation made = begin(Kind::read, log);
    const auto entries = log_.read(names_[log], Position{1}, ReadLimits{});
    made.returned = moment();
    for (const auto& entry : *entries) made.entries.push_back(std::stoull(entry.bytes));
    record(durable_, made);
  }

  // To one log, or to both, in what is known of them; perhaps under a guard of the other.
  static LogOperation make_append(std::size_t log, const std::array<Known, kJudgedLogs>& known,
                                  std::uint64_t entry, Rng& rng) {
    LogOperation made;
    made.kind = Kind::append;
    const bool elects = rng.one_in(8);
    const std::size_t other = 1 - log;
    made.parts.push_back({.log = log,
                          .expected_tail = known[log].tail,
                          .entry = entry,
                          .epoch = known[log].fence.epoch + (elects ? 1 : 0),
                          .elects = elects,
                          .raises_barrier = rng.one_in(4)});
    if (rng.one_in(3)) {
      made.parts.push_back({.log = other,
                            .expected_tail = known[other].tail,
                            .entry = entry + 1,
                            .epoch = known[other].fence.epoch});
    }
    if (rng.one_in(2)) made.guards.push_back({other, known[other].fence.barrier});
    return made;
  }

  Append bytes_of(const LogOperation& made) const {
    Append append;
    const std::uint64_t id = made.parts.front().entry;
    for (std::size_t i = 0; i < 8; ++i) {
      append.id.bytes[i] = static_cast<std::uint8_t>(id >> (8 * i));
    }
    append.id.bytes[9] = 1;
    for (const auto& part : made.parts) {
      append.parts.push_back({.log = names_[part.log],
                              .expected_tail = Position{part.expected_tail},
                              .epoch = Epoch{part.epoch},
                              .epoch_rule = part.elects ? EpochRule::elect : EpochRule::same,
                              .entries = {std::to_string(part.entry)},
                              .raises_barrier = part.raises_barrier,
                              .next_due = {}});
    }
    for (const auto& guard : made.guards) {
      append.guards.push_back({names_[guard.log], guard.barrier});
    }
    return append;
  }

  static Refusal refusal_of(const Error& error) {
    if (error.code == ErrorCode::stale_epoch) return Refusal::epoch;
    if (error.code == ErrorCode::halted) return Refusal::guard;
    EXPECT_EQ(error.code, ErrorCode::conflict) << error.message;
    return Refusal::tail;
  }

  void append(LogOperation made, std::array<Known, kJudgedLogs>& known, Rng& rng) {
    const bool waits = rng.one_in(2);
    made.called = moment();
    ++waiting_;
    std::atomic<bool> told = false;
    // Who waits keeps `told`; who does not is not told of it.
    std::atomic<bool>* tell = waits ? &told : nullptr;
    const auto done = log_.append(bytes_of(made), [this, made, tell](const Status& status) {
      LogOperation durable = made;
      if (status) durable.returned = moment();
      record(durable_, durable);
      --waiting_;
      if (tell != nullptr) *tell = true;
    });
    made.returned = moment();
    if (!done) {
      made.refused = refusal_of(done.error());
      ++reached_.refused[static_cast<std::size_t>(*made.refused)];
      record(sequenced_, made);
      --waiting_;
      for (std::size_t log = 0; log < kJudgedLogs; ++log) {
        // A driver that was replaced may not know it for a while.
        if (rng.one_in(4)) continue;
        known[log] = head(log);
      }
      return;
    }
    record(sequenced_, made);
    count(made);
    for (std::size_t i = 0; i < made.parts.size(); ++i) {
      const auto& part = made.parts[i];
      EXPECT_EQ(done->tails[i].value, part.expected_tail + 1);
      known[part.log].tail = done->tails[i].value;
      known[part.log].fence.epoch = part.epoch;
      known[part.log].fence.barrier += part.raises_barrier ? 1 : 0;
    }
    while (waits && !told) std::this_thread::yield();
    if (rng.one_in(6)) repeat(made, *done);
  }

  // Answered, and not repeated, whatever came meanwhile.
  void repeat(const LogOperation& made, const Sequenced& first) {
    const auto again = log_.append(bytes_of(made), [](const Status&) {});
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_TRUE(again->repeated);
    EXPECT_EQ(again->tails, first.tails);
    ++reached_.repeated;
  }

  void count(const LogOperation& made) {
    ++reached_.accepted;
    if (made.parts.size() > 1) ++reached_.in_both;
    if (made.parts.front().elects) ++reached_.elected;
  }

  Log& log_;
  const std::array<LogId, kJudgedLogs> names_;
  Reached& reached_;
  std::atomic<std::uint64_t> clock_ = 0;
  std::atomic<std::size_t> waiting_ = 0;
  std::mutex mutex_;
  std::vector<LogOperation> sequenced_;
  std::vector<LogOperation> durable_;
};

class LogHistories : public testing::TestWithParam<Engine> {};

TEST_P(LogHistories, AreLinearizable) {
  const TemporaryDirectory directory;
  const auto log = GetParam().open(directory.path());
  Reached reached;
  for (int number = 0; number < GetParam().rounds; ++number) {
    Round round(*log, "round" + std::to_string(number), reached);
    std::vector<std::jthread> clients;
    std::latch start(kClients);
    for (std::size_t i = 0; i < kClients; ++i) {
      const std::uint64_t seed = static_cast<std::uint64_t>(number) * kClients + i + 1;
      clients.emplace_back([&round, &start, seed] {
        start.arrive_and_wait();
        round.client(seed);
      });
    }
    clients.clear();
    round.settle();
    for (const auto* history : {&round.sequenced(), &round.durable()}) {
      const auto judgement = judge(*history);
      ASSERT_EQ(judgement.verdict, Linearity::linearizable) << history->size() << " operations\n"
                                                            << judgement.explanation;
    }
  }
  for (const auto* count :
       {&reached.accepted, &reached.in_both, &reached.elected, &reached.repeated,
        &reached.refused[0], &reached.refused[1], &reached.refused[2]}) {
    EXPECT_GT(*count, 0);
  }
  std::printf(
      "%d accepted (%d in both logs, %d elections), refused for tail %d, epoch %d, guard "
      "%d; %d repeated\n",
      reached.accepted.load(), reached.in_both.load(), reached.elected.load(),
      reached.refused[0].load(), reached.refused[1].load(), reached.refused[2].load(),
      reached.repeated.load());
}

INSTANTIATE_TEST_SUITE_P(
    Engines, LogHistories,
    testing::Values(Engine{"memory", 200, [](const std::string&) { return make_memory_log(); }},
                    Engine{"rocksdb", 60,
                           [](const std::string& directory) {
                             RocksOptions options;
                             options.directory = directory + "/store";
                             return open_rocks_log(options).value();
                           }}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace gavel::simulation

// Histories of clients that append, read and ask for the tail at the same time, on the engines
// that a process can have, each judged twice: the order in which appends are sequenced (append as
// it returns, the sequenced tail), and what is durable (append until its callback, read, the
// durable tail).
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <thread>

#include "linearizability.hpp"
#include "log/memory_log.hpp"
#include "log/rocks_log.hpp"
#include "rng.hpp"

namespace gavel::simulation {
namespace {

constexpr std::size_t kClients = 4;
constexpr std::size_t kOperations = 10;  // of each client, in a round

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

// One log and everything that was done to it. Outlives its round's callbacks.
class Round {
public:
  Round(Log& log, std::string name) : log_(log), name_{std::move(name)} {}

  void client(std::uint64_t seed) {
    Rng rng(seed);
    std::uint64_t known = 0;
    for (std::size_t i = 0; i < kOperations; ++i) {
      switch (rng.below(4)) {
        case 0:
          known = tail(rng.one_in(2));
          break;
        case 1:
          known = read();
          break;
        default:
          append(known, 1 + seed * 1000 + i, rng.one_in(2));
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
  std::uint64_t moment() { return ++clock_; }
  void record(std::vector<LogOperation>& history, LogOperation operation) {
    const std::lock_guard lock(mutex_);
    history.push_back(std::move(operation));
  }

  std::uint64_t tail(bool of_durable) {
    LogOperation made;
    made.kind = LogOperation::Kind::tail;
    made.called = moment();
    const auto head = log_.head(name_);
    made.returned = moment();
    made.tail = of_durable ? head->durable.value : head->tail.value;
    record(of_durable ? durable_ : sequenced_, made);
    return head->tail.value;
  }

  std::uint64_t read() {
    LogOperation made;
    made.called = moment();
    const auto entries = log_.read(name_, Position{1}, ReadLimits{});
    made.returned = moment();
    for (const auto& entry : *entries) made.entries.push_back(std::stoull(entry.bytes));
    record(durable_, made);
    return made.entries.size();
  }

  void append(std::uint64_t& known, std::uint64_t entry, bool wait) {
    LogOperation made;
    made.kind = LogOperation::Kind::append;
    made.entry = entry;
    made.expected_tail = known;
    Append append;
    for (std::size_t i = 0; i < 8; ++i) {
      append.id.bytes[i] = static_cast<std::uint8_t>(entry >> (8 * i));
    }
    append.id.bytes[9] = 1;
    AppendPart part;
    part.log = name_;
    part.expected_tail = Position{known};
    part.entries = {std::to_string(entry)};
    append.parts.push_back(std::move(part));
    made.called = moment();
    ++waiting_;
    std::atomic<bool> told = false;
    // Who waits keeps `told`; who does not is not told of it.
    std::atomic<bool>* tell = wait ? &told : nullptr;
    const auto done = log_.append(std::move(append), [this, made, tell](const Status& status) {
      LogOperation durable = made;
      durable.returned = moment();
      durable.accepted = true;
      if (!status) durable.returned.reset();
      record(durable_, durable);
      --waiting_;
      if (tell != nullptr) *tell = true;
    });
    made.returned = moment();
    made.accepted = done.has_value();
    record(sequenced_, made);
    if (!done) {
      --waiting_;
      EXPECT_EQ(done.error().code, ErrorCode::conflict) << done.error().message;
      known = log_.head(name_)->tail.value;
      return;
    }
    known = done->tails.front().value;
    while (wait && !told) std::this_thread::yield();
  }

  Log& log_;
  const LogId name_;
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
  for (int number = 0; number < GetParam().rounds; ++number) {
    Round round(*log, "round" + std::to_string(number));
    std::vector<std::jthread> clients;
    for (std::size_t i = 0; i < kClients; ++i) {
      clients.emplace_back([&round, seed = static_cast<std::uint64_t>(number) * kClients + i + 1] {
        round.client(seed);
      });
    }
    clients.clear();
    round.settle();
    for (const auto* history : {&round.sequenced(), &round.durable()}) {
      const auto judgement = judge(*history);
      ASSERT_EQ(judgement.verdict, Linearity::linearizable) << judgement.explanation;
    }
  }
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

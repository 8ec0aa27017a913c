// Inside the process: policy evaluation, and waking a long session with and without its snapshot.
//
//   gavel_bench_engine
//
// policy_10_rules, policy_1000_rules   one assessment of a call that every rule is asked about
// wake_10k_snapshot, wake_10k_fold     wake of a session of 10,000 entries whose process is gone;
// floor: one sync

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <random>
#include <stdexcept>

#include "log/rocks_log.hpp"
#include "policy/parse.hpp"
#include "report.hpp"
#include "runtime/local_harness.hpp"

namespace gavel::bench {
namespace {

namespace fs = std::filesystem;

class BenchClock final : public Clock {
public:
  Timestamp now() const override {
    return {
        std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch())
            .count()};
  }
  SteadyTime steady() const override { return SteadyClock::now(); }
};

class BenchRandom final : public Random {
public:
  std::uint64_t next() override { return engine_(); }

private:
  std::mt19937_64 engine_{std::random_device{}()};
};

template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

double assess_micros(int rules) {
  std::string yaml = "rules:\n";
  for (int i = 0; i < rules; ++i) {
    yaml += fmt::format(
        "  - name: rule-{0}\n    tools: [\"db__tool_{0}*\", \"pg__*\"]\n    principals: "
        "[\"agent*\"]\n"
        "    arguments: {{type: object, properties: {{amount: {{type: number, minimum: {1}}}}}, "
        "required: [amount]}}\n"
        "    verdict: ask\n    reason: amounts over {1}\n",
        i, 1'000'000 + i);
  }
  const auto policy = must(parse_policy(yaml, "bench.yaml"));
  const json::value arguments =
      must(parse_json(R"({"amount": 12, "account": "a-17", "note": "monthly"})"));
  Call call;
  call.principal = Principal{"agent"};
  call.session = LogId{"bench"};
  call.tool = "pg__refund";
  call.arguments = &arguments;
  std::vector<double> micros;
  std::size_t asked = 0;
  for (int round = 0; round < 200; ++round) {
    const auto start = SteadyClock::now();
    for (int i = 0; i < 10; ++i) asked += policy->assess(call).verdict == Verdict::two_step ? 1 : 0;
    micros.push_back(micros_since(start) / 10);
  }
  if (asked != 2000) throw std::runtime_error("an unlisted tool was not held");
  return quantile(micros, 0.5);
}

// One process's life over the store: opens it, runs `work` on its harness, closes it.
class Life {
public:
  explicit Life(const fs::path& directory) {
    RocksOptions options;
    options.directory = directory.string();
    log_ = must(open_rocks_log(std::move(options)));
    LocalHarnessOptions harness;
    harness.executor = io_.get_executor();
    harness.log = log_.get();
    harness.clock = &clock_;
    harness.random = &random_;
    harness.policy = default_policy();
    harness_ = std::make_unique<LocalHarness>(std::move(harness));
    if (const auto started = harness_->start(); !started) {
      throw std::runtime_error(started.error().message);
    }
  }
  ~Life() {
    run(harness_->close());
    harness_.reset();
  }

  void run(asio::awaitable<void> work) {
    bool done = false;
    asio::co_spawn(io_, std::move(work), [&](const std::exception_ptr& failure) {
      done = true;
      if (failure) std::rethrow_exception(failure);
    });
    io_.restart();
    while (!done) io_.run_one();
  }
  LocalHarness& harness() { return *harness_; }

private:
  asio::io_context io_{1};
  BenchClock clock_;
  BenchRandom random_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<LocalHarness> harness_;
};

asio::awaitable<void> wake_once(LocalHarness& harness, LogId id) {
  Caller caller{Principal{"agent"}, {Role::driver}};
  const auto epoch = co_await harness.wake(id, caller, "bench", "bench");
  if (!epoch) throw std::runtime_error(epoch.error().message);
}

// Refusals and elections make a session of 10,000 entries; each wake is one entry.
asio::awaitable<void> grow(LocalHarness& harness, LogId id, std::size_t entries) {
  for (std::size_t i = 0; i < entries; ++i) co_await wake_once(harness, id);
}

double wake_micros(const fs::path& directory, const LogId& id) {
  Life life(directory);
  const auto start = SteadyClock::now();
  life.run(wake_once(life.harness(), id));
  return micros_since(start);
}

void wakes(const fs::path& directory, Report& report) {
  const LogId id{"long"};
  {
    Life life(directory);
    life.run(grow(life.harness(), id, 10'000));
  }
  std::vector<double> with;
  for (int i = 0; i < 5; ++i) with.push_back(wake_micros(directory, id));
  report.add("wake_10k_snapshot", quantile(with, 0.5) / 1000, "ms");
  {
    RocksOptions options;
    options.directory = directory.string();
    const auto log = must(open_rocks_log(std::move(options)));
    const auto head = must(log->head(id));
    // A snapshot that no build can read: the session must be folded from its first entry.
    if (const auto saved = log->save_snapshot(id, Snapshot{head.tail, "unreadable"}); !saved) {
      throw std::runtime_error(saved.error().message);
    }
  }
  report.add("wake_10k_fold", wake_micros(directory, id) / 1000, "ms");
}

int run() {
  const char* temporary = std::getenv("TMPDIR");
  std::string pattern =
      fmt::format("{}/gavel-bench-XXXXXX", temporary == nullptr ? "/tmp" : temporary);
  const fs::path directory = mkdtemp(pattern.data());
  Report report;
  report.add("policy_10_rules", assess_micros(10), "us");
  report.add("policy_1000_rules", assess_micros(1000), "us");
  wakes(directory, report);
  fs::remove_all(directory);
  report.print();
  return 0;
}

}  // namespace
}  // namespace gavel::bench

int main() {
  try {
    return gavel::bench::run();
  } catch (const std::exception& e) {
    fmt::print(stderr, "gavel_bench_engine: {}\n", e.what());
    return 1;
  }
}

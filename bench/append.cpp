// Durable appends and restarts, each beside its floor on the same disk in the same run.
//
//   gavel_bench_append [DIR]
//
// append_c1_p50, append_c1_p99    one client, one entry of 1 KiB after another; floor: pwrite and
//                                 fdatasync in a loop over a zero-filled file
// append_cN_throughput            N clients, each with its own log, closed loop; floor: plain
//                                 RocksDB, N clients whose puts one thread writes in synced batches
// append_cN_vs_direct             the same; floor: plain RocksDB, N threads that put with sync
// append_cN_p50                   latency of an append there
// restart_1m, restart_1m_clean    opening a store of 1,000,000 entries in 10,000 logs after kill
//                                 -9, and after a clean end
//
// A latency is the time from the append to its callback. Rounds of engine and floor alternate;
// figures are medians.

#include <fcntl.h>
#include <rocksdb/db.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <random>
#include <stdexcept>
#include <thread>

#include "log/rocks_log.hpp"
#include "report.hpp"

extern char** environ;

namespace gavel::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kEntryBytes = 1024;
constexpr std::size_t kRounds = 3;
constexpr auto kRound = std::chrono::milliseconds(1500);
constexpr auto kRest = std::chrono::seconds(4);
constexpr std::uint64_t kRestartEntries = 1'000'000;
constexpr std::uint64_t kRestartLogs = 10'000;

[[noreturn]] void broken(const std::string& what) {
  throw std::runtime_error(what);
}

struct Measured {
  double per_second = 0;
  double p50 = 0;  // microseconds
  double p99 = 0;
};

Measured summary(std::vector<double>& micros, SteadyClock::time_point start) {
  Measured out;
  out.per_second = static_cast<double>(micros.size()) / micros_since(start) * 1e6;
  out.p50 = quantile(micros, 0.5);
  out.p99 = quantile(micros, 0.99);
  return out;
}

double median_of(const std::vector<Measured>& rounds, double Measured::* field) {
  std::vector<double> values;
  for (const auto& round : rounds) values.push_back(round.*field);
  return quantile(values, 0.5);
}

struct Done {
  std::size_t client;
  SteadyClock::time_point at;
};

// Which clients may go on, and since when; filled by one thread, emptied by another.
class Ready {
public:
  void push(std::size_t client) {
    const auto now = SteadyClock::now();
    {
      const std::lock_guard lock(mutex_);
      clients_.push_back({client, now});
    }
    signal_.fetch_add(1, std::memory_order_release);
    signal_.notify_one();
  }
  // All clients that are ready, at least one.
  void take(std::vector<Done>& out) {
    out.clear();
    for (;;) {
      const auto seen = signal_.load(std::memory_order_acquire);
      {
        const std::lock_guard lock(mutex_);
        std::swap(out, clients_);
      }
      if (!out.empty()) return;
      signal_.wait(seen, std::memory_order_acquire);
    }
  }

private:
  std::mutex mutex_;
  std::vector<Done> clients_;
  std::atomic<std::uint32_t> signal_{0};
};

// Runs `clients` in a closed loop from this thread for one round: submit(client) starts an
// operation, whose end is pushed to `ready`.
template <typename Submit>
Measured closed_loop(std::size_t clients, Ready& ready, const Submit& submit) {
  std::vector<SteadyClock::time_point> started(clients);
  std::vector<double> micros;
  micros.reserve(1u << 20);
  const auto start = SteadyClock::now();
  const auto until = start + kRound;
  for (std::size_t client = 0; client < clients; ++client) {
    started[client] = SteadyClock::now();
    submit(client);
  }
  std::vector<Done> done;
  std::size_t active = clients;
  while (active > 0) {
    ready.take(done);
    const auto now = SteadyClock::now();
    for (const auto& [client, at] : done) {
      micros.push_back(std::chrono::duration<double, std::micro>(at - started[client]).count());
      if (now >= until) {
        --active;
        continue;
      }
      started[client] = SteadyClock::now();
      submit(client);
    }
  }
  return summary(micros, start);
}

std::string payload() {
  std::string out(kEntryBytes, '\0');
  std::mt19937_64 random{42};
  for (auto& c : out) c = static_cast<char>(random());
  return out;
}

// ------------------------------------------------------------------------------------- the floors

// pwrite + fdatasync, one after another, into a file whose blocks exist.
class RawFile {
public:
  explicit RawFile(const fs::path& path)
      : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    const std::string zeros(1u << 20, '\0');
    for (std::size_t i = 0; i < kBytes / zeros.size(); ++i) {
      if (::write(fd_, zeros.data(), zeros.size()) < 0) broken("cannot write the raw file");
    }
    if (::fsync(fd_) != 0) broken("cannot sync the raw file");
  }
  ~RawFile() { ::close(fd_); }
  RawFile(const RawFile&) = delete;
  RawFile& operator=(const RawFile&) = delete;

  Measured run() {
    const auto bytes = payload();
    std::vector<double> micros;
    const auto start = SteadyClock::now();
    while (SteadyClock::now() - start < kRound) {
      const auto began = SteadyClock::now();
      if (::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset_)) < 0 ||
          ::fdatasync(fd_) != 0) {
        broken("cannot write the raw file");
      }
      micros.push_back(micros_since(began));
      offset_ = (offset_ + bytes.size()) % kBytes;
    }
    return summary(micros, start);
  }

private:
  static constexpr std::size_t kBytes = 64u << 20;
  int fd_;
  std::size_t offset_ = 0;
};

// RocksDB with its defaults and no compression.
class PlainRocks {
public:
  explicit PlainRocks(const fs::path& path) {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.compression = rocksdb::kNoCompression;
    rocksdb::DB* db = nullptr;
    if (!rocksdb::DB::Open(options, path.string(), &db).ok()) broken("cannot open RocksDB");
    db_.reset(db);
    synced_.sync = true;
  }

  // A thread per client, each with a put of its own; RocksDB groups them.
  Measured direct(std::size_t clients) {
    std::vector<std::vector<double>> micros(clients);
    std::vector<std::thread> threads;
    const auto start = SteadyClock::now();
    for (std::size_t client = 0; client < clients; ++client) {
      threads.emplace_back([&, client] {
        const auto value = payload();
        while (SteadyClock::now() - start < kRound) {
          const auto began = SteadyClock::now();
          if (!db_->Put(synced_, key(client), value).ok()) broken("put failed");
          micros[client].push_back(micros_since(began));
        }
      });
    }
    for (auto& thread : threads) thread.join();
    std::vector<double> all;
    for (const auto& mine : micros) all.insert(all.end(), mine.begin(), mine.end());
    return summary(all, start);
  }

  // One thread writes what the clients asked for since its last write as one batch.
  Measured queued(std::size_t clients) {
    Ready asked;
    Ready ready;
    std::atomic<bool> stop{false};
    std::thread writer([&] {
      const auto value = payload();
      std::vector<Done> batch;
      rocksdb::WriteBatch writes;
      for (;;) {
        asked.take(batch);
        writes.Clear();
        if (stop) return;
        for (const auto& asked_by : batch) writes.Put(key(asked_by.client), value);
        if (!db_->Write(synced_, &writes).ok()) broken("write failed");
        for (const auto& asked_by : batch) ready.push(asked_by.client);
      }
    });
    const auto out = closed_loop(clients, ready, [&](std::size_t client) { asked.push(client); });
    stop = true;
    asked.push(0);
    writer.join();
    return out;
  }

private:
  // Every client has keys of its own that grow.
  std::string key(std::size_t client) {
    return fmt::format("{:08}/{:012}", client, next_.fetch_add(1));
  }

  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::WriteOptions synced_;
  std::atomic<std::uint64_t> next_{0};
};

// ------------------------------------------------------------------------------------ the engine

std::unique_ptr<Log> open_store(const fs::path& path) {
  RocksOptions options;
  options.directory = path.string();
  auto log = open_rocks_log(options);
  if (!log) broken(log.error().message);
  return std::move(*log);
}

class Appender {
public:
  explicit Appender(Log& log) : log_(log) {}

  Measured run(std::size_t clients) {
    if (tails_.size() < clients) tails_.resize(clients);
    for (std::size_t client = 0; client < clients; ++client) {
      tails_[client] = log_.head(name(client))->tail;
    }
    Ready ready;
    return closed_loop(clients, ready, [&](std::size_t client) { append(client, ready); });
  }

private:
  static LogId name(std::size_t client) { return LogId{fmt::format("session-{}", client)}; }

  void append(std::size_t client, Ready& ready) {
    Append append;
    const std::uint64_t words[2] = {random_(), random_()};
    std::memcpy(append.id.bytes.data(), words, sizeof words);
    AppendPart part;
    part.log = name(client);
    part.expected_tail = tails_[client];
    part.entries.push_back(payload_);
    append.parts.push_back(std::move(part));
    const auto sequenced = log_.append(std::move(append), [&ready, client](Status status) {
      if (!status) broken(status.error().message);
      ready.push(client);
    });
    if (!sequenced) broken(sequenced.error().message);
    tails_[client] = sequenced->tails[0];
  }

  Log& log_;
  std::vector<Position> tails_;
  const std::string payload_ = payload();
  std::mt19937_64 random_{7};
};

void report_clients(std::size_t clients, Log& log, PlainRocks& plain, Report& report) {
  Appender appender(log);
  (void)appender.run(clients);
  (void)plain.queued(clients);
  std::vector<Measured> ours;
  std::vector<Measured> queued;
  std::vector<Measured> direct;
  for (std::size_t round = 0; round < kRounds; ++round) {
    queued.push_back(plain.queued(clients));
    ours.push_back(appender.run(clients));
    direct.push_back(plain.direct(clients));
  }
  const double per_second = median_of(ours, &Measured::per_second);
  report.add(fmt::format("append_c{}_throughput", clients), per_second, "1/s",
             median_of(queued, &Measured::per_second));
  report.add(fmt::format("append_c{}_vs_direct", clients), per_second, "1/s",
             median_of(direct, &Measured::per_second));
  report.add(fmt::format("append_c{}_p50", clients), median_of(ours, &Measured::p50), "us",
             median_of(queued, &Measured::p50));
}

void report_one(Log& log, PlainRocks& plain, RawFile& raw, Report& report) {
  Appender appender(log);
  (void)appender.run(1);
  // Flushes and compactions of the rounds before end here.
  std::this_thread::sleep_for(kRest);
  std::vector<Measured> ours;
  std::vector<Measured> floor;
  std::vector<Measured> direct;
  for (std::size_t round = 0; round < kRounds; ++round) {
    floor.push_back(raw.run());
    ours.push_back(appender.run(1));
    direct.push_back(plain.direct(1));
  }
  report.add("append_c1_p50", median_of(ours, &Measured::p50), "us",
             median_of(floor, &Measured::p50));
  report.add("append_c1_p99", median_of(ours, &Measured::p99), "us",
             median_of(floor, &Measured::p99));
  report.add("append_c1_vs_rocksdb", median_of(ours, &Measured::p50), "us",
             median_of(direct, &Measured::p50));
}

// --------------------------------------------------------------------------------------- restart

// Fills a store and dies of SIGKILL, as another process.
void fill_and_die(const std::string& directory) {
  const auto log = open_store(directory);
  std::atomic<std::uint64_t> durable{0};
  const auto bytes = payload();
  std::mt19937_64 random{7};
  std::uint64_t sequenced = 0;
  for (std::uint64_t round = 0; round < kRestartEntries / kRestartLogs; ++round) {
    for (std::uint64_t i = 0; i < kRestartLogs; ++i) {
      while (sequenced - durable > 20'000) std::this_thread::yield();
      Append append;
      const std::uint64_t word = random();
      std::memcpy(append.id.bytes.data(), &word, sizeof word);
      AppendPart part;
      part.log = LogId{fmt::format("session-{}", i)};
      part.expected_tail = Position{round};
      part.entries.push_back(bytes);
      append.parts.push_back(std::move(part));
      const auto appended = log->append(std::move(append), [&](Status) { ++durable; });
      if (!appended) broken(appended.error().message);
      ++sequenced;
    }
  }
  while (durable < kRestartEntries) std::this_thread::yield();
  ::kill(::getpid(), SIGKILL);
}

double open_millis(const fs::path& directory) {
  const auto start = SteadyClock::now();
  const auto log = open_store(directory);
  const auto head = log->head(LogId{"session-77"});
  const double took = micros_since(start) / 1000;
  if (!head || head->tail.value != kRestartEntries / kRestartLogs) broken("entries are missing");
  return took;
}

void report_restart(const fs::path& directory, Report& report) {
  std::string program = "/proc/self/exe";
  std::string verb = "--fill";
  std::string store = directory.string();
  char* argv[] = {program.data(), verb.data(), store.data(), nullptr};
  pid_t child = 0;
  if (::posix_spawn(&child, program.c_str(), nullptr, nullptr, argv, environ) != 0) {
    broken("cannot start the process that fills the store");
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFSIGNALED(status)) broken("the store was not filled");
  report.add("restart_1m", open_millis(directory) / 1000, "s");
  report.add("restart_1m_clean", open_millis(directory) / 1000, "s");
}

int run(const fs::path& parent) {
  std::string pattern = (parent / "gavel-bench-append-XXXXXX").string();
  const fs::path directory = mkdtemp(pattern.data());
  Report report;
  {
    const auto log = open_store(directory / "store");
    PlainRocks plain(directory / "plain");
    RawFile raw(directory / "raw");
    for (const auto clients : {256u, 64u, 8u}) report_clients(clients, *log, plain, report);
    // By now the write-ahead logs of both stores were rotated, as in one that has run for a while.
    report_one(*log, plain, raw, report);
  }
  report_restart(directory / "restart", report);
  fs::remove_all(directory);
  report.print();
  return 0;
}

}  // namespace
}  // namespace gavel::bench

int main(int argc, char** argv) {
  try {
    if (argc == 3 && std::string_view(argv[1]) == "--fill") {
      gavel::bench::fill_and_die(argv[2]);
    }
    return gavel::bench::run(argc > 1 ? std::filesystem::path(argv[1])
                                      : std::filesystem::temp_directory_path());
  } catch (const std::exception& failure) {
    fmt::print(stderr, "gavel_bench_append: {}\n", failure.what());
    return 1;
  }
}

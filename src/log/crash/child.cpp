// A process that crash_test.cpp starts, kills and starts again.
//
//   child append DIR MEMTABLE      appends to several logs for ever; prints "LOG POSITION"
//                                  whenever one is durable
//   child fill DIR MEMTABLE MAX    the same, but no file may grow beyond MAX bytes; prints what the
//                                  engine said and ends once it has stopped
//
// The bytes of an entry follow from its log and position, so that the parent knows them.

#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <semaphore>
#include <string>
#include <thread>

#include "log/crash/entries.hpp"
#include "log/rocks_log.hpp"

namespace gavel {
namespace {

constexpr std::size_t kLogs = 4;
// Appends on their way at once, per log.
constexpr int kDepth = 4;

void print(const std::string& line) {
  if (::write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    std::_Exit(3);
  }
}

AppendId random_id(std::mt19937_64& random) {
  AppendId id;
  for (auto& byte : id.bytes) byte = static_cast<std::uint8_t>(random());
  return id;
}

// Appends until the engine refuses; returns its words.
Error append_to(Log& log, const LogId& name, std::atomic<std::uint64_t>& acknowledged) {
  std::mt19937_64 random{std::random_device{}()};
  std::counting_semaphore<kDepth> slots(kDepth);
  const auto head = log.head(name);
  if (!head) return head.error();
  Position tail = head->tail;
  for (;;) {
    slots.acquire();
    Append append;
    append.id = random_id(random);
    AppendPart part;
    part.log = name;
    part.expected_tail = tail;
    const auto count = random() % 3 + 1;
    for (std::uint64_t i = 0; i < count; ++i) {
      tail = tail.next();
      part.entries.push_back(crash::entry_at(name, tail));
    }
    part.next_due = Timestamp{static_cast<std::int64_t>(tail.value)};
    append.parts.push_back(std::move(part));
    const auto sequenced = log.append(std::move(append), [&, tail](const Status& status) {
      if (status) {
        ++acknowledged;
        print(fmt::format("{} {}\n", name.value, tail.value));
      }
      slots.release();
    });
    if (!sequenced) {
      for (int i = 1; i < kDepth; ++i) slots.acquire();
      return sequenced.error();
    }
    if (random() % 64 == 0) (void)log.save_snapshot(name, {log.head(name)->durable, "snapshot"});
  }
}

int run(const std::string& mode, const std::string& directory, std::size_t memtable, rlim_t limit) {
  std::atomic<int> failures{0};
  RocksOptions options;
  options.directory = directory;
  options.memtable_bytes = memtable;
  options.on_failure = [&](const Error&) { ++failures; };
  auto opened = open_rocks_log(options);
  if (!opened) {
    print(fmt::format("error {}\n", opened.error().message));
    return 1;
  }
  Log& log = **opened;
  if (mode == "fill") {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit bytes{limit, limit};
    ::setrlimit(RLIMIT_FSIZE, &bytes);
  }
  print("ready\n");
  std::atomic<std::uint64_t> acknowledged{0};
  std::vector<std::thread> threads;
  std::vector<Error> errors(kLogs);
  for (std::size_t i = 0; i < kLogs; ++i) {
    threads.emplace_back(
        [&, i] { errors[i] = append_to(log, LogId{fmt::format("log-{}", i)}, acknowledged); });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& error : errors) {
    print(fmt::format("{}: {}\n", to_string(error.code), error.message));
  }
  const auto health = log.health();
  print(fmt::format("health: {}\n", health ? "ok" : health.error().message));
  opened->reset();
  print(fmt::format("failures told: {}\n", failures.load()));
  return 0;
}

}  // namespace
}  // namespace gavel

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const rlim_t limit = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : RLIM_INFINITY;
  return gavel::run(argv[1], argv[2], std::strtoull(argv[3], nullptr, 10), limit);
}

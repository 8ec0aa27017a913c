// The store under kill -9, flipped bits, cut files and full disks: what was acknowledged is there
// with the right bytes, or somebody is told; never silently wrong.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "log/crash/entries.hpp"
#include "log/log_testing.hpp"
#include "log/rocks_log.hpp"
#include "log/verify.hpp"

extern char** environ;

namespace gavel::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// The furthest acknowledged position of each log.
using Acknowledged = std::map<std::string, std::uint64_t>;

class Child {
public:
  explicit Child(std::vector<std::string> arguments) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    arguments.insert(arguments.begin(), GAVEL_CRASH_CHILD);
    std::vector<char*> argv;
    for (auto& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    EXPECT_EQ(::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    out_ = ::fdopen(ends[0], "r");
  }
  ~Child() {
    kill();
    ::fclose(out_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // The next line, or nothing at the end of its output. A line that kill cut in two is dropped.
  std::optional<std::string> line() {
    std::string out;
    for (int c = std::fgetc(out_); c != EOF; c = std::fgetc(out_)) {
      if (c == '\n') return out;
      out.push_back(static_cast<char>(c));
    }
    return std::nullopt;
  }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    wait();
  }
  int wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

private:
  pid_t pid_ = 0;
  FILE* out_ = nullptr;
};

void note(Acknowledged& acknowledged, const std::string& line) {
  const auto space = line.find(' ');
  auto& last = acknowledged[line.substr(0, space)];
  const auto position = std::stoull(line.substr(space + 1));
  EXPECT_GT(position, last) << "acknowledged out of order";
  last = position;
}

constexpr std::size_t kMemtable = 64u << 20;

// Lets a child append until `appends` are acknowledged, and kills it.
void append_and_kill(const std::string& directory, std::size_t appends, Acknowledged& acknowledged,
                     std::size_t memtable = kMemtable) {
  Child child({"append", directory, std::to_string(memtable)});
  ASSERT_EQ(child.line().value_or(""), "ready");
  std::size_t seen = 0;
  while (const auto line = child.line()) {
    note(acknowledged, *line);
    if (++seen == appends) child.kill();
  }
  ASSERT_GE(seen, appends);
}

Result<std::unique_ptr<Log>> open(const std::string& directory) {
  RocksOptions options;
  options.directory = directory;
  return open_rocks_log(options);
}

// Reads everything. Returns what was told about damage; fails on anything wrong that was not.
std::optional<Error> check(const std::string& directory, const Acknowledged& acknowledged) {
  const auto opened = open(directory);
  if (!opened) return opened.error();
  Log& log = **opened;
  for (const auto& [name, last] : acknowledged) {
    Position next{1};
    const auto head = log.head(LogId{name});
    if (!head) return head.error();
    while (next <= head->tail) {
      const auto page = log.read(LogId{name}, next);
      if (!page) return page.error();
      for (const auto& entry : *page) {
        EXPECT_EQ(entry.position, next);
        EXPECT_EQ(entry.bytes, crash::entry_at(LogId{name}, next)) << name << " " << next.value;
        if (::testing::Test::HasFailure()) return std::nullopt;
        next = next.next();
      }
    }
    EXPECT_GE(head->tail.value, last) << name << " lost acknowledged entries";
  }
  return std::nullopt;
}

void expect_clean(const std::string& directory) {
  const auto report = verify_store(directory);
  ASSERT_TRUE(report.has_value()) << report.error().message;
  for (const auto& problem : report->problems) {
    ADD_FAILURE() << problem.log.value << " " << problem.position.value << " " << problem.what;
  }
}

std::vector<fs::path> files_of(const std::string& directory, const std::string& extension) {
  std::vector<fs::path> out;
  for (const auto& file : fs::directory_iterator(directory + "/db")) {
    if (file.path().extension() == extension && file.file_size() > 0) out.push_back(file.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

void flip_bit(const fs::path& path, std::uint64_t offset, int bit) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  const int byte = file.get();
  ASSERT_NE(byte, EOF);
  file.seekp(static_cast<std::streamoff>(offset));
  file.put(static_cast<char>(byte ^ (1 << bit)));
}

// Where the bytes that matter of a preallocated or recycled log file end: behind the last entry.
std::uint64_t used_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  const auto last = std::move(bytes).str().find_last_not_of('\0');
  return last == std::string::npos ? 0 : last + 1;
}

TEST(Crash, KilledProcessLosesNothingThatItAcknowledged) {
  const TempDirectory directory;
  const std::string store = directory.sub("store");
  Acknowledged acknowledged;
  std::mt19937_64 random{20261121};
  for (int round = 0; round < 20; ++round) {
    append_and_kill(store, random() % 400, acknowledged);
    if (HasFatalFailure()) return;
    // Reading a store that crashed changes nothing, and finds no fault; opening it recovers.
    expect_clean(store);
    if (round % 4 == 3) {
      EXPECT_EQ(check(store, acknowledged), std::nullopt);
      expect_clean(store);
    }
  }
}

TEST(Crash, KilledProcessLosesNothingWhileLogFilesComeAndGo) {
  const TempDirectory directory;
  const std::string store = directory.sub("store");
  Acknowledged acknowledged;
  std::mt19937_64 random{7};
  for (int round = 0; round < 8; ++round) {
    append_and_kill(store, 1000 + random() % 3000, acknowledged, 128u << 10);
    if (HasFatalFailure()) return;
    expect_clean(store);
  }
  EXPECT_EQ(check(store, acknowledged), std::nullopt);
  expect_clean(store);
}

class Damage : public ::testing::Test {
protected:
  static void SetUpTestSuite() {
    crashed_ = new Store;
    append_and_kill(crashed_->path, 300, crashed_->acknowledged);
    closed_ = new Store;
    append_and_kill(closed_->path, 300, closed_->acknowledged);
    ASSERT_EQ(check(closed_->path, closed_->acknowledged), std::nullopt);
  }
  static void TearDownTestSuite() {
    delete crashed_;
    delete closed_;
  }

  struct Store {
    TempDirectory directory;
    std::string path = directory.sub("store");
    Acknowledged acknowledged;
  };

  // A copy of a store, to be damaged.
  static std::string copy(const Store& store, const TempDirectory& directory) {
    auto path = directory.sub("copy");
    fs::remove_all(path);
    fs::copy(store.path, path, fs::copy_options::recursive);
    return path;
  }

  // What was told of the damage. Silence is accepted only where all data is as it was written.
  static bool is_noticed(const std::string& store, const Acknowledged& acknowledged) {
    const auto report = verify_store(store);
    const auto told = check(store, acknowledged);
    if (told) {
      EXPECT_EQ(told->code, ErrorCode::corrupted) << told->message;
      EXPECT_THAT(told->message, HasSubstr("backup"));
      EXPECT_TRUE(!report || !report->is_clean()) << "verify overlooks: " << told->message;
    }
    return told.has_value();
  }

  static Store* crashed_;  // with entries in the write-ahead log
  static Store* closed_;   // with all entries in tables
};
Damage::Store* Damage::crashed_ = nullptr;
Damage::Store* Damage::closed_ = nullptr;

TEST_F(Damage, FlippedBitInTheWriteAheadLogIsNoticed) {
  const TempDirectory directory;
  std::mt19937_64 random{1};
  int noticed = 0;
  constexpr int kRounds = 25;
  for (int round = 0; round < kRounds; ++round) {
    const auto store = copy(*crashed_, directory);
    const auto log = files_of(store, ".log").back();
    flip_bit(log, random() % used_bytes(log), static_cast<int>(random() % 8));
    noticed += is_noticed(store, crashed_->acknowledged) ? 1 : 0;
    if (HasFailure()) FAIL() << "round " << round;
  }
  // The rest hit snapshots, which may be lost, or what was written but not acknowledged.
  EXPECT_GT(noticed, kRounds / 2);
}

TEST_F(Damage, CutWriteAheadLogIsNoticed) {
  const TempDirectory directory;
  std::mt19937_64 random{2};
  for (int round = 0; round < 10; ++round) {
    const auto store = copy(*crashed_, directory);
    const auto log = files_of(store, ".log").back();
    fs::resize_file(log, random() % (used_bytes(log) * 9 / 10));
    EXPECT_TRUE(is_noticed(store, crashed_->acknowledged));
    // It stays refused: the first attempt must not have made the loss permanent.
    EXPECT_TRUE(is_noticed(store, crashed_->acknowledged));
  }
}

TEST_F(Damage, LossCanBeAcceptedInSoManyWords) {
  const TempDirectory directory;
  const auto store = copy(*crashed_, directory);
  const auto log = files_of(store, ".log").back();
  fs::resize_file(log, used_bytes(log) / 2);
  const auto refused = open(store);
  ASSERT_EQ(code_of(refused), ErrorCode::corrupted);
  const std::string watermark = store + "/gavel.watermark";
  EXPECT_THAT(refused.error().message, HasSubstr("to go on without them, delete " + watermark));
  fs::remove(watermark);
  ASSERT_TRUE(open(store).has_value());
  expect_clean(store);
}

TEST_F(Damage, FlippedBitInATableIsNoticed) {
  const TempDirectory directory;
  std::mt19937_64 random{3};
  int noticed = 0;
  constexpr int kRounds = 25;
  for (int round = 0; round < kRounds; ++round) {
    const auto store = copy(*closed_, directory);
    auto tables = files_of(store, ".sst");
    // The largest has the entries.
    std::sort(tables.begin(), tables.end(),
              [](const auto& a, const auto& b) { return fs::file_size(a) > fs::file_size(b); });
    flip_bit(tables[0], random() % fs::file_size(tables[0]), static_cast<int>(random() % 8));
    noticed += is_noticed(store, closed_->acknowledged) ? 1 : 0;
    if (HasFailure()) FAIL() << "round " << round;
  }
  EXPECT_GT(noticed, kRounds / 2);
}

TEST_F(Damage, CutOrMissingTableIsNoticed) {
  const TempDirectory directory;
  const auto count = files_of(closed_->path, ".sst").size();
  ASSERT_GT(count, 0u);
  for (std::size_t i = 0; i < count; ++i) {
    auto store = copy(*closed_, directory);
    const auto table = files_of(store, ".sst")[i];
    fs::resize_file(table, fs::file_size(table) / 2);
    EXPECT_TRUE(is_noticed(store, closed_->acknowledged)) << table;
    store = copy(*closed_, directory);
    fs::remove(files_of(store, ".sst")[i]);
    EXPECT_TRUE(is_noticed(store, closed_->acknowledged)) << table;
  }
}

TEST(FullDisk, StopsAppendsWithAClearErrorAndKeepsWhatItAcknowledged) {
  const TempDirectory directory;
  const std::string store = directory.sub("store");
  Acknowledged acknowledged;
  {
    Child child({"fill", store, std::to_string(kMemtable), "300000"});
    ASSERT_EQ(child.line().value_or(""), "ready");
    int refusals = 0;
    while (const auto line = child.line()) {
      if (line->starts_with("log-")) {
        note(acknowledged, *line);
      } else if (line->starts_with("storage_failed: ")) {
        EXPECT_THAT(*line, HasSubstr("free some space and start gavel again"));
        EXPECT_THAT(*line, HasSubstr(store));
        ++refusals;
      } else if (line->starts_with("health: ")) {
        EXPECT_THAT(*line, HasSubstr("free some space"));
      } else {
        EXPECT_EQ(*line, "failures told: 1");
      }
    }
    EXPECT_EQ(refusals, 4);
    EXPECT_EQ(child.wait(), 0);
  }
  EXPECT_FALSE(acknowledged.empty());
  EXPECT_EQ(check(store, acknowledged), std::nullopt);
  expect_clean(store);
}

}  // namespace
}  // namespace gavel::testing

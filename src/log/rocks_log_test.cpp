// What only the RocksDB engine promises: that everything survives a restart, and who may open what.

#include "log/rocks_log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "log/head_cache.hpp"
#include "log/log_testing.hpp"
#include "log/records.hpp"
#include "log/rocks_store.hpp"
#include "log/verify.hpp"

namespace gavel::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RocksLogTest : public ::testing::Test {
protected:
  Result<std::unique_ptr<Log>> try_open() {
    RocksOptions options;
    options.directory = store_;
    options.cached_heads = cached_heads_;
    options.memtable_bytes = memtable_bytes_;
    return open_rocks_log(options);
  }
  std::unique_ptr<Log> open() {
    auto log = try_open();
    EXPECT_TRUE(log.has_value()) << log.error().message;
    return log ? std::move(*log) : nullptr;
  }
  // Changes the database behind the engine's back.
  void tamper(const std::function<void(RocksStore&)>& change) {
    auto store = RocksStore::open(store_, StoreAccess::write);
    ASSERT_TRUE(store.has_value()) << store.error().message;
    change(**store);
  }
  static void put_raw(RocksStore& store, rocksdb::ColumnFamilyHandle* family,
                      const std::string& key, const std::string& value) {
    rocksdb::WriteOptions synced;
    synced.sync = true;
    ASSERT_TRUE(store.db().Put(synced, family, key, value).ok());
  }

  TempDirectory directory_;
  const std::string store_ = directory_.sub("store");
  std::size_t cached_heads_ = 16384;
  std::size_t memtable_bytes_ = 64u << 20;
};

TEST_F(RocksLogTest, EverythingSurvivesARestart) {
  const std::string payload(100'000, 'p');
  Append repeated;
  Head before;
  {
    const auto log = open();
    Append append = append_of(elect(part("s", 0, {"a", "b"}, 1)));
    append.blobs.push_back({sha256(payload), payload});
    append.parts[0].next_due = Timestamp{5000};
    append.parts[0].raises_barrier = true;
    repeated = append;
    ASSERT_TRUE(put(*log, std::move(append)).has_value());
    ASSERT_TRUE(put(*log, part("s", 2, {"c"}, 1)).has_value());
    ASSERT_TRUE(log->save_snapshot(LogId{"s"}, {Position{2}, "state"}));
    ASSERT_TRUE(log->trim(LogId{"s"}, Position{1}));
    before = *log->head(LogId{"s"});
  }
  const auto log = open();
  const auto after = *log->head(LogId{"s"});
  EXPECT_EQ(after.tail.value, 3u);
  EXPECT_EQ(after.durable.value, 3u);
  EXPECT_EQ(after.epoch.value, 1u);
  EXPECT_EQ(after.barrier, 1u);
  EXPECT_EQ(after.chain, before.chain);
  EXPECT_EQ(after.durable_chain, before.chain);
  EXPECT_EQ(after.trimmed.value, 1u);
  EXPECT_EQ(after.snapshot.value, 2u);
  EXPECT_EQ(after.next_due.ms, 5000);
  EXPECT_THAT(entries_of(*log, "s", 2), ElementsAre("b", "c"));
  EXPECT_EQ(log->blob(sha256(payload)).value_or(""), payload);
  EXPECT_THAT(*log->due(Timestamp{5000}, 10), ElementsAre(LogId{"s"}));
  const auto again = put(*log, std::move(repeated));
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_TRUE(again->repeated);
  EXPECT_THAT(again->tails, ElementsAre(Position{2}));
  ASSERT_TRUE(put(*log, part("s", 3, {"d"}, 1)).has_value());
}

TEST_F(RocksLogTest, ClosingFinishesWhatIsOnItsWay) {
  constexpr std::uint64_t kAppends = 200;
  std::uint64_t durable = 0;
  {
    const auto log = open();
    for (std::uint64_t i = 0; i < kAppends; ++i) {
      ASSERT_TRUE(log->append(append_of(part("s", i, {"x"})),
                              [&](const Status& status) { durable += status ? 1 : 0; }));
    }
  }
  EXPECT_EQ(durable, kAppends);
  EXPECT_EQ(entries_of(*open(), "s").size(), kAppends);
}

TEST_F(RocksLogTest, SecondProcessIsRefusedByName) {
  const auto log = open();
  const auto second = try_open();
  ASSERT_EQ(code_of(second), ErrorCode::unavailable);
  EXPECT_THAT(second.error().message,
              HasSubstr("another gavel (pid " + std::to_string(::getpid()) + ")"));
  EXPECT_THAT(second.error().message, HasSubstr(store_));
  EXPECT_EQ(code_of(verify_store(store_)), ErrorCode::unavailable);
}

TEST_F(RocksLogTest, StoreOfANewerFormatIsRefused) {
  open();
  tamper([](RocksStore& store) {
    put_raw(store, store.meta(), std::string(kFormatKey), be64_bytes(kLogFormat + 1));
  });
  const auto refused = try_open();
  ASSERT_EQ(code_of(refused), ErrorCode::unsupported);
  EXPECT_THAT(refused.error().message, HasSubstr("use a newer gavel"));
}

TEST_F(RocksLogTest, StoreWithAFamilyOfANewerGavelIsRefused) {
  open();
  tamper([](RocksStore& store) {
    rocksdb::ColumnFamilyHandle* family = nullptr;
    ASSERT_TRUE(store.db().CreateColumnFamily({}, "tomorrow", &family).ok());
    ASSERT_TRUE(store.db().DestroyColumnFamilyHandle(family).ok());
  });
  const auto refused = try_open();
  ASSERT_EQ(code_of(refused), ErrorCode::unsupported);
  EXPECT_THAT(refused.error().message, HasSubstr("tomorrow"));
}

TEST_F(RocksLogTest, RecordOfANewerVersionIsNamedWhenItIsRead) {
  ASSERT_TRUE(put(*open(), part("s", 0, {"a"})).has_value());
  tamper([](RocksStore& store) {
    put_raw(store, store.entries(), entry_key(LogId{"s"}, Position{1}), "\x02 of tomorrow");
  });
  const auto log = open();
  const auto read = log->read(LogId{"s"}, Position{1});
  EXPECT_EQ(code_of(read), ErrorCode::corrupted);
  EXPECT_THAT(read.error().message, HasSubstr("entry 1 of s"));
  EXPECT_THAT(read.error().message, HasSubstr("version 2"));
}

TEST_F(RocksLogTest, MissingCommitIsNoticedWhenTheStoreIsOpened) {
  {
    const auto log = open();
    for (std::uint64_t i = 0; i < 5; ++i) {
      ASSERT_TRUE(put(*log, part("s", i, {"x"})).has_value());
    }
  }
  tamper([](RocksStore& store) {
    // As after a hole in the log: later commits are there.
    const auto last = store.last_commit();
    put_raw(store, store.meta(), commit_key(last + 3), "");
  });
  const auto refused = try_open();
  ASSERT_EQ(code_of(refused), ErrorCode::corrupted);
  EXPECT_THAT(refused.error().message, HasSubstr("are missing from the write-ahead log"));
  EXPECT_THAT(refused.error().message, HasSubstr("Restore it from a backup"));
  const auto report = verify_store(store_);
  ASSERT_TRUE(report.has_value());
  EXPECT_FALSE(report->is_clean());
}

TEST_F(RocksLogTest, CommitWithoutItsRecordsIsNoticedWhenTheStoreIsOpened) {
  ASSERT_TRUE(put(*open(), part("s", 0, {"x"})).has_value());
  tamper([](RocksStore& store) {
    std::string parts;
    encode_committed(LogId{"s"}, Position{1}, Position{1}, parts);  // is there
    encode_committed(LogId{"s"}, Position{2}, Position{2}, parts);  // the head is behind it
    encode_committed(LogId{"s"}, Position{0}, Position{1}, parts);  // no such record
    put_raw(store, store.meta(), commit_key(store.last_commit() + 1), parts);
  });
  const auto refused = try_open();
  ASSERT_EQ(code_of(refused), ErrorCode::corrupted);
  EXPECT_THAT(refused.error().message, HasSubstr("the head of s is behind entry 2"));
  EXPECT_THAT(refused.error().message, HasSubstr("entry 0 of s cannot be read"));
}

TEST_F(RocksLogTest, MissingRecordIsNeverAnEmptyAnswer) {
  {
    const auto log = open();
    for (std::uint64_t i = 0; i < 3; ++i) {
      ASSERT_TRUE(put(*log, part("s", i, {"x"})).has_value());
    }
  }
  tamper([](RocksStore& store) {
    ASSERT_TRUE(store.db().Delete({}, store.entries(), entry_key(LogId{"s"}, Position{2})).ok());
  });
  const auto log = open();
  for (const std::uint64_t from : {1u, 2u}) {
    const auto read = log->read(LogId{"s"}, Position{from});
    EXPECT_EQ(code_of(read), ErrorCode::corrupted);
    EXPECT_THAT(read.error().message, HasSubstr("entry 2 of s"));
  }
  EXPECT_EQ(log->read(LogId{"s"}, Position{3})->size(), 1u);
}

TEST_F(RocksLogTest, DamagedValuesAreNamed) {
  {
    const auto log = open();
    Append append = append_of(part("s", 0, {"x"}));
    append.blobs.push_back({sha256("blob"), "blob"});
    ASSERT_TRUE(put(*log, std::move(append)).has_value());
    ASSERT_TRUE(put(*log, part("t", 0, {"x"})).has_value());
  }
  tamper([](RocksStore& store) {
    put_raw(store, store.meta(), head_key(LogId{"s"}), "\1short");
    put_raw(store, store.meta(), "tx", "");
    put_raw(store, store.blobs(), std::string(sha256("blob").view()), "blub");
    put_raw(store, store.snapshots(), snapshot_key(kSnapshotAtPrefix, LogId{"t"}), "short");
  });
  const auto log = open();
  EXPECT_EQ(code_of(log->head(LogId{"s"})), ErrorCode::corrupted);
  EXPECT_EQ(code_of(log->list("s", {}, 10)), ErrorCode::corrupted);
  EXPECT_EQ(code_of(put(*log, part("s", 1, {"x"}))), ErrorCode::corrupted);
  EXPECT_EQ(code_of(log->due(Timestamp{1}, 10)), ErrorCode::corrupted);
  EXPECT_EQ(code_of(log->blob(sha256("blob"))), ErrorCode::corrupted);
  EXPECT_EQ(code_of(log->load_snapshot(LogId{"t"})), ErrorCode::corrupted);
  EXPECT_TRUE(log->health().has_value());
}

TEST_F(RocksLogTest, FewCachedHeadsAreEnoughForManyLogs) {
  cached_heads_ = 4;
  const auto log = open();
  for (std::uint64_t round = 0; round < 3; ++round) {
    for (int i = 0; i < 20; ++i) {
      const auto name = "s" + std::to_string(i);
      ASSERT_TRUE(put(*log, part(name, round, {name})).has_value());
    }
  }
  std::vector<AppendPart> parts;
  for (int i = 0; i < 20; ++i) parts.push_back(part("s" + std::to_string(i), 3, {"all"}));
  ASSERT_TRUE(put(*log, append_of(std::move(parts))).has_value());
  for (int i = 0; i < 20; ++i) {
    const auto name = "s" + std::to_string(i);
    EXPECT_THAT(entries_of(*log, name), ElementsAre(name, name, name, "all"));
  }
}

TEST(HeadCacheTest, DropsTheLongestUnusedThatIsNotPinned) {
  HeadCache cache(3);
  const auto add = [&](const std::string& name) -> CachedHead& {
    CachedHead head;
    head.head.log.value = name;
    return cache.insert(std::move(head));
  };
  ++add("pinned").pins;
  add("old");
  add("used");
  EXPECT_NE(cache.find(LogId{"old"}), nullptr);
  add("new");
  EXPECT_EQ(cache.size(), 3u);
  EXPECT_NE(cache.find(LogId{"pinned"}), nullptr);
  EXPECT_NE(cache.find(LogId{"old"}), nullptr);
  EXPECT_EQ(cache.find(LogId{"used"}), nullptr);
}

TEST_F(RocksLogTest, NextWriteAheadLogIsAFileThatWasFilledWithZeros) {
  memtable_bytes_ = 4u << 20;
  const std::string spare = store_ + "/gavel.spare";
  ino_t prepared = 0;
  const auto number_of = [](const fs::path& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
  };
  const auto is_log = [&](ino_t number) {
    for (const auto& file : fs::directory_iterator(store_ + "/db")) {
      if (file.path().extension() == ".log" && number_of(file.path()) == number) return true;
    }
    return false;
  };
  const auto log = open();
  std::ifstream held;  // so that the file's number is not given to another one
  bool used = false;
  for (std::uint64_t i = 0; i < 4000 && !used; ++i) {
    ASSERT_TRUE(put(*log, part("s", i, {std::string(8192, 'x')})).has_value());
    if (prepared == 0 && (prepared = number_of(spare)) != 0) held.open(spare);
    used = prepared != 0 && is_log(prepared);
  }
  EXPECT_TRUE(used);
}

TEST_F(RocksLogTest, CommitNumbersArePrunedOnceTheirEntriesAreInTables) {
  memtable_bytes_ = 256u << 10;
  {
    const auto log = open();
    for (std::uint64_t i = 0; i < 1000; ++i) {
      ASSERT_TRUE(put(*log, part("s", i, {std::string(2048, 'x')})).has_value());
    }
  }
  const auto count = [&] {
    std::size_t commits = 0;
    tamper([&](RocksStore& store) {
      const std::unique_ptr<rocksdb::Iterator> rows(store.db().NewIterator({}, store.meta()));
      const std::string prefix(1, kCommitPrefix);
      for (rows->Seek(prefix); rows->Valid() && rows->key().starts_with(prefix); rows->Next()) {
        ++commits;
      }
      EXPECT_GE(store.last_commit(), 1000u);
    });
    return commits;
  };
  EXPECT_EQ(count(), 1u);
}

TEST_F(RocksLogTest, FloodIsRefusedAsBusyBeforeMemoryEnds) {
  const auto log = open();
  std::promise<void> go;
  auto gate = go.get_future().share();
  ASSERT_TRUE(log->append(append_of(part("s", 0, {"x"})), [gate](const Status&) { gate.wait(); }));
  // The committer is held up now or soon; whatever it took first does not wait any more.
  std::uint64_t tail = 1;
  std::optional<Error> refused;
  for (int i = 0; i < 64 && !refused; ++i) {
    const auto result = log->append(append_of(part("s", tail, {std::string(8u << 20, 'x')})), {});
    if (result) {
      tail = result->tails[0].value;
    } else {
      refused = result.error();
    }
  }
  go.set_value();
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->code, ErrorCode::busy);
  EXPECT_THAT(refused->message, HasSubstr("wait for the disk"));
}

TEST_F(RocksLogTest, DirectoryThatCannotBeMadeIsAnError) {
  std::ofstream(directory_.sub("file")) << "x";
  RocksOptions options;
  options.directory = directory_.sub("file/store");
  const auto refused = open_rocks_log(options);
  EXPECT_EQ(code_of(refused), ErrorCode::storage_failed);
  EXPECT_THAT(refused.error().message, HasSubstr("cannot create"));
}

TEST_F(RocksLogTest, FirstStartThatWasCutShortIsFinishedByTheNext) {
  fs::create_directories(store_);
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* db = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open(options, store_ + "/db", &db).ok());
  delete db;
  ASSERT_TRUE(put(*open(), part("s", 0, {"x"})).has_value());
  EXPECT_THAT(entries_of(*open(), "s"), ElementsAre("x"));
}

TEST_F(RocksLogTest, StoreIsReadableByItsOwnerOnly) {
  open();
  struct stat status{};
  ASSERT_EQ(::stat(store_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0700u);
}

}  // namespace
}  // namespace gavel::testing

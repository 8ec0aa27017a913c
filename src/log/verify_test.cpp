#include "log/verify.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include "log/log_testing.hpp"
#include "log/records.hpp"
#include "log/rocks_log.hpp"
#include "log/rocks_store.hpp"

namespace gavel::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Verify : public ::testing::Test {
protected:
  std::unique_ptr<Log> open() {
    RocksOptions options;
    options.directory = store_;
    auto log = open_rocks_log(options);
    EXPECT_TRUE(log.has_value()) << log.error().message;
    return log ? std::move(*log) : nullptr;
  }

  // "a" with three entries in two records, "b" with one, and a blob.
  void fill() {
    const auto log = open();
    Append first = append_of({elect(part("a", 0, {"a1", "a2"}, 1)), part("b", 0, {"b1"})});
    first.blobs.push_back({sha256("blob"), "blob"});
    first.parts[1].raises_barrier = true;
    ASSERT_TRUE(put(*log, std::move(first)).has_value());
    ASSERT_TRUE(put(*log, part("a", 2, {"a3"}, 1)).has_value());
  }

  VerifyReport verify(const VerifyOptions& options = {}) {
    auto report = verify_store(store_, options);
    EXPECT_TRUE(report.has_value()) << report.error().message;
    return report.value_or(VerifyReport{});
  }

  void tamper(const std::function<void(RocksStore&)>& change) {
    auto store = RocksStore::open(store_, StoreAccess::write);
    ASSERT_TRUE(store.has_value()) << store.error().message;
    change(**store);
  }
  void set(rocksdb::ColumnFamilyHandle* (RocksStore::*family)() const, const std::string& key,
           const std::string& value) {
    tamper([&](RocksStore& store) {
      ASSERT_TRUE(store.db().Put({}, (store.*family)(), key, value).ok());
    });
  }
  void erase(rocksdb::ColumnFamilyHandle* (RocksStore::*family)() const, const std::string& key) {
    tamper([&](RocksStore& store) {
      ASSERT_TRUE(store.db().Delete({}, (store.*family)(), key).ok());
    });
  }
  std::string get(rocksdb::ColumnFamilyHandle* (RocksStore::*family)() const,
                  const std::string& key) {
    std::string value;
    tamper([&](RocksStore& store) {
      ASSERT_TRUE(store.db().Get({}, (store.*family)(), key, &value).ok());
    });
    return value;
  }

  // A problem of a log at a position, whose text has `what`.
  static auto problem(const std::string& log, std::uint64_t position, const std::string& what) {
    return AllOf(Field(&VerifyProblem::log, LogId{log}),
                 Field(&VerifyProblem::position, Position{position}),
                 Field(&VerifyProblem::what, HasSubstr(what)));
  }

  TempDirectory directory_;
  const std::string store_ = directory_.sub("store");
};

TEST_F(Verify, CountsWhatIsThereAndFindsNothingInASoundStore) {
  fill();
  std::vector<std::uint64_t> progress;
  VerifyOptions options;
  options.on_progress = [&](const VerifyReport& report) { progress.push_back(report.logs); };
  options.blobs_of = [](std::string_view entry) {
    return entry == "a1" ? std::vector{sha256("blob")} : std::vector<Digest>{};
  };
  const auto report = verify(options);
  EXPECT_TRUE(report.is_clean());
  EXPECT_EQ(report.logs, 2u);
  EXPECT_EQ(report.entries, 4u);
  EXPECT_EQ(report.bytes, 8u);
  EXPECT_EQ(report.blobs, 1u);
  EXPECT_THAT(progress, ElementsAre(1u, 2u));
}

TEST_F(Verify, DirectoryWithoutAStoreIsNotFound) {
  EXPECT_EQ(code_of(verify_store(store_)), ErrorCode::not_found);
  fill();
  std::filesystem::remove_all(store_ + "/db");
  EXPECT_EQ(code_of(verify_store(store_)), ErrorCode::not_found);
}

// A first start dies between making the database and writing its format.
TEST_F(Verify, StoreWhoseFirstStartDidNotFinishIsNotFoundOrLost) {
  std::filesystem::create_directories(store_);
  {
    ASSERT_TRUE(StoreLock::take(store_, true).has_value());
  }
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* db = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open(options, store_ + "/db", &db).ok());
  delete db;
  EXPECT_EQ(code_of(verify_store(store_)), ErrorCode::not_found);

  // Unless something was acknowledged: then this is what is left of a store.
  {
    ASSERT_TRUE(Watermark::map(store_ + "/gavel.watermark", 7).has_value());
  }
  EXPECT_EQ(code_of(verify_store(store_)), ErrorCode::corrupted);
  std::filesystem::remove(store_ + "/gavel.watermark");
  EXPECT_NE(open(), nullptr);
  EXPECT_TRUE(verify().is_clean());
}

TEST_F(Verify, ChangedEntryIsFound) {
  fill();
  auto value = get(&RocksStore::entries, entry_key(LogId{"a"}, Position{1}));
  value.back() = 'x';  // "a2" becomes "ax"
  set(&RocksStore::entries, entry_key(LogId{"a"}, Position{1}), value);
  EXPECT_THAT(verify().problems, ElementsAre(problem("a", 1, "was changed")));
}

TEST_F(Verify, ChangedEntryWithARecomputedHashIsFoundByItsSuccessor) {
  fill();
  const auto key = entry_key(LogId{"a"}, Position{1});
  const auto value = get(&RocksStore::entries, key);
  RecordHeader header = RecordView::parse(value)->header();
  const std::vector<std::string> forged = {"a1", "forged"};
  header.chain = sha256("another");
  std::string rewritten;
  encode_record(header, forged, rewritten);
  set(&RocksStore::entries, key, rewritten);
  EXPECT_THAT(verify().problems,
              ElementsAre(problem("a", 1, "was changed"), problem("a", 3, "chain is broken")));
}

TEST_F(Verify, MissingRecordsAreFound) {
  fill();
  erase(&RocksStore::entries, entry_key(LogId{"a"}, Position{1}));
  erase(&RocksStore::entries, entry_key(LogId{"b"}, Position{1}));
  EXPECT_THAT(verify().problems,
              ElementsAre(problem("a", 1, "is missing; the next one is at 3"),
                          problem("b", 1, "is missing: the log's head is at 1")));
}

TEST_F(Verify, UnreadableRecordsAndHeadsAreFound) {
  fill();
  set(&RocksStore::entries, entry_key(LogId{"a"}, Position{3}), "?");
  set(&RocksStore::entries, std::string("b\0?", 3), "?");
  set(&RocksStore::entries, "zzz", "?");
  set(&RocksStore::meta, head_key(LogId{"c"}), "");
  const auto problems = verify().problems;
  EXPECT_THAT(problems, Contains(problem("a", 3, "version")));
  EXPECT_THAT(problems, Contains(problem("b", 2, "key")));
  EXPECT_THAT(problems, Contains(problem("", 0, "key cannot be read")));
  EXPECT_THAT(problems, Contains(problem("c", 0, "no version")));
}

TEST_F(Verify, HeadThatDisagreesWithItsEntriesIsFound) {
  fill();
  auto head = *decode_head(get(&RocksStore::meta, head_key(LogId{"a"})));
  const auto with = [&](const std::function<void(StoredHead&)>& change) {
    StoredHead changed = head;
    change(changed);
    std::string value;
    encode_head(changed, value);
    set(&RocksStore::meta, head_key(LogId{"a"}), value);
    return verify().problems;
  };
  EXPECT_THAT(with([](StoredHead& h) { h.chain = sha256("x"); }),
              ElementsAre(problem("a", 3, "not the one of the log's head")));
  EXPECT_THAT(with([](StoredHead& h) { h.epoch = Epoch{9}; }),
              ElementsAre(problem("a", 3, "epoch")));
  EXPECT_THAT(with([](StoredHead& h) { h.barrier = 1; }), ElementsAre(problem("a", 3, "barrier")));
  EXPECT_THAT(with([](StoredHead& h) { h.tail = Position{7}; }),
              ElementsAre(problem("a", 4, "the log's head is at 7")));
}

TEST_F(Verify, RecordsOfALogWithoutAHeadAreFound) {
  fill();
  erase(&RocksStore::meta, head_key(LogId{"b"}));
  EXPECT_THAT(verify().problems, ElementsAre(problem("b", 1, "has no head")));
}

TEST_F(Verify, RecordOfACommitThatNeverWasIsFound) {
  fill();
  const auto key = entry_key(LogId{"b"}, Position{1});
  RecordHeader header = RecordView::parse(get(&RocksStore::entries, key))->header();
  header.commit = 1'000'000;
  std::string value;
  encode_record(header, std::vector<std::string>{"b1"}, value);
  set(&RocksStore::entries, key, value);
  EXPECT_THAT(verify().problems, ElementsAre(problem("b", 1, "is of commit 1000000")));
}

TEST_F(Verify, ChangedAndMissingBlobsAreFound) {
  fill();
  set(&RocksStore::blobs, std::string(sha256("blob").view()), "blub");
  VerifyOptions options;
  options.blobs_of = [](std::string_view entry) {
    return entry == "b1" ? std::vector{sha256("gone")} : std::vector<Digest>{};
  };
  const auto problems = verify(options).problems;
  EXPECT_THAT(problems, ElementsAre(problem("b", 1, "refers to blob"),
                                    problem("", 0, "bytes of blob " + sha256("blob").hex())));
}

TEST_F(Verify, SnapshotOutsideTheLogIsFound) {
  fill();
  set(&RocksStore::snapshots, snapshot_key(kSnapshotAtPrefix, LogId{"a"}), be64_bytes(99));
  EXPECT_THAT(verify().problems, ElementsAre(problem("a", 0, "snapshot")));
}

TEST_F(Verify, ProblemsAreBounded) {
  tamper([](RocksStore& store) {
    for (std::size_t i = 0; i < kVerifyProblemsMax + 10; ++i) {
      ASSERT_TRUE(store.db().Put({}, store.blobs(), std::to_string(i), "x").ok());
    }
  });
  EXPECT_EQ(verify().problems.size(), kVerifyProblemsMax);
}

class VerifyCheckpoint : public Verify {
protected:
  Checkpoint checkpoint() {
    const auto log = open();
    auto key = CheckpointKey::load_or_create(directory_.sub("key"));
    EXPECT_TRUE(key.has_value());
    auto made = make_checkpoint(*log, *key, Timestamp{1000});
    EXPECT_TRUE(made.has_value());
    return *made;
  }
};

TEST_F(VerifyCheckpoint, LogThatGrewSinceIsSound) {
  fill();
  VerifyOptions options;
  options.checkpoint = checkpoint();
  {
    const auto log = open();
    ASSERT_TRUE(put(*log, part("a", 3, {"a4"}, 1)).has_value());
    ASSERT_TRUE(put(*log, part("new", 0, {"x"})).has_value());
  }
  const auto report = verify(options);
  EXPECT_TRUE(report.is_clean());
  EXPECT_EQ(report.not_compared, 0u);
}

TEST_F(VerifyCheckpoint, HistoryThatWasWrittenAnewIsFound) {
  fill();
  VerifyOptions options;
  options.checkpoint = checkpoint();
  std::filesystem::remove_all(store_);
  {
    // All hashes fit; only the checkpoint knows better.
    const auto log = open();
    ASSERT_TRUE(put(*log, elect(part("a", 0, {"a1", "forged"}, 1))).has_value());
    ASSERT_TRUE(put(*log, part("a", 2, {"a3", "a4"}, 1)).has_value());
  }
  EXPECT_TRUE(verify().is_clean());
  EXPECT_THAT(verify(options).problems,
              ElementsAre(problem("a", 3, "history was rewritten"), problem("b", 0, "is gone")));
}

TEST_F(VerifyCheckpoint, EndThatWasCutOffIsFound) {
  fill();
  VerifyOptions options;
  options.checkpoint = checkpoint();
  std::filesystem::remove_all(store_);
  {
    const auto log = open();
    ASSERT_TRUE(put(*log, append_of({elect(part("a", 0, {"a1", "a2"}, 1)), part("b", 0, {"b1"})}))
                    .has_value());
  }
  EXPECT_TRUE(verify().is_clean());
  EXPECT_THAT(verify(options).problems,
              ElementsAre(problem("a", 3, "the checkpoint has the log at 3")));
}

TEST_F(VerifyCheckpoint, TrimmedLogIsComparedAsFarAsItCanBe) {
  fill();
  VerifyOptions old;
  old.checkpoint = checkpoint();
  {
    const auto log = open();
    ASSERT_TRUE(put(*log, part("a", 3, {"a4"}, 1)).has_value());
    ASSERT_TRUE(put(*log, part("a", 4, {"a5"}, 1)).has_value());
    ASSERT_TRUE(log->save_snapshot(LogId{"a"}, {Position{5}, "state"}));
    ASSERT_TRUE(log->trim(LogId{"a"}, Position{3}));
  }
  // The kept records start right behind the checkpoint: its hash is still there.
  EXPECT_TRUE(verify(old).is_clean());
  EXPECT_EQ(verify(old).not_compared, 0u);
  ASSERT_TRUE(open()->trim(LogId{"a"}, Position{5}));
  const auto report = verify(old);
  EXPECT_TRUE(report.is_clean());
  EXPECT_EQ(report.not_compared, 1u);
}

}  // namespace
}  // namespace gavel::testing

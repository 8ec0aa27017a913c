#pragma once
// A directory with a RocksDB database in it, opened and checked: the lock, the format version, the
// column families, and that no commit is missing. RocksDB takes a damaged record of its write-ahead
// log for the log's end; so every commit carries a number, and opening looks for gaps in the
// numbers and for a last number behind the watermark.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "log/store_files.hpp"

namespace rocksdb {
class ColumnFamilyHandle;
class DB;
class Env;
class Status;
}  // namespace rocksdb

namespace gavel {

class SpareWal;

enum class StoreAccess { write, read };

// From RocksDB's own threads.
struct StoreHooks {
  // All that was written up to this sequence number is in table files.
  std::function<void(std::uint64_t sequence)> on_flushed;
  // A flush or compaction failed.
  std::function<void(Error)> on_error;
};

struct StoreOptions {
  StoreHooks hooks;
  std::size_t memtable_bytes = 64u << 20;
};

class RocksStore {
public:
  // With access write: creates what is missing and refuses a damaged store. With access read:
  // changes nothing and lists the damage.
  static Result<std::unique_ptr<RocksStore>> open(const std::string& directory, StoreAccess access,
                                                  StoreOptions options = {});
  ~RocksStore();
  RocksStore(const RocksStore&) = delete;
  RocksStore& operator=(const RocksStore&) = delete;

  rocksdb::DB& db() const { return *db_; }
  rocksdb::ColumnFamilyHandle* meta() const { return families_[1]; }
  rocksdb::ColumnFamilyHandle* entries() const { return families_[2]; }
  rocksdb::ColumnFamilyHandle* blobs() const { return families_[3]; }
  rocksdb::ColumnFamilyHandle* snapshots() const { return families_[4]; }

  const std::string& directory() const { return directory_; }
  std::uint64_t last_commit() const { return last_commit_; }
  std::uint64_t pruned() const { return pruned_; }
  const std::vector<std::string>& damage() const { return damage_; }
  // This commit, with about so many bytes, is durable, and will be acknowledged. Access write only.
  void acknowledge(std::uint64_t commit, std::size_t bytes);
  // Writes what is in memory to tables.
  Status flush();

  // What a failed call means, in our words: corrupted or storage_failed.
  Error error(const rocksdb::Status& status, std::string_view doing) const;

private:
  RocksStore() = default;
  Status open_database(StoreAccess access, StoreOptions options);
  Status check_families(const std::string& path, StoreAccess access) const;
  std::unexpected<Error> unfinished() const;
  Status check_format(StoreAccess access, bool fresh);
  void begin_log();
  Status check_commits();
  Status check_recent(const std::deque<std::string>& commits);

  std::string directory_;
  std::unique_ptr<StoreLock> lock_;
  std::shared_ptr<SpareWal> spare_;
  std::unique_ptr<rocksdb::Env> env_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> families_;  // of kFamilies, in its order
  std::unique_ptr<Watermark> watermark_;
  std::uint64_t last_commit_ = 0;
  std::uint64_t pruned_ = 0;
  std::vector<std::string> damage_;
};

}  // namespace gavel

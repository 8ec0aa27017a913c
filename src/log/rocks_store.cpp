#include "log/rocks_store.hpp"

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <deque>
#include <filesystem>

#include "log/records.hpp"
#include "log/spare_wal.hpp"

namespace gavel {
namespace {

namespace fs = std::filesystem;

constexpr std::array kFamilies = {"default", "meta", "entries", "blobs", "snapshots"};
constexpr std::size_t kBlockCacheBytes = 32u << 20;
constexpr std::size_t kBlobFileFrom = 4096;
constexpr std::size_t kWalBytesMax = 512u << 20;
// How many of the last commits are looked up record by record when a store is opened.
constexpr std::size_t kCheckedCommits = 1000;
constexpr std::size_t kCheckedRecords = 4096;

// What a failed call means, in our words.
Error store_error(const std::string& directory, const rocksdb::Status& status,
                  std::string_view doing) {
  if (status.IsCorruption()) {
    return {ErrorCode::corrupted,
            fmt::format("cannot {} in {}: {}. Restore it from a backup; gavel verify lists what "
                        "is affected",
                        doing, directory, status.ToString())};
  }
  // RocksDB keeps the text of errno, not its number.
  const std::string text = status.ToString();
  const bool full = status.IsNoSpace() || text.find("File too large") != std::string::npos ||
                    text.find("quota exceeded") != std::string::npos;
  return {ErrorCode::storage_failed,
          fmt::format(
              "cannot {} in {}: {}{}", doing, directory, text,
              full ? "; free some space and start gavel again: what it acknowledged is kept" : "")};
}

// RocksDB writes a log of its own beside its data. What it has to say there, calls and the listener
// say too; and where that file cannot be written, a RocksDB built with assertions (Debian's is)
// ends the process at its second line. So it is not written.
class Silence final : public rocksdb::Logger {
public:
  void Logv(const char*, std::va_list) override {}
};

class Listener final : public rocksdb::EventListener {
public:
  Listener(std::string directory, StoreHooks hooks)
      : directory_(std::move(directory)), hooks_(std::move(hooks)) {}

  // All column families are flushed together (atomic_flush); meta has the last key of a commit.
  void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo& info) override {
    if (hooks_.on_flushed && info.cf_name == kFamilies[1]) hooks_.on_flushed(info.largest_seqno);
  }
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* status) override {
    if (hooks_.on_error) hooks_.on_error(store_error(directory_, *status, "write to the store"));
  }
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* auto_recovery) override {
    *auto_recovery = false;
  }

private:
  const std::string directory_;
  const StoreHooks hooks_;
};

rocksdb::DBOptions database_options(bool fresh) {
  rocksdb::DBOptions options;
  options.create_if_missing = fresh;
  // Also those that a first start did not get to.
  options.create_missing_column_families = true;
  options.atomic_flush = true;
  // Stops at the first record that is not whole.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  options.max_total_wal_size = kWalBytesMax;
  options.bytes_per_sync = 1u << 20;
  options.max_open_files = 512;
  options.max_background_jobs = 2;
  // One thread writes.
  options.allow_concurrent_memtable_write = false;
  options.enable_write_thread_adaptive_yield = false;
  options.max_bgerror_resume_count = 0;
  options.info_log = std::make_shared<Silence>();
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  return options;
}

rocksdb::CompressionType compression() {
  const auto supported = rocksdb::GetSupportedCompressions();
  const bool lz4 =
      std::find(supported.begin(), supported.end(), rocksdb::kLZ4Compression) != supported.end();
  return lz4 ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
}

std::vector<rocksdb::ColumnFamilyDescriptor> family_options(std::size_t memtable_bytes) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(kBlockCacheBytes);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.block_size = 16u << 10;
  table.format_version = 5;
  rocksdb::ColumnFamilyOptions common;
  common.write_buffer_size = memtable_bytes;
  common.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  common.compression = compression();
  auto entries = common;
  entries.compaction_style = rocksdb::kCompactionStyleUniversal;
  auto blobs = common;
  blobs.enable_blob_files = true;
  blobs.min_blob_size = kBlobFileFrom;
  blobs.blob_compression_type = common.compression;
  return {{kFamilies[0], common},
          {kFamilies[1], common},
          {kFamilies[2], entries},
          {kFamilies[3], blobs},
          {kFamilies[4], common}};
}

std::string_view view(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

}  // namespace

Result<std::unique_ptr<RocksStore>> RocksStore::open(const std::string& directory,
                                                     StoreAccess access, StoreOptions options) {
  std::unique_ptr<RocksStore> store(new RocksStore);
  store->directory_ = directory;
  if (access == StoreAccess::write) {
    std::error_code failed;
    if (fs::create_directories(directory, failed)) {
      fs::permissions(directory, fs::perms::owner_all, failed);
    }
    if (failed) return std::unexpected(system_error("create", directory, failed.value()));
  }
  ASSIGN_OR_RETURN(store->lock_, StoreLock::take(directory, access == StoreAccess::write));
  TRY(store->open_database(access, std::move(options)));
  if (access == StoreAccess::write) TRY(sync_directories(directory));
  TRY(store->check_commits());
  const std::string watermark = directory + "/gavel.watermark";
  const auto acknowledged = Watermark::read(watermark);
  if (acknowledged > store->last_commit_) {
    store->damage_.push_back(fmt::format(
        "the log ends at commit {}, but commits up to {} were acknowledged; to go on without them, "
        "delete {}",
        store->last_commit_, acknowledged, watermark));
  }
  if (access == StoreAccess::read) return store;
  if (!store->damage_.empty()) {
    return fail(ErrorCode::corrupted,
                fmt::format("the store in {} is damaged: {}. Restore it from a backup; gavel "
                            "verify lists what is affected",
                            directory, fmt::join(store->damage_, "; ")));
  }
  ASSIGN_OR_RETURN(store->watermark_, Watermark::map(watermark, store->last_commit_));
  return store;
}

RocksStore::~RocksStore() {
  if (spare_) spare_->stop();
  if (!db_) return;
  for (auto* family : families_) (void)db_->DestroyColumnFamilyHandle(family);
  (void)db_->Close();
}

Status RocksStore::open_database(StoreAccess access, StoreOptions options) {
  const std::string path = directory_ + "/db";
  const bool fresh = !fs::exists(path + "/CURRENT");
  if (fresh && access == StoreAccess::read) {
    return fail(ErrorCode::not_found, fmt::format("there is no store in {}", directory_));
  }
  if (!fresh) TRY(check_families(path, access));
  rocksdb::DB* db = nullptr;
  auto database = database_options(fresh);
  if (access == StoreAccess::write) {
    // A log has the bytes of its memtable and those around them.
    spare_ =
        std::make_shared<SpareWal>(directory_ + "/gavel.spare", options.memtable_bytes * 5 / 4);
    env_ = rocksdb::NewCompositeEnv(spare_);
    database.env = env_.get();
  }
  database.listeners.push_back(std::make_shared<Listener>(directory_, std::move(options.hooks)));
  const auto families = family_options(options.memtable_bytes);
  const auto opened = access == StoreAccess::write
                          ? rocksdb::DB::Open(database, path, families, &families_, &db)
                          : rocksdb::DB::OpenForReadOnly(database, path, families, &families_, &db);
  if (!opened.ok()) return std::unexpected(error(opened, "open the store"));
  db_.reset(db);
  if (spare_) spare_->on_better_log([this] { begin_log(); });
  return check_format(access, fresh);
}

Status RocksStore::check_families(const std::string& path, StoreAccess access) const {
  std::vector<std::string> names;
  const auto listed = rocksdb::DB::ListColumnFamilies({}, path, &names);
  if (!listed.ok()) return std::unexpected(error(listed, "open the store"));
  for (const auto& name : names) {
    if (std::find(kFamilies.begin(), kFamilies.end(), name) != kFamilies.end()) continue;
    return fail(ErrorCode::unsupported,
                fmt::format("the store in {} has a column family {} that this gavel does not "
                            "know: it was written by a newer one; use that",
                            directory_, name));
  }
  // The next start for writing makes those that are missing.
  if (access == StoreAccess::read && names.size() < kFamilies.size()) return unfinished();
  return {};
}

// Of a store that lacks what its first start writes before it accepts anything. There is nothing in
// it, unless the watermark knows better.
std::unexpected<Error> RocksStore::unfinished() const {
  const auto acknowledged = Watermark::read(directory_ + "/gavel.watermark");
  if (acknowledged > 0) {
    return fail(ErrorCode::corrupted,
                fmt::format("the store in {} is empty, but commits up to {} were acknowledged: "
                            "restore it from a backup",
                            directory_, acknowledged));
  }
  return fail(ErrorCode::not_found,
              fmt::format("there is no store in {} yet: its first start did not get that far; "
                          "gavel up goes on with it",
                          directory_));
}

Status RocksStore::check_format(StoreAccess access, bool fresh) {
  std::string value;
  const auto found = db_->Get({}, meta(), std::string(kFormatKey), &value);
  if (found.IsNotFound() && access == StoreAccess::write) {
    // A first start that died before this line left an empty database.
    const std::unique_ptr<rocksdb::Iterator> any(db_->NewIterator({}, meta()));
    any->SeekToFirst();
    if (fresh || !any->Valid()) {
      rocksdb::WriteOptions synced;
      synced.sync = true;
      const auto put = db_->Put(synced, meta(), std::string(kFormatKey), be64_bytes(kLogFormat));
      if (!put.ok()) return std::unexpected(error(put, "write to the store"));
      return {};
    }
  }
  if (found.IsNotFound() && access == StoreAccess::read) {
    const std::unique_ptr<rocksdb::Iterator> any(db_->NewIterator({}, meta()));
    any->SeekToFirst();
    if (any->status().ok() && !any->Valid()) return unfinished();
  }
  if (!found.ok()) return std::unexpected(error(found, "read the store's format"));
  ASSIGN_OR_RETURN(const auto format, parse_be64(value));
  if (format > kLogFormat) {
    return fail(ErrorCode::unsupported,
                fmt::format("the store in {} has format {}; this gavel knows up to {}: use a "
                            "newer gavel, or another directory",
                            directory_, format, kLogFormat));
  }
  return {};
}

// Sets last_commit_ and pruned_, and notes gaps.
Status RocksStore::check_commits() {
  std::string pruned;
  const auto found = db_->Get({}, meta(), std::string(kPrunedKey), &pruned);
  if (!found.ok() && !found.IsNotFound()) return std::unexpected(error(found, "read the commits"));
  if (found.ok()) {
    ASSIGN_OR_RETURN(pruned_, parse_be64(pruned));
  }
  last_commit_ = pruned_;
  const std::string lower(1, kCommitPrefix);
  const std::string upper(1, kCommitPrefix + 1);
  const rocksdb::Slice upper_bound(upper);
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &upper_bound;
  const std::unique_ptr<rocksdb::Iterator> commits(db_->NewIterator(options, meta()));
  std::deque<std::string> recent;  // the newest first
  for (commits->Seek(lower); commits->Valid(); commits->Next()) {
    ASSIGN_OR_RETURN(const auto number, parse_be64(view(commits->key()).substr(1)));
    if (number <= pruned_) continue;
    if (number != last_commit_ + 1) {
      damage_.push_back(fmt::format("commits {} to {} are missing from the write-ahead log",
                                    last_commit_ + 1, number - 1));
    }
    last_commit_ = number;
    recent.push_front(commits->value().ToString());
    if (recent.size() > kCheckedCommits) recent.pop_back();
  }
  if (!commits->status().ok()) return std::unexpected(error(commits->status(), "read the commits"));
  return check_recent(recent);
}

Status RocksStore::check_recent(const std::deque<std::string>& commits) {
  std::size_t records = 0;
  for (const auto& commit : commits) {
    ASSIGN_OR_RETURN(const auto parts, decode_commit(commit));
    for (const auto& part : parts) {
      if (++records > kCheckedRecords) return {};
      std::string stored;
      const auto head_found = db_->Get({}, meta(), head_key(part.log), &stored);
      const auto head = head_found.ok() ? decode_head(stored) : Result<StoredHead>(StoredHead{});
      if (!head || head->tail < part.tail) {
        damage_.push_back(
            fmt::format("the head of {} is behind entry {}", part.log.value, part.tail.value));
        continue;
      }
      if (head->trimmed >= part.tail) continue;
      rocksdb::PinnableSlice record;
      if (!db_->Get({}, entries(), entry_key(part.log, part.first), &record).ok()) {
        damage_.push_back(
            fmt::format("entry {} of {} cannot be read", part.first.value, part.log.value));
      }
    }
  }
  return {};
}

void RocksStore::acknowledge(std::uint64_t commit, std::size_t bytes) {
  watermark_->set(commit);
  spare_->written(bytes);
}

// A log begins with a memtable. A failure is told by the listener.
void RocksStore::begin_log() {
  rocksdb::FlushOptions options;
  options.wait = false;
  options.allow_write_stall = true;
  (void)db_->Flush(options, families_);
}

Status RocksStore::flush() {
  const auto flushed = db_->Flush({}, families_);
  if (!flushed.ok()) return std::unexpected(error(flushed, "write to the store"));
  return {};
}

Error RocksStore::error(const rocksdb::Status& status, std::string_view doing) const {
  return store_error(directory_, status, doing);
}

}  // namespace gavel

#include "log/rocks_log.hpp"

#include <fmt/format.h>
#include <rocksdb/db.h>

#include <algorithm>
#include <deque>
#include <future>
#include <mutex>

#include "base/assert.hpp"
#include "log/admission.hpp"
#include "log/commit_group.hpp"
#include "log/committer.hpp"
#include "log/records.hpp"
#include "log/rocks_store.hpp"
#include "log/watchers.hpp"

namespace gavel {
namespace {

// Every so many commits their sequence number is noted, for pruning once it is in tables.
constexpr std::uint64_t kMarkEvery = 64;

rocksdb::Slice slice(std::string_view bytes) {
  return {bytes.data(), bytes.size()};
}
std::string_view view(const rocksdb::Slice& bytes) {
  return {bytes.data(), bytes.size()};
}

std::unexpected<Error> corrupted_entry(const LogId& log, Position position, std::string_view why) {
  return fail(ErrorCode::corrupted,
              fmt::format("entry {} of {} cannot be read: {}. Restore the store from a backup; "
                          "gavel verify lists what is affected",
                          position.value, log.value, why));
}

class RocksLog final : public Log {
public:
  explicit RocksLog(const RocksOptions& options)
      : on_failure_(options.on_failure),
        heads_(options.cached_heads),
        committer_(std::make_unique<Committer>([this] { return commit(); })) {}
  ~RocksLog() override;

  Status open(const RocksOptions& options);

  Result<Sequenced> append(Append append, OnDurable on_durable) override;
  Result<std::vector<StoredEntry>> read(const LogId& log, Position from,
                                        const ReadLimits& limits) override;
  Result<Head> head(const LogId& log) override;
  Result<std::string> blob(const Digest& digest) override;
  std::unique_ptr<Subscription> watch(std::optional<LogId> log, OnAdvance on_advance) override {
    return watchers_->add(std::move(log), std::move(on_advance));
  }
  Status save_snapshot(const LogId& log, const Snapshot& snapshot) override;
  Result<std::optional<Snapshot>> load_snapshot(const LogId& log) override;
  Result<std::vector<Head>> list(std::string_view prefix, const LogId& after,
                                 std::size_t limit) override;
  Result<std::vector<LogId>> due(Timestamp now, std::size_t limit) override;
  Status trim(const LogId& log, Position up_to) override;
  Status health() const override;

private:
  // With mutex_ held.
  Result<CachedHead*> cached(const LogId& log);
  Result<CachedHead> load_head(const LogId& log) const;
  Status accepting() const;
  Result<std::optional<Sequenced>> find_repeat(const Append& append);
  Result<std::optional<CommitGroup::Part>> find_applied(const AppendPart& part);
  Result<std::vector<CachedHead*>> admit(const Append& append);
  void enqueue(const Append& append, const AppendPart& part, CachedHead& cached);
  void mark_dirty(CachedHead& cached);
  void seal(CommitGroup& group);
  void put_heads(CommitGroup& group);

  // On the committer's thread.
  bool commit();
  Status write(CommitGroup& group);
  void complete(CommitGroup& group);
  void fail_stop(CommitGroup& group, const Error& reason);

  void note_failure(Error reason);
  void note_flushed(std::uint64_t sequence);

  const OnFailure on_failure_;
  std::unique_ptr<RocksStore> store_;
  const std::shared_ptr<Watchers> watchers_ = Watchers::create();

  mutable std::mutex mutex_;
  HeadCache heads_;
  CommitGroup groups_[2];
  CommitGroup* open_ = &groups_[0];    // is filled
  CommitGroup* sealed_ = &groups_[1];  // is written; empty while the committer rests
  std::string scratch_;
  std::optional<Error> failure_;
  bool failure_told_ = false;
  std::uint64_t pruned_ = 0;
  std::uint64_t prune_to_ = 0;
  struct Mark {
    std::uint64_t sequence;
    std::uint64_t commit;
  };
  std::deque<Mark> marks_;

  std::unique_ptr<Committer> committer_;
};

RocksLog::~RocksLog() {
  committer_->stop();
  if (!store_) return;
  // What is in tables needs no log: the next start has nothing to recover. A failure here loses
  // nothing.
  if (!failure_ && store_->flush()) {
    prune_to_ = open_->number - 1;
    seal(*open_);
    (void)write(*open_);
  }
  // RocksDB's threads call back until it is closed.
  store_.reset();
}

Status RocksLog::open(const RocksOptions& options) {
  StoreOptions store;
  store.memtable_bytes = options.memtable_bytes;
  store.hooks.on_flushed = [this](std::uint64_t sequence) { note_flushed(sequence); };
  store.hooks.on_error = [this](Error reason) { note_failure(std::move(reason)); };
  ASSIGN_OR_RETURN(store_,
                   RocksStore::open(options.directory, StoreAccess::write, std::move(store)));
  const std::lock_guard lock(mutex_);
  pruned_ = store_->pruned();
  // Opening recovered the write-ahead log into tables.
  prune_to_ = store_->last_commit();
  open_->number = store_->last_commit() + 1;
  return {};
}

// ---------------------------------------------------------------------------------------- append

Result<Sequenced> RocksLog::append(Append append, OnDurable on_durable) {
  TRY(check_shape(append));
  Sequenced out;
  {
    const std::lock_guard lock(mutex_);
    TRY(accepting());
    ASSIGN_OR_RETURN(auto repeat, find_repeat(append));
    if (repeat) {
      out = std::move(*repeat);
    } else {
      ASSIGN_OR_RETURN(const auto heads, admit(append));
      for (std::size_t i = 0; i < append.parts.size(); ++i) {
        enqueue(append, append.parts[i], *heads[i]);
        out.tails.push_back(heads[i]->head.tail);
      }
      for (const auto& blob : append.blobs) {
        open_->batch.Put(store_->blobs(), slice(blob.digest.view()), slice(blob.bytes));
        open_->bytes += blob.bytes.size();
      }
    }
    // A repeat has nothing to write: it waits for its turn, and so for the first one's sync.
    open_->waiting.push_back(std::move(on_durable));
  }
  committer_->wake();
  return out;
}

Status RocksLog::accepting() const {
  if (failure_) return std::unexpected(*failure_);
  if (open_->bytes > kWaitingBytesMax || open_->waiting.size() >= kWaitingAppendsMax) {
    return fail(ErrorCode::busy,
                fmt::format("{} appends with {} bytes wait for the disk; try again shortly",
                            open_->waiting.size(), open_->bytes));
  }
  return {};
}

Result<CachedHead*> RocksLog::cached(const LogId& log) {
  if (CachedHead* hit = heads_.find(log)) return hit;
  ASSIGN_OR_RETURN(auto loaded, load_head(log));
  return &heads_.insert(std::move(loaded));
}

Result<CachedHead> RocksLog::load_head(const LogId& log) const {
  CachedHead cached;
  cached.head.log = log;
  rocksdb::PinnableSlice value;
  const auto found = store_->db().Get({}, store_->meta(), head_key(log), &value);
  if (found.IsNotFound()) return cached;
  if (!found.ok()) return std::unexpected(store_->error(found, "read the head of " + log.value));
  const auto stored = decode_head(view(value));
  if (!stored) {
    return fail(stored.error().code,
                fmt::format("cannot read the head of {}: {}", log.value, stored.error().message));
  }
  Head& head = cached.head;
  head.tail = head.durable = stored->tail;
  head.epoch = stored->epoch;
  head.barrier = stored->barrier;
  head.chain = head.durable_chain = stored->chain;
  head.trimmed = stored->trimmed;
  head.next_due = cached.written_due = stored->next_due;
  cached.anchor = stored->anchor;
  cached.anchor_chain = stored->anchor_chain;
  const auto at =
      store_->db().Get({}, store_->snapshots(), snapshot_key(kSnapshotAtPrefix, log), &value);
  if (at.ok()) {
    ASSIGN_OR_RETURN(head.snapshot.value, parse_be64(view(value)));
  } else if (!at.IsNotFound()) {
    return std::unexpected(store_->error(at, "read the snapshot of " + log.value));
  }
  return cached;
}

// The answer to an append that was applied before, or nothing.
Result<std::optional<Sequenced>> RocksLog::find_repeat(const Append& append) {
  Sequenced out{{}, true};
  for (const auto& part : append.parts) {
    ASSIGN_OR_RETURN(const auto applied, find_applied(part));
    if (!applied || applied->id != append.id) break;
    if (applied->tail.value - part.expected_tail.value != part.entries.size()) {
      return id_reused_error(part);
    }
    out.tails.push_back(applied->tail);
  }
  if (out.tails.empty()) return std::nullopt;
  if (out.tails.size() != append.parts.size()) {
    return id_reused_error(append.parts[out.tails.size()]);
  }
  return out;
}

// The part of an append that took the positions which this one expects to take.
Result<std::optional<CommitGroup::Part>> RocksLog::find_applied(const AppendPart& part) {
  ASSIGN_OR_RETURN(CachedHead* const head, cached(part.log));
  const Position first = part.expected_tail.next();
  if (part.expected_tail >= head->head.tail) return std::nullopt;
  for (const CommitGroup* group : {open_, sealed_}) {
    if (const auto* found = group->find(part.log, first)) return *found;
  }
  rocksdb::PinnableSlice value;
  const auto found = store_->db().Get({}, store_->entries(), entry_key(part.log, first), &value);
  if (found.IsNotFound()) return std::nullopt;
  if (!found.ok()) return corrupted_entry(part.log, first, found.ToString());
  const auto record = RecordView::parse(view(value));
  if (!record) return corrupted_entry(part.log, first, record.error().message);
  CommitGroup::Part applied{};
  applied.id = record->header().id;
  applied.first = first;
  applied.tail = part.expected_tail.plus(record->header().count);
  return applied;
}

// The parts' heads, pinned by the open group, if the append may be applied.
Result<std::vector<CachedHead*>> RocksLog::admit(const Append& append) {
  for (const auto& part : append.parts) {
    ASSIGN_OR_RETURN(CachedHead* const head, cached(part.log));
    TRY(check_epoch(part, head->head));
  }
  for (const auto& part : append.parts) {
    ASSIGN_OR_RETURN(CachedHead* const head, cached(part.log));
    TRY(check_tail(part, head->head));
  }
  for (const auto& guard : append.guards) {
    ASSIGN_OR_RETURN(CachedHead* const head, cached(guard.log));
    TRY(check_guard(guard, head->head));
  }
  std::vector<CachedHead*> heads;
  heads.reserve(append.parts.size());
  for (const auto& part : append.parts) {
    // Loading one head may drop another that is not pinned yet: pin each before the next.
    ASSIGN_OR_RETURN(CachedHead* const head, cached(part.log));
    mark_dirty(*head);
    heads.push_back(head);
  }
  return heads;
}

void RocksLog::mark_dirty(CachedHead& cached) {
  if (cached.dirty) return;
  cached.dirty = true;
  ++cached.pins;
  open_->dirty.push_back(&cached);
}

void RocksLog::enqueue(const Append& append, const AppendPart& part, CachedHead& cached) {
  Head& head = cached.head;
  RecordHeader record;
  record.id = append.id;
  record.commit = open_->number;
  record.epoch = part.epoch;
  record.elects = part.epoch_rule == EpochRule::elect;
  record.raises_barrier = part.raises_barrier;
  record.previous = head.chain;
  advance(head, part);
  record.chain = head.chain;
  const Position first = part.expected_tail.next();
  scratch_.clear();
  encode_record(record, part.entries, scratch_);
  open_->batch.Put(store_->entries(), entry_key(part.log, first), scratch_);
  open_->bytes += scratch_.size();
  open_->parts.push_back({&cached, append.id, first, head.tail, head.chain});
}

// ---------------------------------------------------------------------------------------- commit

// The heads, timers and commit number of a group that gets no more appends.
void RocksLog::seal(CommitGroup& group) {
  put_heads(group);
  if (prune_to_ > pruned_) {
    group.batch.DeleteRange(store_->meta(), commit_key(0), commit_key(prune_to_ + 1));
    group.batch.Put(store_->meta(), slice(kPrunedKey), be64_bytes(prune_to_));
    pruned_ = prune_to_;
  }
  scratch_.clear();
  for (const auto& part : group.parts) {
    encode_committed(part.head->head.log, part.first, part.tail, scratch_);
  }
  group.batch.Put(store_->meta(), commit_key(group.number), scratch_);
}

void RocksLog::put_heads(CommitGroup& group) {
  for (CachedHead* cached : group.dirty) {
    cached->dirty = false;
    const Head& head = cached->head;
    const StoredHead stored{head.tail,     head.epoch,   head.barrier,   head.chain,
                            head.next_due, head.trimmed, cached->anchor, cached->anchor_chain};
    scratch_.clear();
    encode_head(stored, scratch_);
    group.batch.Put(store_->meta(), head_key(head.log), scratch_);
    if (head.next_due == cached->written_due) continue;
    if (cached->written_due.ms != 0) {
      group.batch.Delete(store_->meta(), timer_key(cached->written_due, head.log));
    }
    if (head.next_due.ms != 0) {
      group.batch.Put(store_->meta(), timer_key(head.next_due, head.log), rocksdb::Slice());
    }
    cached->written_due = head.next_due;
  }
}

bool RocksLog::commit() {
  std::optional<Error> failure;
  {
    const std::lock_guard lock(mutex_);
    failure = failure_;
    if (open_->empty() && (!failure || failure_told_)) return false;
    std::swap(open_, sealed_);
    open_->number = sealed_->number;
    if (!failure && sealed_->writes()) {
      seal(*sealed_);
      ++open_->number;
    }
  }
  CommitGroup& group = *sealed_;
  if (!failure && group.writes()) {
    if (const auto written = write(group); !written) failure = written.error();
  }
  if (failure) {
    fail_stop(group, *failure);
  } else {
    complete(group);
  }
  const std::lock_guard lock(mutex_);
  for (CachedHead* cached : group.dirty) --cached->pins;
  group.clear();
  return true;
}

Status RocksLog::write(CommitGroup& group) {
  rocksdb::WriteOptions synced;
  synced.sync = true;
  const auto written = store_->db().Write(synced, &group.batch);
  if (!written.ok()) return std::unexpected(store_->error(written, "write to the store"));
  store_->acknowledge(group.number, group.batch.GetDataSize());
  if (group.number % kMarkEvery == 0) {
    const auto sequence = store_->db().GetLatestSequenceNumber();
    const std::lock_guard lock(mutex_);
    marks_.push_back({sequence, group.number});
  }
  return {};
}

void RocksLog::complete(CommitGroup& group) {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& part : group.parts) {
      part.head->head.durable = part.tail;
      part.head->head.durable_chain = part.chain;
    }
  }
  for (auto& on_durable : group.waiting) {
    if (on_durable) on_durable({});
  }
  if (!watchers_->any()) return;
  // A log's name does not change, and its head is pinned.
  for (const auto& part : group.parts) watchers_->advanced(part.head->head.log, part.tail);
}

void RocksLog::fail_stop(CommitGroup& group, const Error& reason) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = reason;
    first = !std::exchange(failure_told_, true);
  }
  for (auto& on_durable : group.waiting) {
    if (on_durable) on_durable(std::unexpected(reason));
  }
  if (first && on_failure_) on_failure_(reason);
}

void RocksLog::note_failure(Error reason) {
  {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(reason);
  }
  committer_->wake();
}

void RocksLog::note_flushed(std::uint64_t sequence) {
  const std::lock_guard lock(mutex_);
  while (!marks_.empty() && marks_.front().sequence <= sequence) {
    prune_to_ = std::max(prune_to_, marks_.front().commit);
    marks_.pop_front();
  }
}

Status RocksLog::health() const {
  const std::lock_guard lock(mutex_);
  if (failure_) return std::unexpected(*failure_);
  return {};
}

// --------------------------------------------------------------------------------------- reading

Result<Head> RocksLog::head(const LogId& log) {
  TRY(check_log_name(log));
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const CachedHead* cached_head, cached(log));
  return cached_head->head;
}

Result<std::vector<StoredEntry>> RocksLog::read(const LogId& log, Position from,
                                                const ReadLimits& limits) {
  if (from.value == 0) return fail(ErrorCode::invalid_argument, "the first entry is at 1");
  ASSIGN_OR_RETURN(const auto head, this->head(log));
  if (from <= head.trimmed) return trimmed_error(log, from, head.trimmed);
  std::vector<StoredEntry> out;
  if (from > head.durable) return out;

  const std::string lower = entry_key(log, Position{0});
  const std::string upper = entry_key_end(log);
  const rocksdb::Slice lower_bound(lower);
  const rocksdb::Slice upper_bound(upper);
  rocksdb::ReadOptions options;
  options.iterate_lower_bound = &lower_bound;
  options.iterate_upper_bound = &upper_bound;
  const std::unique_ptr<rocksdb::Iterator> records(
      store_->db().NewIterator(options, store_->entries()));
  std::size_t bytes = 0;
  for (records->SeekForPrev(entry_key(log, from)); records->Valid(); records->Next()) {
    const auto key = parse_entry_key(view(records->key()));
    if (!key) return corrupted_entry(log, from, key.error().message);
    auto record = RecordView::parse(view(records->value()));
    if (!record) return corrupted_entry(log, from, record.error().message);
    Position position = key->first;
    const Position last{key->first.value + record->header().count - 1};
    if (position > from || last < from) break;
    for (; const auto entry = record->next(); position = position.next()) {
      if (position < from) continue;
      bytes += entry->size();
      if (!out.empty() && (out.size() >= limits.entries || bytes > limits.bytes)) return out;
      out.push_back({position, std::string(*entry)});
    }
    from = last.next();
    if (from > head.durable) return out;
  }
  if (!records->status().ok()) return corrupted_entry(log, from, records->status().ToString());
  return corrupted_entry(log, from, "no record has it");
}

Result<std::string> RocksLog::blob(const Digest& digest) {
  std::string bytes;
  const auto found = store_->db().Get({}, store_->blobs(), slice(digest.view()), &bytes);
  if (found.IsNotFound()) {
    return fail(ErrorCode::not_found, fmt::format("no blob {}", digest.hex()));
  }
  if (!found.ok()) return std::unexpected(store_->error(found, "read blob " + digest.hex()));
  if (sha256(bytes) != digest) {
    return fail(ErrorCode::corrupted,
                fmt::format("the bytes of blob {} were changed; restore the store from a backup",
                            digest.hex()));
  }
  return bytes;
}

Result<std::vector<Head>> RocksLog::list(std::string_view prefix, const LogId& after,
                                         std::size_t limit) {
  std::vector<Head> out;
  const std::string first = head_key(LogId{std::string(prefix)});
  // The name behind `after` in order has a zero byte more.
  const std::string start = std::max(first, head_key(after) + std::string(1, '\0'));
  const std::unique_ptr<rocksdb::Iterator> rows(store_->db().NewIterator({}, store_->meta()));
  for (rows->Seek(start); rows->Valid() && out.size() < limit; rows->Next()) {
    if (!rows->key().starts_with(first)) break;
    const LogId log{std::string(view(rows->key()).substr(1))};
    const std::lock_guard lock(mutex_);
    if (const CachedHead* hit = heads_.find(log)) {
      out.push_back(hit->head);
      continue;
    }
    ASSIGN_OR_RETURN(auto listed, load_head(log));
    out.push_back(std::move(listed.head));
  }
  if (!rows->status().ok()) return std::unexpected(store_->error(rows->status(), "list the logs"));
  return out;
}

Result<std::vector<LogId>> RocksLog::due(Timestamp now, std::size_t limit) {
  std::vector<LogId> out;
  const std::string upper(1, kTimerPrefix + 1);
  const rocksdb::Slice upper_bound(upper);
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &upper_bound;
  const std::unique_ptr<rocksdb::Iterator> timers(
      store_->db().NewIterator(options, store_->meta()));
  timers->Seek(std::string(1, kTimerPrefix));
  for (; timers->Valid() && out.size() < limit; timers->Next()) {
    ASSIGN_OR_RETURN(auto timer, parse_timer_key(view(timers->key())));
    if (timer.due > now) break;
    out.push_back(std::move(timer.log));
  }
  if (!timers->status().ok()) {
    return std::unexpected(store_->error(timers->status(), "read the timers"));
  }
  return out;
}

// ------------------------------------------------------------------------------ snapshots, trims

Status RocksLog::save_snapshot(const LogId& log, const Snapshot& snapshot) {
  ASSIGN_OR_RETURN(const auto head, this->head(log));
  TRY(health());
  TRY(check_snapshot_position(head, snapshot.position));
  if (snapshot.position < head.snapshot) return {};
  rocksdb::WriteBatch batch;
  batch.Put(store_->snapshots(), snapshot_key(kSnapshotPrefix, log), snapshot.bytes);
  batch.Put(store_->snapshots(), snapshot_key(kSnapshotAtPrefix, log),
            be64_bytes(snapshot.position.value));
  const auto written = store_->db().Write({}, &batch);
  if (!written.ok()) {
    auto reason = store_->error(written, "write to the store");
    note_failure(reason);
    return std::unexpected(std::move(reason));
  }
  const std::lock_guard lock(mutex_);
  if (CachedHead* hit = heads_.find(log)) hit->head.snapshot = snapshot.position;
  return {};
}

Result<std::optional<Snapshot>> RocksLog::load_snapshot(const LogId& log) {
  TRY(check_log_name(log));
  const std::vector<std::string> keys = {snapshot_key(kSnapshotAtPrefix, log),
                                         snapshot_key(kSnapshotPrefix, log)};
  std::vector<std::string> values;
  const auto found =
      store_->db().MultiGet({}, {store_->snapshots(), store_->snapshots()},
                            std::vector<rocksdb::Slice>(keys.begin(), keys.end()), &values);
  if (found[0].IsNotFound()) return std::nullopt;
  for (const auto& each : found) {
    if (!each.ok() && !each.IsNotFound()) {
      return std::unexpected(store_->error(each, "read the snapshot of " + log.value));
    }
  }
  const auto position = parse_be64(values[0]);
  if (!position || !found[1].ok()) {
    return fail(ErrorCode::corrupted,
                fmt::format("the snapshot of {} is damaged; gavel verify lists more", log.value));
  }
  return Snapshot{Position{*position}, std::move(values[1])};
}

Status RocksLog::trim(const LogId& log, Position up_to) {
  TRY(check_log_name(log));
  ASSERT(!committer_->is_this_thread());
  std::promise<Status> durable;
  {
    const std::lock_guard lock(mutex_);
    TRY(accepting());
    ASSIGN_OR_RETURN(CachedHead* const cached_head, cached(log));
    Head& head = cached_head->head;
    TRY(check_trim(head, up_to));
    if (up_to <= head.trimmed) return {};
    // The oldest kept record has the first entry that is kept, or the last one that there is.
    const Position kept = std::min(up_to.next(), head.durable);
    const std::string lower = entry_key(log, Position{0});
    const rocksdb::Slice lower_bound(lower);
    rocksdb::ReadOptions options;
    options.iterate_lower_bound = &lower_bound;
    const std::unique_ptr<rocksdb::Iterator> records(
        store_->db().NewIterator(options, store_->entries()));
    records->SeekForPrev(entry_key(log, kept));
    if (!records->Valid()) return corrupted_entry(log, kept, "no record has it");
    ASSIGN_OR_RETURN(const auto key, parse_entry_key(view(records->key())));
    const auto record = RecordView::parse(view(records->value()));
    if (!record) return corrupted_entry(log, kept, record.error().message);
    head.trimmed = up_to;
    cached_head->anchor = Position{key.first.value - 1};
    cached_head->anchor_chain = record->header().previous;
    mark_dirty(*cached_head);
    open_->batch.DeleteRange(store_->entries(), lower, entry_key(log, key.first));
    open_->waiting.push_back([&](Status status) { durable.set_value(std::move(status)); });
  }
  committer_->wake();
  return durable.get_future().get();
}

}  // namespace

Result<std::unique_ptr<Log>> open_rocks_log(const RocksOptions& options) {
  auto log = std::make_unique<RocksLog>(options);
  TRY(log->open(options));
  return log;
}

}  // namespace gavel

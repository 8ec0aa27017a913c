#include "log/verify.hpp"

#include <fmt/format.h>
#include <rocksdb/db.h>

#include <map>
#include <memory>

#include "log/admission.hpp"
#include "log/records.hpp"
#include "log/rocks_store.hpp"

namespace gavel {
namespace {

std::string_view view(const rocksdb::Slice& bytes) {
  return {bytes.data(), bytes.size()};
}

class Verifier {
public:
  Verifier(const RocksStore& store, const VerifyOptions& options)
      : store_(store), options_(options) {
    if (!options.checkpoint) return;
    for (const auto& head : options.checkpoint->heads) unseen_.emplace(head.log, &head);
  }

  VerifyReport run() {
    for (const auto& damage : store_.damage()) note({}, {}, damage);
    walk_heads();
    find_orphans();
    for (const auto& [log, head] : unseen_) {
      note(log, {}, fmt::format("the log is gone; the checkpoint has it at {}", head->tail.value));
    }
    check_blobs();
    return std::move(report_);
  }

private:
  // How far the walk through one log has come.
  struct Walk {
    LogId log;
    StoredHead head;
    Position at;   // of the last entry seen
    Digest chain;  // of it
    std::uint64_t barrier = 0;
    Epoch epoch;
    const CheckpointHead* expected = nullptr;
  };

  void note(const LogId& log, Position position, std::string what) {
    if (report_.problems.size() >= kVerifyProblemsMax) return;
    report_.problems.push_back({log, position, std::move(what)});
  }

  std::unique_ptr<rocksdb::Iterator> iterate(rocksdb::ColumnFamilyHandle* family) const {
    rocksdb::ReadOptions options;
    options.fill_cache = false;
    return std::unique_ptr<rocksdb::Iterator>(store_.db().NewIterator(options, family));
  }

  void walk_heads() {
    const auto rows = iterate(store_.meta());
    const std::string prefix(1, kHeadPrefix);
    for (rows->Seek(prefix); rows->Valid() && rows->key().starts_with(prefix); rows->Next()) {
      Walk walk;
      walk.log.value = view(rows->key()).substr(1);
      auto head = decode_head(view(rows->value()));
      if (!head) {
        note(walk.log, {}, head.error().message);
        continue;
      }
      walk.head = *head;
      walk.at = head->anchor;
      walk.chain = head->anchor_chain;
      if (const auto expected = unseen_.find(walk.log); expected != unseen_.end()) {
        walk.expected = expected->second;
        unseen_.erase(expected);
      }
      walk_log(walk);
      ++report_.logs;
      if (options_.on_progress) options_.on_progress(report_);
    }
    if (!rows->status().ok())
      note({}, {}, "the heads cannot be read: " + rows->status().ToString());
  }

  void walk_log(Walk& walk) {
    const auto records = iterate(store_.entries());
    const std::string end = entry_key_end(walk.log);
    compare_expected(walk);
    for (records->Seek(entry_key(walk.log, Position{0}));
         records->Valid() && view(records->key()) < end; records->Next()) {
      const auto key = parse_entry_key(view(records->key()));
      auto record = RecordView::parse(view(records->value()));
      if (!key || !record) {
        note(walk.log, walk.at.next(), (key ? record.error() : key.error()).message);
        continue;
      }
      walk_record(walk, key->first, *record);
    }
    if (!records->status().ok()) {
      note(walk.log, walk.at.next(), "cannot be read: " + records->status().ToString());
      return;
    }
    check_end(walk);
  }

  void walk_record(Walk& walk, Position first, RecordView& record) {
    const RecordHeader header = record.header();
    if (first != walk.at.next()) {
      note(walk.log, walk.at.next(), fmt::format("is missing; the next one is at {}", first.value));
    } else if (header.previous != walk.chain) {
      note(walk.log, first, "does not follow its predecessor: the hash chain is broken");
    }
    walk.at = Position{first.value - 1};
    walk.chain = header.previous;
    while (const auto entry = record.next()) {
      walk.at = walk.at.next();
      walk.chain = chain_next(walk.chain, walk.at, *entry);
      ++report_.entries;
      report_.bytes += entry->size();
      compare_expected(walk);
      check_references(walk, *entry);
    }
    if (walk.chain != header.chain) {
      note(walk.log, first, "was changed: its bytes do not have the hash of its record");
      walk.chain = header.chain;
    }
    if (header.commit > store_.last_commit()) {
      note(walk.log, first, fmt::format("is of commit {}, which there is not", header.commit));
    }
    walk.barrier += header.raises_barrier ? 1 : 0;
    walk.epoch = header.epoch;
  }

  void compare_expected(Walk& walk) {
    if (walk.expected == nullptr || walk.expected->tail > walk.at) return;
    if (walk.expected->tail < walk.at) {
      ++report_.not_compared;
    } else if (walk.expected->chain != walk.chain) {
      note(walk.log, walk.at, "history was rewritten: the checkpoint has another hash here");
    }
    walk.expected = nullptr;
  }

  void check_end(const Walk& walk) {
    if (walk.expected != nullptr) {
      note(walk.log, walk.at.next(),
           fmt::format("is missing: the checkpoint has the log at {}", walk.expected->tail.value));
    }
    if (walk.at != walk.head.tail) {
      note(walk.log, walk.at.next(),
           fmt::format("is missing: the log's head is at {}", walk.head.tail.value));
      return;
    }
    if (walk.chain != walk.head.chain) {
      note(walk.log, walk.at, "its hash is not the one of the log's head");
    }
    if (walk.epoch != walk.head.epoch) {
      note(walk.log, walk.at, "its epoch is not the one of the log's head");
    }
    if (walk.head.trimmed.value == 0 && walk.barrier != walk.head.barrier) {
      note(walk.log, walk.at, "the entries raise another barrier than the log's head has");
    }
    check_snapshot(walk);
  }

  void check_snapshot(const Walk& walk) {
    std::string value;
    const auto found =
        store_.db().Get({}, store_.snapshots(), snapshot_key(kSnapshotAtPrefix, walk.log), &value);
    if (found.IsNotFound() && walk.head.trimmed.value == 0) return;
    const auto position = found.ok() ? parse_be64(value) : Result<std::uint64_t>(0);
    if (!position || *position < walk.head.trimmed.value || *position > walk.head.tail.value) {
      note(walk.log, {}, "its snapshot does not fit its entries");
    }
  }

  void check_references(const Walk& walk, std::string_view entry) {
    if (!options_.blobs_of) return;
    for (const auto& digest : options_.blobs_of(entry)) {
      rocksdb::PinnableSlice bytes;
      const rocksdb::Slice key(digest.view().data(), digest.view().size());
      if (store_.db().Get({}, store_.blobs(), key, &bytes).ok()) continue;
      note(walk.log, walk.at, fmt::format("refers to blob {}, which is missing", digest.hex()));
    }
  }

  // Records of logs that have no head.
  void find_orphans() {
    const auto records = iterate(store_.entries());
    records->SeekToFirst();
    while (records->Valid()) {
      const auto key = parse_entry_key(view(records->key()));
      if (!key) {
        note({}, {}, "there is a record whose key cannot be read");
        records->Next();
        continue;
      }
      std::string head;
      if (!store_.db().Get({}, store_.meta(), head_key(key->log), &head).ok()) {
        note(key->log, key->first, "belongs to a log that has no head");
      }
      records->Seek(entry_key_end(key->log));
    }
  }

  void check_blobs() {
    const auto blobs = iterate(store_.blobs());
    for (blobs->SeekToFirst(); blobs->Valid(); blobs->Next()) {
      ++report_.blobs;
      if (sha256(view(blobs->value())).view() == view(blobs->key())) continue;
      note({}, {}, fmt::format("the bytes of blob {} were changed", to_hex(view(blobs->key()))));
    }
    if (!blobs->status().ok()) note({}, {}, "a blob cannot be read: " + blobs->status().ToString());
  }

  const RocksStore& store_;
  const VerifyOptions& options_;
  std::map<LogId, const CheckpointHead*> unseen_;
  VerifyReport report_;
};

}  // namespace

Result<VerifyReport> verify_store(const std::string& directory, const VerifyOptions& options) {
  ASSIGN_OR_RETURN(const auto store, RocksStore::open(directory, StoreAccess::read));
  return Verifier(*store, options).run();
}

}  // namespace gavel

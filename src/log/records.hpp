#pragma once
// The bytes of the RocksDB engine: its keys and values, as docs/formats/log.md specifies them.
// Everything is big-endian, so that keys sort by number. Encoders append to `out`; decoders check
// every length and answer corrupted, or unsupported for a newer version, without the place: the
// caller knows the log and position.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "log/log.hpp"

namespace gavel {

inline constexpr std::uint64_t kLogFormat = 1;

// Keys of the column family meta.
inline constexpr std::string_view kFormatKey = "v";  // be64 format version
inline constexpr std::string_view kPrunedKey = "p";  // be64: commits up to here are in tables
inline constexpr char kHeadPrefix = 'h';             // + log name
inline constexpr char kCommitPrefix = 'c';           // + be64 commit number
inline constexpr char kTimerPrefix = 't';            // + be64 milliseconds + log name
// Keys of the column family snapshots.
inline constexpr char kSnapshotPrefix = 's';    // + log name: the snapshot's bytes
inline constexpr char kSnapshotAtPrefix = 'p';  // + log name: be64 its position

void put_be64(std::string& out, std::uint64_t value);
std::string be64_bytes(std::uint64_t value);
Result<std::uint64_t> parse_be64(std::string_view bytes);

// One key per part of an append: name, zero byte, position of its first entry. No name contains a
// zero byte, so no log's keys lie between those of another.
std::string entry_key(const LogId& log, Position first);
// Just behind the last possible key of the log.
std::string entry_key_end(const LogId& log);
struct EntryKey {
  LogId log;
  Position first;
};
Result<EntryKey> parse_entry_key(std::string_view key);

std::string head_key(const LogId& log);
std::string commit_key(std::uint64_t commit);
std::string timer_key(Timestamp due, const LogId& log);
struct TimerKey {
  Timestamp due;
  LogId log;
};
Result<TimerKey> parse_timer_key(std::string_view key);
std::string snapshot_key(char prefix, const LogId& log);

// What a part of an append is on disk, without its entries.
struct RecordHeader {
  AppendId id;
  std::uint64_t commit = 0;
  Epoch epoch;
  bool elects = false;
  bool raises_barrier = false;
  Digest previous;  // chain hash before the first entry
  Digest chain;     // chain hash of the last entry
  std::uint32_t count = 0;
};

void encode_record(const RecordHeader& header, std::span<const std::string> entries,
                   std::string& out);

// A record's value, parsed in place; it lives as long as the bytes.
class RecordView {
public:
  static Result<RecordView> parse(std::string_view value);
  const RecordHeader& header() const { return header_; }
  // The next entry, or nothing at the end. parse() checked all lengths.
  std::optional<std::string_view> next();

private:
  RecordHeader header_;
  std::string_view rest_;
};

// A log's head on disk.
struct StoredHead {
  Position tail;
  Epoch epoch;
  std::uint64_t barrier = 0;
  Digest chain;
  Timestamp next_due;
  Position trimmed;
  // Where the oldest kept record starts from: the position before it and its chain hash.
  Position anchor;
  Digest anchor_chain;
};
void encode_head(const StoredHead& head, std::string& out);
Result<StoredHead> decode_head(std::string_view value);

// What one commit wrote, so that opening can check that it is there.
struct CommittedPart {
  LogId log;
  Position first;
  Position tail;
};
void encode_committed(const LogId& log, Position first, Position tail, std::string& out);
Result<std::vector<CommittedPart>> decode_commit(std::string_view value);

}  // namespace gavel

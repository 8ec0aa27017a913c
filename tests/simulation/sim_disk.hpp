#pragma once
// The simulated disk: bytes that survive the process. Each append is a frame of them, written in
// one piece and synced:
//
//   be32 size, 8 bytes of checksum │ be32 parts: be16 size, log's name, be64 first position,
//                                  │   be64 due + 1 (0: none), be32 size, record
//                                  │ be32 blobs: be32 size, bytes
//
// A record is what the product's own codec makes (log/records.hpp), with its chain of hashes. What
// was not synced when the machine died can be torn: some of its bytes are there, or all but a hole.
// A bit of what was synced can flip. As the store of the product does, the disk says what is
// damaged and never gives it out. Heads, timers and the bytes of snapshots are kept by the
// product's memory engine.

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "log/log.hpp"
#include "machine.hpp"
#include "mutants.hpp"
#include "rng.hpp"
#include "trace.hpp"

namespace gavel::simulation {

struct DiskFaults {
  bool next_sync_fails = false;
  bool full = false;
  int busy_appends = 0;           // so many are refused
  std::optional<Instant> stalls;  // how long the next sync takes
};

class Disk {
public:
  // Called for each append when it becomes durable, in order, with what was read back.
  using OnDurableAppend = std::function<void(const Append&)>;

  Disk(OnDurableAppend on_append, Coverage& coverage);

  Log& contents() { return *contents_; }
  const std::vector<std::string>& frames() const { return frames_; }
  void write(const Append& append);
  // The machine died, or a sync failed, before these were synced: bytes of the first are there, and
  // perhaps whole ones behind it. What can be read of that is cut off where it breaks.
  void tear(std::span<const Append> unsynced, std::uint64_t dice);
  // A bit of a stored record or snapshot flips. False where nothing is stored.
  bool flip_bit(std::uint64_t dice);
  bool is_damaged() const { return !flips_.empty() || damaged_snapshot_.has_value(); }
  // From the backup: what was damaged is as it was.
  void restore();
  // Of mutations: forgets the append that was written last; changes the first entry of all, and
  // mends the checksum over it.
  void lose_last();
  void rewrite_first();

  // As the engine's; corrupted where the bytes are.
  Result<std::vector<StoredEntry>> read(const LogId& log, Position from, const ReadLimits& limits);
  Result<std::string> blob(const Digest& digest);
  Result<std::optional<Snapshot>> load_snapshot(const LogId& log);

  DiskFaults faults;

private:
  struct Flip {
    std::size_t frame = 0;
    std::size_t byte = 0;
    char mask = 0;
  };

  std::string encode(const Append& append);
  // The append that a frame holds, if it is whole and continues the logs.
  Result<Append> decode(std::string_view frame, std::size_t number) const;
  void recover();
  void apply(const Append& append, std::size_t frame);

  OnDurableAppend on_append_;
  Coverage& coverage_;
  std::vector<std::string> frames_;
  std::vector<Flip> flips_;
  std::optional<LogId> damaged_snapshot_;
  std::unique_ptr<Log> contents_;
  std::size_t applied_ = 0;                              // of the frames
  std::map<LogId, std::map<Position, std::size_t>> at_;  // frames by the first position
  std::map<Digest, std::size_t> blobs_;
};

}  // namespace gavel::simulation

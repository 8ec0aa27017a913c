#pragma once
// The Log port: durable, totally ordered, append-only logs, one per session and one per control
// scope, that know nothing of what their entries mean. Every engine gives the same promises and
// passes the same conformance suite (log/conformance_test.cpp):
//
//   append  compare-and-append of a batch over one or more logs, all or nothing. It is sequenced
//           when append returns (later appends see the new tails) and durable when the callback
//           runs. Engines complete in order and fail-stop: after one failed write or sync nothing
//           is ever accepted again.
//   fence   a part whose epoch is below the log's is refused (I3); one that elects raises it.
//   guard   a batch is refused if a named log's barrier differs from the one that the decision
//           saw (I6).
//   repeat  an append whose id was already applied at its expected tail is answered, not repeated.
//   read    durable entries only. head() is linearizable with append on the same engine.
//   watch   a push whenever a log's durable tail moves; resumable, because a reader asks for
//           positions.
//
// Thread rule: any thread may call any method. OnDurable and OnAdvance run on the engine's
// committer thread (memory engine: inside append) and must only hand over: never block, never call
// trim(), never end the life of the engine.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"

namespace gavel {

// Made by whoever appends; 16 random bytes.
struct AppendId {
  std::array<std::uint8_t, 16> bytes{};
  auto operator<=>(const AppendId&) const = default;
};

// What happens to the log's epoch.
enum class EpochRule {
  same,   // part.epoch must be the log's epoch
  elect,  // part.epoch must be the log's epoch + 1, and becomes it
};

struct AppendPart {
  LogId log;
  Position expected_tail;
  Epoch epoch;
  EpochRule epoch_rule = EpochRule::same;
  std::vector<std::string> entries;  // encoded; at least one
  bool raises_barrier = false;
  // When the log next wants attention; unset leaves it, Timestamp{0} clears it.
  std::optional<Timestamp> next_due;
};

struct Guard {
  LogId log;
  std::uint64_t barrier = 0;
};

struct Blob {
  Digest digest;
  std::string bytes;
};

struct Append {
  AppendId id;
  std::vector<AppendPart> parts;  // at least one, no log twice
  std::vector<Guard> guards;
  std::vector<Blob> blobs;
};

// The positions that an append took: last entry of each part, in the parts' order.
struct Sequenced {
  std::vector<Position> tails;
  bool repeated = false;  // it had been applied before
};

struct Head {
  LogId log;
  Position tail;     // sequenced
  Position durable;  // what read() returns
  Epoch epoch;
  std::uint64_t barrier = 0;
  Digest chain;          // hash of the last sequenced entry: docs/formats/log.md
  Digest durable_chain;  // hash of the last durable entry
  Position trimmed;      // entries up to here are gone
  Position snapshot;     // of the saved snapshot; 0: none
  Timestamp next_due;    // 0: none
};

struct StoredEntry {
  Position position;
  std::string bytes;
};

struct ReadLimits {
  std::size_t entries = 1024;
  std::size_t bytes = 4u << 20;
};

struct Snapshot {
  Position position;
  std::string bytes;
};

// Called when nothing more can be appended, with the reason; at most once.
using OnFailure = std::function<void(const Error&)>;
using OnDurable = std::move_only_function<void(Status)>;
// The durable tail of `log` is now `tail`.
using OnAdvance = std::function<void(const LogId& log, Position tail)>;

// Cancels its watch when it is destroyed; after that the callback is not running and never will.
class Subscription {
public:
  virtual ~Subscription() = default;
};

class Log {
public:
  virtual ~Log() = default;

  // Errors, with nothing changed: conflict (another tail, or a lost election; the message names
  // both), stale_epoch, halted (a guard's barrier was raised), invalid_argument, too_large, busy
  // (too much waits for the disk), storage_failed. on_durable runs only if this returns a value.
  virtual Result<Sequenced> append(Append append, OnDurable on_durable) = 0;

  // Entries from `from` (>= 1) on, at least one if there is one. not_found where they were trimmed.
  virtual Result<std::vector<StoredEntry>> read(const LogId& log, Position from,
                                                const ReadLimits& limits = {}) = 0;
  // A log that was never written has an all-zero head.
  virtual Result<Head> head(const LogId& log) = 0;
  virtual Result<std::string> blob(const Digest& digest) = 0;

  // Watches one log, or all of them where `log` is empty.
  virtual std::unique_ptr<Subscription> watch(std::optional<LogId> log, OnAdvance on_advance) = 0;

  // Keeps the newest snapshot of a log. Not synced: losing one costs time, not data. One that is
  // ahead of the durable entries is refused (conflict); an older one than the saved is ignored.
  virtual Status save_snapshot(const LogId& log, const Snapshot& snapshot) = 0;
  virtual Result<std::optional<Snapshot>> load_snapshot(const LogId& log) = 0;

  // Logs whose names start with `prefix`, by name, after `after`.
  virtual Result<std::vector<Head>> list(std::string_view prefix, const LogId& after,
                                         std::size_t limit) = 0;
  // Logs whose next_due is at or before `now`, earliest first.
  virtual Result<std::vector<LogId>> due(Timestamp now, std::size_t limit) = 0;

  // Forgets entries up to `up_to`, which the saved snapshot must cover (else conflict).
  virtual Status trim(const LogId& log, Position up_to) = 0;

  // Ok, or why the engine stopped.
  virtual Status health() const = 0;
};

// Limits that every engine enforces.
inline constexpr std::size_t kAppendBytesMax = 32u << 20;
inline constexpr std::size_t kAppendEntriesMax = 4096;
inline constexpr std::size_t kLogNameMax = 256;

// Names are 1 to 256 of [A-Za-z0-9._/@:-]; anything else is invalid_argument.
Status check_log_name(const LogId& log);

}  // namespace gavel

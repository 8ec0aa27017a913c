#pragma once
// A log engine on a simulated disk. It promises what log/log.hpp demands, and keeps it in the worst
// way that the contract allows: what is sequenced waits for a sync of seeded length; who waits is
// told later still; a crash keeps any prefix of what was not synced; a failed sync ends the engine.
//
//   append ──► waiting ──► syncing ──► durable ──► told
//                │            │           │
//   crash:      lost,      a prefix     kept, perhaps untold
//               or kept    is kept
//
// The disk (sim_disk.hpp) is what survives; the engine is one incarnation over it.

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "log/log.hpp"
#include "rng.hpp"
#include "schedule.hpp"
#include "sim_disk.hpp"

namespace gavel::simulation {

struct SimLogWorld {
  Disk& disk;
  Schedule& schedule;
  Trace& trace;
  Coverage& coverage;
  // Somebody was told that the append is durable.
  std::function<void(const Append&)> on_told;
  // The engine has taken it.
  std::function<void(const Append&)> on_taken = [](const Append&) {};
  // Somebody reads this.
  std::function<void(const LogId&, std::span<const StoredEntry>)> on_read =
      [](const LogId&, std::span<const StoredEntry>) {};
};

class SimLog final : public Log {
public:
  SimLog(SimLogWorld world, std::uint64_t dice);
  ~SimLog() override;

  // The process dies, or the machine does.
  void crash();
  bool is_idle() const { return waiting_.empty() && syncing_.empty() && telling_.empty(); }

  Result<Sequenced> append(Append append, OnDurable on_durable) override;
  Result<std::vector<StoredEntry>> read(const LogId& log, Position from,
                                        const ReadLimits& limits) override;
  Result<Head> head(const LogId& log) override;
  Result<std::string> blob(const Digest& digest) override;
  std::unique_ptr<Subscription> watch(std::optional<LogId> log, OnAdvance on_advance) override;
  Status save_snapshot(const LogId& log, const Snapshot& snapshot) override;
  Result<std::optional<Snapshot>> load_snapshot(const LogId& log) override;
  Result<std::vector<Head>> list(std::string_view prefix, const LogId& after,
                                 std::size_t limit) override;
  Result<std::vector<LogId>> due(Timestamp now, std::size_t limit) override;
  Status trim(const LogId& log, Position up_to) override;
  Status health() const override { return health_; }

private:
  struct Pending {
    Append append;
    OnDurable on_durable;
  };
  Status admit(const Append& append);
  void start_sync();
  void synced();
  void tell_later(std::vector<Pending> group, Instant span, Status status);
  // Of what is on its way so many reached the disk whole; of the next, some of its bytes.
  void cut_off(const std::deque<Pending>& unsynced, std::size_t kept);
  void fail_all(std::string why);
  // Work that a dead engine does not do.
  void later(Instant span, Schedule::Work work);

  SimLogWorld world_;
  Rng rng_;
  std::map<LogId, Head> sequenced_;  // of logs with appends on their way
  std::deque<Pending> waiting_;
  std::deque<Pending> syncing_;
  std::deque<std::vector<Pending>> telling_;
  Instant told_until_{0};  // nobody is told before those of earlier groups
  Status health_;
  std::shared_ptr<bool> alive_;
};

}  // namespace gavel::simulation

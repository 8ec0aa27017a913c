#include "sim_log.hpp"

#include <algorithm>

#include "log/admission.hpp"
#include "mutants.hpp"

namespace gavel::simulation {
namespace {

constexpr std::size_t kWaitingMax = 4096;

}  // namespace

SimLog::SimLog(SimLogWorld world, std::uint64_t dice)
    : world_(std::move(world)), rng_(dice), alive_(std::make_shared<bool>(true)) {}

SimLog::~SimLog() {
  *alive_ = false;
}

void SimLog::later(Instant span, Schedule::Work work) {
  world_.schedule.after(span, [alive = alive_, work = std::move(work)]() mutable {
    if (*alive) work();
  });
}

void SimLog::crash() {
  *alive_ = false;
  std::deque<Pending> unsynced = std::move(syncing_);
  std::move(waiting_.begin(), waiting_.end(), std::back_inserter(unsynced));
  // What was handed to the kernel may have reached the disk, in order, as far as it came.
  std::size_t kept = unsynced.empty() ? 0 : rng_.below(unsynced.size() + 1);
  if (rng_.one_in(2)) kept = 0;
  if (!health_) kept = 0;
  if (kept < unsynced.size()) ++world_.coverage["disk: a crash loses what was not synced"];
  if (kept > 0) ++world_.coverage["disk: a crash keeps what nobody was told of"];
  if (mutated(Mutation::lose_acknowledged) && unsynced.empty()) world_.disk.lose_last();
  if (mutated(Mutation::history_is_rewritten)) world_.disk.rewrite_first();
  cut_off(unsynced, kept);
}

void SimLog::cut_off(const std::deque<Pending>& unsynced, std::size_t kept) {
  for (std::size_t i = 0; i < kept; ++i) world_.disk.write(unsynced[i].append);
  std::vector<Append> rest;
  for (std::size_t i = kept; i < unsynced.size(); ++i) rest.push_back(unsynced[i].append);
  world_.disk.tear(rest, rng_.next());
}

Status SimLog::admit(const Append& append) {
  TRY(health_);
  TRY(check_shape(append));
  if (world_.disk.faults.busy_appends > 0) {
    --world_.disk.faults.busy_appends;
    ++world_.coverage["disk: refuses as busy"];
    return fail(ErrorCode::busy, "too much waits for the disk");
  }
  if (waiting_.size() >= kWaitingMax) return fail(ErrorCode::busy, "too much waits for the disk");
  for (const auto& part : append.parts) {
    ASSIGN_OR_RETURN(const Head now, head(part.log));
    TRY(check_epoch(part, now));
  }
  for (const auto& part : append.parts) {
    ASSIGN_OR_RETURN(const Head now, head(part.log));
    TRY(check_tail(part, now));
  }
  for (const auto& guard : append.guards) {
    ASSIGN_OR_RETURN(const Head now, head(guard.log));
    if (const auto clear = check_guard(guard, now); !clear) {
      ++world_.coverage["log: a guard refuses"];
      return clear;
    }
  }
  return {};
}

Result<Sequenced> SimLog::append(Append append, OnDurable on_durable) {
  TRY(admit(append));
  world_.on_taken(append);
  Sequenced sequenced;
  for (const auto& part : append.parts) {
    ASSIGN_OR_RETURN(Head next, head(part.log));
    next.log = part.log;
    advance(next, part);
    sequenced.tails.push_back(next.tail);
    sequenced_[part.log] = next;
  }
  if (mutated(Mutation::acknowledge_before_sync)) {
    std::vector<Pending> told;
    told.push_back({append, std::move(on_durable)});
    tell_later(std::move(told), Instant(0), {});
    on_durable = {};
  }
  waiting_.push_back({std::move(append), std::move(on_durable)});
  if (syncing_.empty()) start_sync();
  return sequenced;
}

void SimLog::start_sync() {
  if (waiting_.empty() || !health_) return;
  // A group: usually all that waits.
  std::size_t group = waiting_.size();
  if (rng_.one_in(4)) group = 1 + rng_.below(group);
  for (std::size_t i = 0; i < group; ++i) {
    syncing_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  Instant takes(rng_.between(50, 4000));
  if (world_.disk.faults.stalls) {
    takes = *world_.disk.faults.stalls;
    world_.disk.faults.stalls.reset();
    ++world_.coverage["disk: a sync stalls"];
  }
  later(takes, [this] { synced(); });
}

void SimLog::synced() {
  DiskFaults& faults = world_.disk.faults;
  if (faults.full) {
    faults.full = false;
    ++world_.coverage["disk: full"];
    return fail_all("no space left on device");
  }
  if (faults.next_sync_fails) {
    faults.next_sync_fails = false;
    ++world_.coverage["disk: a sync fails"];
    // Nobody knows how much of it reached the disk.
    cut_off(syncing_, rng_.below(syncing_.size() + 1));
    return fail_all("sync: input/output error");
  }
  std::vector<Pending> group;
  for (auto& pending : syncing_) {
    world_.disk.write(pending.append);
    group.push_back(std::move(pending));
  }
  syncing_.clear();
  // Between the sync and whoever is told of it lies a moment in which the process can die.
  tell_later(std::move(group), Instant(rng_.between(0, 500)), {});
  start_sync();
}

// What waits to be told belongs to the engine, and dies with it.
void SimLog::tell_later(std::vector<Pending> group, Instant span, Status status) {
  told_until_ = std::max(machine::now() + span, told_until_);
  telling_.push_back(std::move(group));
  later(told_until_ - machine::now(), [this, status = std::move(status)] {
    auto told = std::move(telling_.front());
    telling_.pop_front();
    for (auto& pending : told) {
      if (status) world_.on_told(pending.append);
      if (pending.on_durable) pending.on_durable(status);
    }
  });
}

void SimLog::fail_all(std::string why) {
  health_ = fail(ErrorCode::storage_failed, std::move(why));
  world_.trace.line("disk: " + health_.error().message);
  std::vector<Pending> group;
  for (auto* queue : {&syncing_, &waiting_}) {
    for (auto& pending : *queue) group.push_back(std::move(pending));
    queue->clear();
  }
  tell_later(std::move(group), Instant(0), health_);
}

Result<Head> SimLog::head(const LogId& log) {
  ASSIGN_OR_RETURN(Head durable, world_.disk.contents().head(log));
  const auto ahead = sequenced_.find(log);
  if (ahead == sequenced_.end()) return durable;
  Head head = ahead->second;
  head.durable = durable.durable;
  head.durable_chain = durable.durable_chain;
  head.snapshot = durable.snapshot;
  head.trimmed = durable.trimmed;
  return head;
}

Result<std::vector<StoredEntry>> SimLog::read(const LogId& log, Position from,
                                              const ReadLimits& limits) {
  // Pages may be short.
  ReadLimits less = limits;
  less.entries = std::min<std::size_t>(limits.entries, 1 + rng_.below(64));
  auto entries = world_.disk.read(log, from, less);
  if (entries) world_.on_read(log, *entries);
  return entries;
}

Result<std::string> SimLog::blob(const Digest& digest) {
  return world_.disk.blob(digest);
}

std::unique_ptr<Subscription> SimLog::watch(std::optional<LogId> log, OnAdvance on_advance) {
  return world_.disk.contents().watch(std::move(log), std::move(on_advance));
}

Status SimLog::save_snapshot(const LogId& log, const Snapshot& snapshot) {
  return world_.disk.contents().save_snapshot(log, snapshot);
}

Result<std::optional<Snapshot>> SimLog::load_snapshot(const LogId& log) {
  return world_.disk.load_snapshot(log);
}

Result<std::vector<Head>> SimLog::list(std::string_view prefix, const LogId& after,
                                       std::size_t limit) {
  return world_.disk.contents().list(prefix, after, limit);
}

Result<std::vector<LogId>> SimLog::due(Timestamp now, std::size_t limit) {
  return world_.disk.contents().due(now, limit);
}

Status SimLog::trim(const LogId& log, Position up_to) {
  return world_.disk.contents().trim(log, up_to);
}

}  // namespace gavel::simulation

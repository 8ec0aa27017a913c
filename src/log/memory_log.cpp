#include "log/memory_log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <set>

#include "log/admission.hpp"
#include "log/watchers.hpp"

namespace gavel {
namespace {

struct Record {
  AppendId id;
  Position first;
  std::vector<std::string> entries;

  Position last() const { return Position{first.value + entries.size() - 1}; }
};

struct LogState {
  Head head;
  std::deque<Record> records;  // by position, without gaps
  std::optional<Snapshot> snapshot;

  // The record that starts right behind `tail`, if one does.
  const Record* record_after(Position tail) const {
    for (auto record = records.rbegin(); record != records.rend(); ++record) {
      if (record->first == tail.next()) return &*record;
      if (record->first <= tail) break;
    }
    return nullptr;
  }
};

class MemoryLog final : public Log {
public:
  Result<Sequenced> append(Append append, OnDurable on_durable) override {
    TRY(check_shape(append));
    Result<Sequenced> sequenced;
    {
      const std::lock_guard lock(mutex_);
      sequenced = sequence(append);
      if (!sequenced) return sequenced;
      Completion completion{std::move(on_durable), {}};
      if (!sequenced->repeated) {
        for (const auto& part : append.parts) {
          completion.tails.emplace_back(part.log, logs_.find(part.log)->second.head.tail);
        }
      }
      completions_.push_back(std::move(completion));
    }
    complete();
    return sequenced;
  }

  Result<std::vector<StoredEntry>> read(const LogId& log, Position from,
                                        const ReadLimits& limits) override {
    TRY(check_log_name(log));
    if (from.value == 0) return fail(ErrorCode::invalid_argument, "the first entry is at 1");
    const std::lock_guard lock(mutex_);
    std::vector<StoredEntry> out;
    const auto found = logs_.find(log);
    if (found == logs_.end()) return out;
    const LogState& state = found->second;
    if (from <= state.head.trimmed) return trimmed_error(log, from, state.head.trimmed);
    auto record = std::partition_point(state.records.begin(), state.records.end(),
                                       [&](const Record& r) { return r.last() < from; });
    std::size_t bytes = 0;
    for (; record != state.records.end(); ++record) {
      for (std::size_t i = from.value - record->first.value; i < record->entries.size(); ++i) {
        const auto& entry = record->entries[i];
        bytes += entry.size();
        if (!out.empty() && (out.size() >= limits.entries || bytes > limits.bytes)) return out;
        out.push_back({from, entry});
        from = from.next();
      }
    }
    return out;
  }

  Result<Head> head(const LogId& log) override {
    TRY(check_log_name(log));
    const std::lock_guard lock(mutex_);
    return head_of(log);
  }

  Result<std::string> blob(const Digest& digest) override {
    const std::lock_guard lock(mutex_);
    const auto found = blobs_.find(digest);
    if (found == blobs_.end()) {
      return fail(ErrorCode::not_found, fmt::format("no blob {}", digest.hex()));
    }
    return found->second;
  }

  std::unique_ptr<Subscription> watch(std::optional<LogId> log, OnAdvance on_advance) override {
    return watchers_->add(std::move(log), std::move(on_advance));
  }

  Status save_snapshot(const LogId& log, const Snapshot& snapshot) override {
    TRY(check_log_name(log));
    const std::lock_guard lock(mutex_);
    TRY(check_snapshot_position(head_of(log), snapshot.position));
    LogState& state = logs_.find(log)->second;
    if (snapshot.position < state.head.snapshot) return {};
    state.snapshot = snapshot;
    state.head.snapshot = snapshot.position;
    return {};
  }

  Result<std::optional<Snapshot>> load_snapshot(const LogId& log) override {
    TRY(check_log_name(log));
    const std::lock_guard lock(mutex_);
    const auto found = logs_.find(log);
    if (found == logs_.end()) return std::nullopt;
    return found->second.snapshot;
  }

  Result<std::vector<Head>> list(std::string_view prefix, const LogId& after,
                                 std::size_t limit) override {
    const std::lock_guard lock(mutex_);
    std::vector<Head> out;
    auto it = after.value < prefix ? logs_.lower_bound(LogId{std::string(prefix)})
                                   : logs_.upper_bound(after);
    for (; it != logs_.end() && out.size() < limit; ++it) {
      if (!it->first.value.starts_with(prefix)) break;
      out.push_back(it->second.head);
    }
    return out;
  }

  Result<std::vector<LogId>> due(Timestamp now, std::size_t limit) override {
    const std::lock_guard lock(mutex_);
    std::vector<LogId> out;
    for (const auto& [at, log] : timers_) {
      if (at > now || out.size() >= limit) break;
      out.push_back(log);
    }
    return out;
  }

  Status trim(const LogId& log, Position up_to) override {
    TRY(check_log_name(log));
    const std::lock_guard lock(mutex_);
    TRY(check_trim(head_of(log), up_to));
    const auto found = logs_.find(log);
    if (found == logs_.end()) return {};
    LogState& state = found->second;
    state.head.trimmed = std::max(state.head.trimmed, up_to);
    while (state.records.size() > 1 && state.records.front().last() <= state.head.trimmed) {
      state.records.pop_front();
    }
    return {};
  }

  Status health() const override { return {}; }

private:
  struct Completion {
    OnDurable on_durable;
    std::vector<std::pair<LogId, Position>> tails;
  };

  Head head_of(const LogId& log) const {
    const auto found = logs_.find(log);
    if (found != logs_.end()) return found->second.head;
    Head none;
    none.log = log;
    return none;
  }

  // The answer to an append that was applied before, or nothing.
  Result<std::optional<Sequenced>> find_repeat(const Append& append) const {
    Sequenced out{{}, true};
    for (const auto& part : append.parts) {
      const auto found = logs_.find(part.log);
      const Record* record =
          found == logs_.end() ? nullptr : found->second.record_after(part.expected_tail);
      if (record == nullptr || record->id != append.id) break;
      if (record->entries.size() != part.entries.size()) return id_reused_error(part);
      out.tails.push_back(record->last());
    }
    if (out.tails.empty()) return std::nullopt;
    if (out.tails.size() != append.parts.size()) {
      return id_reused_error(append.parts[out.tails.size()]);
    }
    return out;
  }

  Result<Sequenced> sequence(Append& append) {
    ASSIGN_OR_RETURN(auto repeat, find_repeat(append));
    if (repeat) return std::move(*repeat);
    for (const auto& part : append.parts) TRY(check_epoch(part, head_of(part.log)));
    for (const auto& part : append.parts) TRY(check_tail(part, head_of(part.log)));
    for (const auto& guard : append.guards) TRY(check_guard(guard, head_of(guard.log)));

    Sequenced out;
    for (auto& part : append.parts) {
      LogState& state = logs_[part.log];
      state.head.log = part.log;
      timers_.erase({state.head.next_due, part.log});
      advance(state.head, part);
      if (state.head.next_due.ms != 0) timers_.emplace(state.head.next_due, part.log);
      state.head.durable = state.head.tail;
      state.head.durable_chain = state.head.chain;
      state.records.push_back({append.id, part.expected_tail.next(), std::move(part.entries)});
      out.tails.push_back(state.head.tail);
    }
    for (auto& blob : append.blobs) blobs_.try_emplace(blob.digest, std::move(blob.bytes));
    return out;
  }

  // Whoever comes first completes for all, so that callbacks run one after another, in order.
  void complete() {
    std::unique_lock lock(mutex_);
    if (completing_) return;
    completing_ = true;
    while (!completions_.empty()) {
      Completion completion = std::move(completions_.front());
      completions_.pop_front();
      lock.unlock();
      if (completion.on_durable) completion.on_durable({});
      for (const auto& [log, tail] : completion.tails) watchers_->advanced(log, tail);
      lock.lock();
    }
    completing_ = false;
  }

  std::mutex mutex_;
  std::map<LogId, LogState> logs_;
  std::map<Digest, std::string> blobs_;
  std::set<std::pair<Timestamp, LogId>> timers_;
  std::deque<Completion> completions_;
  bool completing_ = false;
  const std::shared_ptr<Watchers> watchers_ = Watchers::create();
};

}  // namespace

std::unique_ptr<Log> make_memory_log() {
  return std::make_unique<MemoryLog>();
}

}  // namespace gavel

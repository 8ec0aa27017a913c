#pragma once
// What the tests of this folder share: short ways to say an append, to wait until it is durable,
// and a directory that is gone afterwards.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <string>

#include "log/log.hpp"
#include "log/memory_log.hpp"

namespace gavel::testing {

class TempDirectory {
public:
  TempDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "gavel-log-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TempDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::string sub(const std::string& name) const { return (path_ / name).string(); }

private:
  std::filesystem::path path_;
};

// The memory engine behind it, for a test's engine to misbehave in front of.
class ForwardingLog : public Log {
public:
  Result<Sequenced> append(Append append, OnDurable on_durable) override {
    return log_->append(std::move(append), std::move(on_durable));
  }
  Result<Head> head(const LogId& log) override { return log_->head(log); }
  Result<std::vector<StoredEntry>> read(const LogId& log, Position from,
                                        const ReadLimits& limits) override {
    return log_->read(log, from, limits);
  }
  Result<std::string> blob(const Digest& digest) override { return log_->blob(digest); }
  std::unique_ptr<Subscription> watch(std::optional<LogId> log, OnAdvance on) override {
    return log_->watch(std::move(log), std::move(on));
  }
  Status save_snapshot(const LogId& log, const Snapshot& snapshot) override {
    return log_->save_snapshot(log, snapshot);
  }
  Result<std::optional<Snapshot>> load_snapshot(const LogId& log) override {
    return log_->load_snapshot(log);
  }
  Result<std::vector<Head>> list(std::string_view prefix, const LogId& after,
                                 std::size_t limit) override {
    return log_->list(prefix, after, limit);
  }
  Result<std::vector<LogId>> due(Timestamp now, std::size_t limit) override {
    return log_->due(now, limit);
  }
  Status trim(const LogId& log, Position up_to) override { return log_->trim(log, up_to); }
  Status health() const override { return log_->health(); }

private:
  std::unique_ptr<Log> log_ = make_memory_log();
};

// Ids that differ within a test: of a number.
inline AppendId id_of(std::uint64_t number) {
  AppendId id;
  for (std::size_t i = 0; i < 8; ++i) {
    id.bytes[i] = static_cast<std::uint8_t>(number >> (8 * i));
  }
  id.bytes[15] = 1;
  return id;
}

inline AppendId fresh_id() {
  static std::atomic<std::uint64_t> next{1u << 20};
  return id_of(next.fetch_add(1));
}

inline AppendPart part(std::string log, std::uint64_t tail, std::vector<std::string> entries,
                       std::uint64_t epoch = 0) {
  AppendPart out;
  out.log = LogId{std::move(log)};
  out.expected_tail = Position{tail};
  out.epoch = Epoch{epoch};
  out.entries = std::move(entries);
  return out;
}

inline AppendPart elect(AppendPart elected) {
  elected.epoch_rule = EpochRule::elect;
  return elected;
}

inline Append append_of(AppendPart only) {
  Append out;
  out.id = fresh_id();
  out.parts.push_back(std::move(only));
  return out;
}

inline Append append_of(std::vector<AppendPart> parts) {
  Append out;
  out.id = fresh_id();
  out.parts = std::move(parts);
  return out;
}

// Appends and waits until it is durable.
inline Result<Sequenced> put(Log& log, Append append) {
  std::promise<Status> durable;
  auto done = durable.get_future();
  auto sequenced =
      log.append(std::move(append), [&](Status status) { durable.set_value(std::move(status)); });
  if (!sequenced) return sequenced;
  const Status status = done.get();
  if (!status) return std::unexpected(status.error());
  return sequenced;
}

inline Result<Sequenced> put(Log& log, AppendPart only) {
  return put(log, append_of(std::move(only)));
}

template <typename T>
ErrorCode code_of(const Result<T>& result) {
  EXPECT_FALSE(result.has_value()) << "an error was expected";
  return result ? ErrorCode::internal : result.error().code;
}

// All entries of a log from `from` on, as it was read in pages.
inline std::vector<std::string> entries_of(Log& log, const std::string& name,
                                           std::uint64_t from = 1) {
  std::vector<std::string> out;
  for (;;) {
    const auto page = log.read(LogId{name}, Position{from + out.size()});
    EXPECT_TRUE(page.has_value()) << page.error().message;
    if (!page || page->empty()) return out;
    for (const auto& entry : *page) {
      EXPECT_EQ(entry.position.value, from + out.size());
      out.push_back(entry.bytes);
    }
  }
}

}  // namespace gavel::testing

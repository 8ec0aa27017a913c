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

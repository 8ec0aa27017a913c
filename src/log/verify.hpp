#pragma once
// Offline verification of a store: reads everything, recomputes every hash chain and compares it
// with what the records, the heads and, if there is one, a signed checkpoint say. Nothing is
// changed; a damaged place is reported and the rest is still read.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "log/checkpoint.hpp"
#include "log/log.hpp"

namespace gavel {

struct VerifyProblem {
  LogId log;          // empty: of the store as a whole
  Position position;  // 0: of the log as a whole
  std::string what;
};

struct VerifyReport {
  std::uint64_t logs = 0;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;  // of the entries
  std::uint64_t blobs = 0;
  // Logs of the checkpoint that were trimmed since, so that nothing is left to compare.
  std::uint64_t not_compared = 0;
  std::vector<VerifyProblem> problems;  // at most kVerifyProblemsMax
  bool is_clean() const { return problems.empty(); }
};

inline constexpr std::size_t kVerifyProblemsMax = 1000;

struct VerifyOptions {
  // Of read_checkpoint: what the store must still contain.
  std::optional<Checkpoint> checkpoint;
  // Called after every log, with what was read so far.
  std::function<void(const VerifyReport&)> on_progress;
  // The blobs that an entry refers to, if the caller can tell: each must be there.
  std::function<std::vector<Digest>(std::string_view entry)> blobs_of;
};

// Errors: not_found (no store), unavailable (a running gavel uses it), unsupported, corrupted
// (RocksDB cannot open it at all), storage_failed.
Result<VerifyReport> verify_store(const std::string& directory, const VerifyOptions& options = {});

}  // namespace gavel

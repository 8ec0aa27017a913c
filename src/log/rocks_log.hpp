#pragma once
// The default engine: one directory, no server. Appends are sequenced in memory under one lock and
// gathered into a group; one thread writes group after group into RocksDB, each with one sync, and
// then completes its appends in order. Its files are specified in docs/formats/log.md.

#include <memory>
#include <string>

#include "log/log.hpp"

namespace gavel {

struct RocksOptions {
  std::string directory;
  // Called once, on a thread of the engine, when it stops accepting appends. May be empty.
  OnFailure on_failure;
  // How many heads of logs stay in memory; about 400 bytes each.
  std::size_t cached_heads = 16384;
  // How much is kept in memory, and so in the write-ahead log, before it goes to tables.
  std::size_t memtable_bytes = 64u << 20;
};

// Creates the store where there is none. Errors: unavailable (another process uses it; the message
// names its pid), unsupported (written by a newer gavel), corrupted (damaged; says what is
// missing), storage_failed.
Result<std::unique_ptr<Log>> open_rocks_log(const RocksOptions& options);

// How much may wait for the disk; more is refused as busy.
inline constexpr std::size_t kWaitingBytesMax = 128u << 20;
inline constexpr std::size_t kWaitingAppendsMax = 65536;

}  // namespace gavel

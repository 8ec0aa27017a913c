#pragma once
// Checkpoints: a signed statement of how far every log was and what its chain hash was then. A hash
// chain alone cannot tell that its end was cut off, or that all of it was written anew; a
// checkpoint that was carried elsewhere can. Signed with Ed25519; docs/formats/log.md has the JSON.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "log/log.hpp"

namespace gavel {

struct CheckpointHead {
  LogId log;
  Position tail;
  Digest chain;  // of the entry at tail
};

struct Checkpoint {
  Timestamp created_at;
  std::vector<CheckpointHead> heads;  // by name
  std::string public_key;             // 32 bytes as hex
  std::string signature;              // 64 bytes as hex
};

// The private key that signs checkpoints, in a file that only its owner may read.
class CheckpointKey {
public:
  // Reads the file, or makes a new key and the file with mode 0600. permission_denied where others
  // may read it.
  static Result<CheckpointKey> load_or_create(const std::string& path);
  ~CheckpointKey();
  CheckpointKey(CheckpointKey&&) noexcept;
  CheckpointKey& operator=(CheckpointKey&&) noexcept;

  // 64 hex digits; whoever verifies needs it from a place that they trust.
  std::string public_key() const;
  // The signature over `bytes` as hex.
  std::string sign(std::string_view bytes) const;

private:
  struct Pair;
  explicit CheckpointKey(std::unique_ptr<Pair> pair);
  std::unique_ptr<Pair> pair_;
};

// Of the durable entries of all logs.
Result<Checkpoint> make_checkpoint(Log& log, const CheckpointKey& key, Timestamp now);

std::string write_checkpoint(const Checkpoint& checkpoint);
// invalid_argument where it is malformed, corrupted where the signature does not fit, and
// permission_denied where it is not by `trusted_key` (hex), if that is given.
Result<Checkpoint> read_checkpoint(std::string_view text,
                                   const std::optional<std::string>& trusted_key);

}  // namespace gavel

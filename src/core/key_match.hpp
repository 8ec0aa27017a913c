#pragma once
// Which action a proposal is: a new one, or one that the log has. See
// docs/adr/0007-derived-keys.md.

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "core/decide.hpp"
#include "core/state.hpp"

namespace gavel {

// What the key of a proposal leads to.
struct KeyMatch {
  std::string key;
  std::uint64_t occurrence = 0;       // 0: not counted
  const KeyRecord* record = nullptr;  // of an earlier call with this key, to attach to or replay
};
// Errors: key_reused (the client's key belongs to another call), too_large (tried too often).
Result<KeyMatch> match_key(const State& state, const Propose& command);

// How often the call was made in this epoch.
std::uint64_t occurrences_of(const State& state, const Propose& command);

}  // namespace gavel

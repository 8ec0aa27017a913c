#pragma once
// fold: one entry's effect on state. Total and deterministic: an entry that makes no sense where it
// stands (a second decision, an outcome without an attempt, a vote bound to other arguments, a kind
// its role may not append, an unknown kind) changes nothing but the tail and the count of skipped
// entries, so that no bad entry can wedge a log (I10), and a void decision stays visible as void
// (I2).

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "core/entry.hpp"
#include "core/state.hpp"

namespace gavel {

enum class Folded { applied, skipped };

// Requires entry.position == state.tail + 1.
Folded fold(State& state, const Entry& entry);
Folded fold(ControlState& state, const Entry& entry);

// Whether an append of this entry raises its control log's barrier (halts and policy changes).
bool raises_barrier(const Body& body);

// A state as bytes, for snapshots: docs/formats/snapshot.md. A snapshot that cannot be read
// (corrupted, unsupported) is no loss: fold from the log instead.
std::string encode_snapshot(const State& state);
Result<State> decode_snapshot(std::string_view bytes);

}  // namespace gavel

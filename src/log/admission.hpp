#pragma once
// What every engine does the same way before it sequences an append: the limits, the comparisons
// of compare-and-append, and what a part does to its log's head. Pure: an engine finds the heads
// and recognises repeats, then asks here, in this order: check_shape, repeats, check_parts,
// check_guard; then advance() on every part's head.

#include "log/log.hpp"

namespace gavel {

// Limits, names and blob digests: invalid_argument or too_large.
Status check_shape(const Append& append);

// The part's epoch: stale_epoch where another driver was elected; conflict where an election was
// lost; invalid_argument where nobody was elected to it yet.
Status check_epoch(const AppendPart& part, const Head& head);
// The part's expected tail: conflict.
Status check_tail(const AppendPart& part, const Head& head);
// halted where the barrier was raised since.
Status check_guard(const Guard& guard, const Head& head);

// The hash of an entry: SHA-256(previous || be64 position || entry). Before the first it is zero.
Digest chain_next(const Digest& previous, Position position, std::string_view entry);

// The head after the part was sequenced: tail, epoch, barrier, chain and next_due.
void advance(Head& head, const AppendPart& part);

// Errors that every engine words the same.
// The id of an applied append came with other parts.
std::unexpected<Error> id_reused_error(const AppendPart& part);
std::unexpected<Error> trimmed_error(const LogId& log, Position from, Position trimmed);
Status check_snapshot_position(const Head& head, Position position);
Status check_trim(const Head& head, Position up_to);

}  // namespace gavel

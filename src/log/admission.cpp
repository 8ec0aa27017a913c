#include "log/admission.hpp"

#include <fmt/format.h>

#include <unordered_set>

namespace gavel {
namespace {

std::string be64(std::uint64_t value) {
  std::string out(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) {
    out[i] = static_cast<char>(static_cast<unsigned char>(value >> (56 - 8 * i)));
  }
  return out;
}

Status check_part_shape(const AppendPart& part) {
  TRY(check_log_name(part.log));
  if (part.entries.empty()) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the append to {} has no entries", part.log.value));
  }
  if (part.next_due && part.next_due->ms < 0) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the append to {} is due before 1970", part.log.value));
  }
  return {};
}

}  // namespace

Status check_shape(const Append& append) {
  if (append.parts.empty()) return fail(ErrorCode::invalid_argument, "an append has no parts");
  std::size_t bytes = 0;
  std::size_t entries = 0;
  std::unordered_set<std::string_view> logs;
  for (const auto& part : append.parts) {
    TRY(check_part_shape(part));
    if (append.parts.size() > 1 && !logs.insert(part.log.value).second) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("an append names the log {} twice", part.log.value));
    }
    entries += part.entries.size();
    for (const auto& entry : part.entries) bytes += entry.size();
  }
  for (const auto& blob : append.blobs) bytes += blob.bytes.size();
  if (entries > kAppendEntriesMax) {
    return fail(ErrorCode::too_large, fmt::format("an append has {} entries; the limit is {}",
                                                  entries, kAppendEntriesMax));
  }
  if (bytes > kAppendBytesMax) {
    return fail(ErrorCode::too_large,
                fmt::format("an append has {} bytes; the limit is {}", bytes, kAppendBytesMax));
  }
  for (const auto& guard : append.guards) TRY(check_log_name(guard.log));
  for (const auto& blob : append.blobs) {
    if (sha256(blob.bytes) != blob.digest) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("the bytes of blob {} have another digest", blob.digest.short_hex()));
    }
  }
  return {};
}

Status check_epoch(const AppendPart& part, const Head& head) {
  const std::uint64_t current = head.epoch.value;
  const bool elects = part.epoch_rule == EpochRule::elect;
  if (part.epoch.value == current + (elects ? 1 : 0)) return {};
  if (elects && part.epoch.value <= current) {
    return fail(ErrorCode::conflict, fmt::format("epoch {} of {} was taken; it is at {} now",
                                                 part.epoch.value, part.log.value, current));
  }
  if (part.epoch.value < current) {
    return fail(ErrorCode::stale_epoch,
                fmt::format("epoch {} of {} is over: another driver was elected with epoch {}",
                            part.epoch.value, part.log.value, current));
  }
  return fail(ErrorCode::invalid_argument,
              fmt::format("epoch {} of {} was never elected; it is at {}", part.epoch.value,
                          part.log.value, current));
}

Status check_tail(const AppendPart& part, const Head& head) {
  if (part.expected_tail == head.tail) return {};
  return fail(ErrorCode::conflict,
              fmt::format("{} is at {}, not at {}: read on and decide again", part.log.value,
                          head.tail.value, part.expected_tail.value));
}

Status check_guard(const Guard& guard, const Head& head) {
  if (guard.barrier == head.barrier) return {};
  return fail(ErrorCode::halted, fmt::format("{} was raised to {} after the decision saw {}: read "
                                             "it and decide again",
                                             guard.log.value, head.barrier, guard.barrier));
}

Digest chain_next(const Digest& previous, Position position, std::string_view entry) {
  return sha256({previous.view(), be64(position.value), entry});
}

void advance(Head& head, const AppendPart& part) {
  for (const auto& entry : part.entries) {
    head.tail = head.tail.next();
    head.chain = chain_next(head.chain, head.tail, entry);
  }
  head.epoch = part.epoch;
  if (part.raises_barrier) ++head.barrier;
  if (part.next_due) head.next_due = *part.next_due;
}

std::unexpected<Error> id_reused_error(const AppendPart& part) {
  return fail(ErrorCode::invalid_argument,
              fmt::format("the id of an append to {} was used by another append; make a new one",
                          part.log.value));
}

std::unexpected<Error> trimmed_error(const LogId& log, Position from, Position trimmed) {
  return fail(ErrorCode::not_found,
              fmt::format("entry {} of {} was trimmed; the first that is left is {}", from.value,
                          log.value, trimmed.value + 1));
}

Status check_snapshot_position(const Head& head, Position position) {
  if (position.value > 0 && position <= head.durable) return {};
  return fail(ErrorCode::conflict,
              fmt::format("a snapshot of {} at {} is not within its durable entries 1 to {}",
                          head.log.value, position.value, head.durable.value));
}

Status check_trim(const Head& head, Position up_to) {
  if (up_to <= head.snapshot) return {};
  return fail(ErrorCode::conflict,
              fmt::format("{} cannot be trimmed to {}: its snapshot is at {}; save a newer one",
                          head.log.value, up_to.value, head.snapshot.value));
}

}  // namespace gavel

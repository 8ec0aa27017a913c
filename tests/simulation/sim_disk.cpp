#include "sim_disk.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.hpp"
#include "log/admission.hpp"
#include "log/memory_log.hpp"
#include "log/records.hpp"

namespace gavel::simulation {
namespace {

constexpr std::size_t kSizeBytes = 4;
constexpr std::size_t kSumBytes = 8;
constexpr std::size_t kHeadBytes = kSizeBytes + kSumBytes;

void put(std::string& out, std::uint64_t value, std::size_t width) {
  for (std::size_t i = width; i-- > 0;) out.push_back(static_cast<char>(value >> (8 * i)));
}

void put_sized(std::string& out, std::string_view bytes, std::size_t width) {
  put(out, bytes.size(), width);
  out += bytes;
}

// Takes fields off the front; whole() tells whether all of them were there.
class Fields {
public:
  explicit Fields(std::string_view bytes) : rest_(bytes) {}
  std::string_view bytes(std::size_t size) {
    if (rest_.size() < size) {
      whole_ = false;
      rest_ = {};
    }
    const auto out = rest_.substr(0, size);
    rest_.remove_prefix(out.size());
    return out;
  }
  std::uint64_t number(std::size_t width) {
    std::uint64_t value = 0;
    for (const char c : bytes(width)) value = value << 8 | static_cast<std::uint8_t>(c);
    return value;
  }
  std::string_view sized(std::size_t width) { return bytes(number(width)); }
  bool whole() const { return whole_; }
  bool at_end() const { return rest_.empty(); }

private:
  std::string_view rest_;
  bool whole_ = true;
};

std::string checksum(std::string_view payload) {
  return std::string(sha256(payload).view().substr(0, kSumBytes));
}

std::unexpected<Error> damaged(std::size_t frame, std::string_view what) {
  return fail(
      ErrorCode::corrupted,
      fmt::format("frame {} of the disk is damaged: {}; restore it from a backup", frame, what));
}

// The payload of a frame whose checksum is right.
Result<std::string_view> payload_of(std::string_view frame, std::size_t number) {
  Fields fields(frame);
  const auto size = fields.number(kSizeBytes);
  const auto sum = fields.bytes(kSumBytes);
  const auto payload = fields.bytes(size);
  if (!fields.whole() || !fields.at_end()) return damaged(number, "it is cut off");
  if (checksum(payload) != sum) return damaged(number, "its checksum is another");
  return payload;
}

struct Part {
  AppendPart append;
  RecordHeader header;
};

Result<Part> read_part(Fields& fields, std::size_t frame) {
  Part part;
  part.append.log.value = fields.sized(2);
  part.append.expected_tail = Position{fields.number(8) - 1};
  const std::uint64_t due = fields.number(8);
  const auto bytes = fields.sized(4);
  if (!fields.whole()) return damaged(frame, "a part is cut off");
  ASSIGN_OR_RETURN(auto record, RecordView::parse(bytes));
  part.header = record.header();
  part.append.epoch = part.header.epoch;
  part.append.epoch_rule = part.header.elects ? EpochRule::elect : EpochRule::same;
  part.append.raises_barrier = part.header.raises_barrier;
  if (due > 0) part.append.next_due = Timestamp{static_cast<std::int64_t>(due - 1)};
  while (const auto entry = record.next()) part.append.entries.emplace_back(*entry);
  return part;
}

// Of the mutation: what of a first part that is cut off can be read.
void salvage(std::string_view payload, Append& append) {
  if (!append.parts.empty()) return;
  Fields fields(payload);
  (void)fields.number(4);
  AppendPart part;
  part.log.value = fields.sized(2);
  part.expected_tail = Position{fields.number(8) - 1};
  (void)fields.number(8 + 4);
  (void)fields.number(2);
  const auto id = fields.bytes(append.id.bytes.size());
  std::copy(id.begin(), id.end(), append.id.bytes.begin());
  (void)fields.number(8);
  part.epoch = Epoch{fields.number(8)};
  (void)fields.bytes(2 * sizeof(Digest::bytes));
  (void)fields.number(4);
  for (auto entry = fields.sized(4); fields.whole(); entry = fields.sized(4)) {
    part.entries.emplace_back(entry);
  }
  if (!part.entries.empty()) append.parts.push_back(std::move(part));
}

Digest chain_of(Digest chain, const AppendPart& part) {
  Position position = part.expected_tail;
  for (const auto& entry : part.entries) {
    position = position.next();
    chain = chain_next(chain, position, entry);
  }
  return chain;
}

}  // namespace

Disk::Disk(OnDurableAppend on_append, Coverage& coverage)
    : on_append_(std::move(on_append)), coverage_(coverage), contents_(make_memory_log()) {}

std::string Disk::encode(const Append& append) {
  std::string payload;
  put(payload, append.parts.size(), 4);
  for (const auto& part : append.parts) {
    const Head head = contents_->head(part.log).value();
    RecordHeader header;
    header.id = append.id;
    header.commit = frames_.size() + 1;
    header.epoch = part.epoch;
    header.elects = part.epoch_rule == EpochRule::elect;
    header.raises_barrier = part.raises_barrier;
    header.previous = head.chain;
    header.chain = chain_of(head.chain, part);
    std::string record;
    encode_record(header, part.entries, record);
    put_sized(payload, part.log.value, 2);
    put(payload, part.expected_tail.value + 1, 8);
    put(payload, part.next_due ? static_cast<std::uint64_t>(part.next_due->ms) + 1 : 0, 8);
    put_sized(payload, record, 4);
  }
  put(payload, append.blobs.size(), 4);
  for (const auto& blob : append.blobs) put_sized(payload, blob.bytes, 4);
  std::string frame;
  put(frame, payload.size(), kSizeBytes);
  frame += checksum(payload);
  return frame + payload;
}

Result<Append> Disk::decode(std::string_view frame, std::size_t number) const {
  auto payload = payload_of(frame, number);
  const bool believed = !payload && mutated(Mutation::torn_is_believed);
  if (believed && frame.size() > kHeadBytes) payload = frame.substr(kHeadBytes);
  if (!payload) return std::unexpected(payload.error());
  Fields fields(*payload);
  Append append;
  for (auto parts = fields.number(4); parts > 0; --parts) {
    auto part = read_part(fields, number);
    if (!part && believed) {
      salvage(*payload, append);
      if (!append.parts.empty()) return append;
    }
    if (!part) return std::unexpected(part.error());
    const Head head = contents_->head(part->append.log).value();
    if (part->header.previous != head.chain ||
        part->header.chain != chain_of(head.chain, part->append)) {
      return damaged(number, "it does not continue its log");
    }
    append.id = part->header.id;
    append.parts.push_back(std::move(part->append));
  }
  for (auto blobs = fields.number(4); blobs > 0; --blobs) {
    const auto bytes = fields.sized(4);
    append.blobs.push_back({sha256(bytes), std::string(bytes)});
  }
  if (append.parts.empty()) return damaged(number, "there is nothing in it");
  if (believed) return append;
  if (!fields.whole() || !fields.at_end()) return damaged(number, "it does not have its length");
  return append;
}

void Disk::apply(const Append& append, std::size_t frame) {
  const auto written = contents_->append(append, {});
  // What is believed and torn may fit nowhere.
  if (!written && mutated(Mutation::torn_is_believed)) return;
  ASSERT(written);
  for (const auto& part : append.parts) at_[part.log][part.expected_tail.next()] = frame;
  for (const auto& blob : append.blobs) blobs_.try_emplace(blob.digest, frame);
}

void Disk::write(const Append& append) {
  frames_.push_back(encode(append));
  recover();
}

// Takes up the frames behind those that are known, as far as they are whole.
void Disk::recover() {
  for (; applied_ < frames_.size(); ++applied_) {
    const auto append = decode(frames_[applied_], applied_);
    if (!append) {
      ++coverage_["disk: a torn write is cut off"];
      frames_.resize(applied_);
      return;
    }
    apply(*append, applied_);
    on_append_(*append);
  }
}

void Disk::tear(std::span<const Append> unsynced, std::uint64_t dice) {
  Rng rng(dice);
  if (unsynced.empty() || rng.one_in(3)) return;
  std::string frame = encode(unsynced.front());
  if (rng.one_in(2)) {
    frame.resize(rng.below(frame.size()));
    ++coverage_["disk: a write is cut short"];
  } else {
    // Its sectors did not reach the disk in order.
    const std::size_t from = rng.below(frame.size());
    const std::size_t size = 1 + rng.below(frame.size() - from);
    const std::string before = frame;
    frame.replace(from, size, std::string(size, '\0'));
    if (frame == before) return;
    ++coverage_["disk: a write has a hole"];
  }
  frames_.push_back(std::move(frame));
  // What lies behind a gap is never taken up, however whole it is.
  if (unsynced.size() > 1 && rng.one_in(2)) frames_.push_back(encode(unsynced.back()));
  recover();
}

bool Disk::flip_bit(std::uint64_t dice) {
  Rng rng(dice);
  if (frames_.empty()) return false;
  if (rng.one_in(4)) {
    const auto logs = contents_->list("", LogId{}, 256);
    for (const auto& head : *logs) {
      if (head.snapshot.value == 0) continue;
      damaged_snapshot_ = head.log;
      ++coverage_["disk: a snapshot is damaged"];
      return true;
    }
  }
  Flip flip;
  flip.frame = rng.below(frames_.size());
  // Large payloads are rare, and read from the disk rarely.
  if (!blobs_.empty() && rng.one_in(3)) flip.frame = blobs_.begin()->second;
  std::string& frame = frames_[flip.frame];
  flip.byte = rng.below(frame.size());
  flip.mask = static_cast<char>(1u << rng.below(8));
  frame[flip.byte] = static_cast<char>(frame[flip.byte] ^ flip.mask);
  flips_.push_back(flip);
  ++coverage_["disk: a bit flips"];
  return true;
}

void Disk::restore() {
  for (const auto& flip : flips_) {
    char& byte = frames_[flip.frame][flip.byte];
    byte = static_cast<char>(byte ^ flip.mask);
  }
  flips_.clear();
  damaged_snapshot_.reset();
}

void Disk::lose_last() {
  if (frames_.empty()) return;
  restore();
  frames_.pop_back();
  contents_ = make_memory_log();
  at_.clear();
  blobs_.clear();
  for (applied_ = 0; applied_ < frames_.size(); ++applied_) {
    apply(decode(frames_[applied_], applied_).value(), applied_);
  }
}

void Disk::rewrite_first() {
  if (frames_.empty()) return;
  restore();
  std::string& frame = frames_.front();
  Fields fields(std::string_view(frame).substr(kHeadBytes + kSizeBytes));
  const std::string entry = read_part(fields, 0).value().append.entries.front();
  char& changed = frame[frame.find(entry) + entry.size() - 1];
  changed = static_cast<char>(changed ^ 1);
  frame.replace(kSizeBytes, kSumBytes, checksum(std::string_view(frame).substr(kHeadBytes)));
}

Result<std::vector<StoredEntry>> Disk::read(const LogId& log, Position from,
                                            const ReadLimits& limits) {
  // The memory engine knows the bounds, the frames have the bytes.
  ASSIGN_OR_RETURN(const auto page, contents_->read(log, from, limits));
  std::vector<StoredEntry> out;
  if (page.empty()) return out;
  const auto& frames = at_.at(log);
  for (auto at = std::prev(frames.upper_bound(from)); at != frames.end(); ++at) {
    auto payload = payload_of(frames_[at->second], at->second);
    if (!payload && mutated(Mutation::flip_is_believed)) {
      payload = std::string_view(frames_[at->second]).substr(kHeadBytes);
    }
    if (!payload) {
      ++coverage_["disk: a damaged record is refused"];
      return std::unexpected(payload.error());
    }
    Fields fields(*payload);
    for (auto parts = fields.number(4); parts > 0; --parts) {
      const auto part = read_part(fields, at->second);
      if (!part) return std::unexpected(part.error());
      if (part->append.log != log) continue;
      Position position = part->append.expected_tail;
      for (const auto& entry : part->append.entries) {
        position = position.next();
        if (position < from) continue;
        if (out.size() == page.size()) return out;
        out.push_back({position, entry});
      }
    }
  }
  return out;
}

Result<std::string> Disk::blob(const Digest& digest) {
  const auto found = blobs_.find(digest);
  if (found == blobs_.end()) return contents_->blob(digest);
  if (const auto payload = payload_of(frames_[found->second], found->second); !payload) {
    ++coverage_["disk: a damaged blob is refused"];
    return std::unexpected(payload.error());
  }
  return contents_->blob(digest);
}

Result<std::optional<Snapshot>> Disk::load_snapshot(const LogId& log) {
  if (damaged_snapshot_ == log) {
    ++coverage_["disk: a damaged snapshot is refused"];
    return fail(ErrorCode::corrupted, fmt::format("the snapshot of {} is damaged", log.value));
  }
  return contents_->load_snapshot(log);
}

}  // namespace gavel::simulation

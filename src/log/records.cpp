#include "log/records.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace gavel {
namespace {

constexpr std::uint8_t kRecordVersion = 1;
constexpr std::uint8_t kHeadVersion = 1;
constexpr std::uint8_t kFlagElects = 1;
constexpr std::uint8_t kFlagRaisesBarrier = 2;
constexpr std::uint8_t kFlagTrimmed = 1;
constexpr std::uint8_t kRecordFlags = kFlagElects | kFlagRaisesBarrier;

void put_be(std::string& out, std::uint64_t value, std::size_t width) {
  for (std::size_t i = width; i-- > 0;) out.push_back(static_cast<char>(value >> (8 * i)));
}

// Takes fields off the front of bytes that may end too early.
class Reader {
public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  std::uint64_t number(std::size_t width) {
    std::uint64_t value = 0;
    for (const char c : take(width)) value = value << 8 | static_cast<std::uint8_t>(c);
    return value;
  }
  std::uint8_t byte() { return static_cast<std::uint8_t>(number(1)); }
  Digest digest() {
    Digest out;
    const auto raw = take(out.bytes.size());
    std::copy(raw.begin(), raw.end(), out.bytes.begin());
    return out;
  }
  std::string_view take(std::size_t size) {
    if (rest_.size() < size) {
      short_ = true;
      rest_ = {};
      return {};
    }
    const auto out = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return out;
  }
  std::string_view rest() const { return rest_; }
  bool at_end() const { return rest_.empty(); }
  bool is_short() const { return short_; }

private:
  std::string_view rest_;
  bool short_ = false;
};

std::unexpected<Error> damaged(std::string_view what) {
  return fail(ErrorCode::corrupted, fmt::format("{} does not have its length", what));
}

std::unexpected<Error> unknown_flags(std::string_view what) {
  return fail(ErrorCode::corrupted, fmt::format("{} has flags that nobody wrote", what));
}

Status check_version(std::uint8_t version, std::uint8_t known, std::string_view what) {
  if (version == known) return {};
  if (version == 0) return fail(ErrorCode::corrupted, fmt::format("{} has no version", what));
  return fail(ErrorCode::unsupported,
              fmt::format("{} has version {}; this gavel reads up to {}: use a newer one", what,
                          version, known));
}

}  // namespace

void put_be64(std::string& out, std::uint64_t value) {
  put_be(out, value, 8);
}

std::string be64_bytes(std::uint64_t value) {
  std::string out;
  put_be64(out, value);
  return out;
}

Result<std::uint64_t> parse_be64(std::string_view bytes) {
  if (bytes.size() != 8) return damaged("a number");
  return Reader(bytes).number(8);
}

std::string entry_key(const LogId& log, Position first) {
  std::string out;
  out.reserve(log.value.size() + 9);
  out += log.value;
  out.push_back('\0');
  put_be64(out, first.value);
  return out;
}

std::string entry_key_end(const LogId& log) {
  return log.value + '\1';
}

Result<EntryKey> parse_entry_key(std::string_view key) {
  const auto zero = key.find('\0');
  if (zero == std::string_view::npos || key.size() != zero + 9) return damaged("an entry's key");
  return EntryKey{LogId{std::string(key.substr(0, zero))},
                  Position{Reader(key.substr(zero + 1)).number(8)}};
}

std::string head_key(const LogId& log) {
  return kHeadPrefix + log.value;
}

std::string commit_key(std::uint64_t commit) {
  std::string out(1, kCommitPrefix);
  put_be64(out, commit);
  return out;
}

std::string timer_key(Timestamp due, const LogId& log) {
  std::string out(1, kTimerPrefix);
  put_be64(out, static_cast<std::uint64_t>(due.ms));
  out += log.value;
  return out;
}

Result<TimerKey> parse_timer_key(std::string_view key) {
  if (key.size() < 10 || key[0] != kTimerPrefix) return damaged("a timer's key");
  return TimerKey{Timestamp{static_cast<std::int64_t>(Reader(key.substr(1)).number(8))},
                  LogId{std::string(key.substr(9))}};
}

std::string snapshot_key(char prefix, const LogId& log) {
  return prefix + log.value;
}

void encode_record(const RecordHeader& header, std::span<const std::string> entries,
                   std::string& out) {
  out.push_back(static_cast<char>(kRecordVersion));
  out.push_back(static_cast<char>((header.elects ? kFlagElects : 0) |
                                  (header.raises_barrier ? kFlagRaisesBarrier : 0)));
  out.append(reinterpret_cast<const char*>(header.id.bytes.data()), header.id.bytes.size());
  put_be64(out, header.commit);
  put_be64(out, header.epoch.value);
  out += header.previous.view();
  out += header.chain.view();
  put_be(out, entries.size(), 4);
  for (const auto& entry : entries) {
    put_be(out, entry.size(), 4);
    out += entry;
  }
}

Result<RecordView> RecordView::parse(std::string_view value) {
  Reader reader(value);
  TRY(check_version(reader.byte(), kRecordVersion, "the record"));
  RecordView view;
  RecordHeader& header = view.header_;
  const auto flags = reader.byte();
  header.elects = (flags & kFlagElects) != 0;
  header.raises_barrier = (flags & kFlagRaisesBarrier) != 0;
  const auto id = reader.take(header.id.bytes.size());
  std::copy(id.begin(), id.end(), header.id.bytes.begin());
  header.commit = reader.number(8);
  header.epoch.value = reader.number(8);
  header.previous = reader.digest();
  header.chain = reader.digest();
  header.count = static_cast<std::uint32_t>(reader.number(4));
  view.rest_ = reader.rest();
  if (reader.is_short() || header.count == 0) return damaged("the record");
  if ((flags & ~kRecordFlags) != 0) return unknown_flags("the record");
  for (std::uint32_t i = 0; i < header.count && !reader.is_short(); ++i) {
    reader.take(reader.number(4));
  }
  if (reader.is_short() || !reader.at_end()) return damaged("the record");
  return view;
}

std::optional<std::string_view> RecordView::next() {
  if (rest_.empty()) return std::nullopt;
  Reader reader(rest_);
  const auto entry = reader.take(reader.number(4));
  rest_ = reader.rest();
  return entry;
}

void encode_head(const StoredHead& head, std::string& out) {
  const bool trimmed = head.trimmed.value != 0;
  out.push_back(static_cast<char>(kHeadVersion));
  out.push_back(static_cast<char>(trimmed ? kFlagTrimmed : 0));
  put_be64(out, head.tail.value);
  put_be64(out, head.epoch.value);
  put_be64(out, head.barrier);
  out += head.chain.view();
  put_be64(out, static_cast<std::uint64_t>(head.next_due.ms));
  if (!trimmed) return;
  put_be64(out, head.trimmed.value);
  put_be64(out, head.anchor.value);
  out += head.anchor_chain.view();
}

Result<StoredHead> decode_head(std::string_view value) {
  Reader reader(value);
  TRY(check_version(reader.byte(), kHeadVersion, "the head"));
  StoredHead head;
  const auto flags = reader.byte();
  head.tail.value = reader.number(8);
  head.epoch.value = reader.number(8);
  head.barrier = reader.number(8);
  head.chain = reader.digest();
  head.next_due.ms = static_cast<std::int64_t>(reader.number(8));
  if ((flags & kFlagTrimmed) != 0) {
    head.trimmed.value = reader.number(8);
    head.anchor.value = reader.number(8);
    head.anchor_chain = reader.digest();
  }
  if (reader.is_short() || !reader.at_end()) return damaged("the head");
  // Each head has one form: the flag is there exactly where something was trimmed.
  if ((flags & ~kFlagTrimmed) != 0 || ((flags != 0) != (head.trimmed.value != 0))) {
    return unknown_flags("the head");
  }
  return head;
}

void encode_committed(const LogId& log, Position first, Position tail, std::string& out) {
  put_be(out, log.value.size(), 2);
  out += log.value;
  put_be64(out, first.value);
  put_be64(out, tail.value);
}

Result<std::vector<CommittedPart>> decode_commit(std::string_view value) {
  Reader reader(value);
  std::vector<CommittedPart> out;
  while (!reader.at_end()) {
    CommittedPart part;
    part.log.value = reader.take(reader.number(2));
    part.first.value = reader.number(8);
    part.tail.value = reader.number(8);
    if (reader.is_short()) return damaged("the commit");
    out.push_back(std::move(part));
  }
  return out;
}

}  // namespace gavel

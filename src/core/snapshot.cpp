// A session's state as bytes: docs/formats/snapshot.md. Each struct is written field by field in
// the wire form of entries, so a snapshot of an older build that lacks a field still reads, and one
// with an unknown field is refused by its version.
#include <fmt/format.h>

#include "core/fold.hpp"
#include "core/wire.hpp"

namespace gavel {
namespace {

constexpr std::uint8_t kSnapshotVersion = 1;

struct OpenRecord {
  OpenIntent intent;
  bool has_hold = false;
  Held hold;

  static auto fields(auto& v, auto& self) {
    v(1, "id", self.intent.id);
    v(2, "proposal", self.intent.proposal);
    v(3, "proposed_at", self.intent.proposed_at);
    v(4, "epoch", self.intent.epoch);
    v(5, "phase", self.intent.phase);
    v(6, "has_hold", self.has_hold);
    v(7, "hold", self.hold);
    v(8, "votes", self.intent.votes);
    v(9, "attempts", self.intent.attempts);
    v(10, "attempt_at", self.intent.attempt_at);
    v(11, "deadline", self.intent.deadline);
    v(12, "budgets", self.intent.budgets);
  }
};

struct KeyEntry {
  std::string key;
  KeyRecord record;

  static auto fields(auto& v, auto& self) {
    v(1, "key", self.key);
    v(2, "intent", self.record.intent);
    v(3, "digest", self.record.digest);
    v(4, "tool", self.record.tool);
    v(5, "closed", self.record.closed);
    v(6, "final", self.record.final);
    v(7, "answer", self.record.answer);
    v(8, "delivered", self.record.delivered);
  }
};

struct OccurrenceEntry {
  Digest call;
  std::uint64_t count = 0;

  static auto fields(auto& v, auto& self) {
    v(1, "call", self.call);
    v(2, "count", self.count);
  }
};

struct ReservationEntry {
  LogId session;
  IntentId intent;
  std::uint64_t calls = 0;
  Duration wall_clock{0};

  static auto fields(auto& v, auto& self) {
    v(1, "session", self.session);
    v(2, "intent", self.intent);
    v(3, "calls", self.calls);
    v(4, "wall_clock_ms", self.wall_clock);
  }
};

struct BudgetEntry {
  std::string name;
  std::uint64_t calls_used = 0;
  Duration wall_clock_used{0};
  std::vector<ReservationEntry> reserved;

  static auto fields(auto& v, auto& self) {
    v(1, "name", self.name);
    v(2, "calls_used", self.calls_used);
    v(3, "wall_clock_used_ms", self.wall_clock_used);
    v(4, "reserved", self.reserved);
  }
};

struct SettlingEntry {
  IntentId intent;
  IntentProposed proposal;

  static auto fields(auto& v, auto& self) {
    v(1, "intent", self.intent);
    v(2, "proposal", self.proposal);
  }
};

struct Image {
  State state;  // without its maps, which follow as lists
  std::vector<OpenRecord> open;
  std::vector<KeyEntry> keys;
  std::vector<OccurrenceEntry> occurrences;
  std::vector<BudgetEntry> budgets;
  std::vector<SettlingEntry> settling;

  static auto fields(auto& v, auto& self) {
    v(1, "session", self.state.session);
    v(2, "tail", self.state.tail);
    v(3, "epoch", self.state.epoch);
    v(4, "driver", self.state.driver);
    v(5, "agent", self.state.agent);
    v(6, "client", self.state.client);
    v(7, "opened_at", self.state.opened_at);
    v(8, "last_at", self.state.last_at);
    v(9, "fencing_token", self.state.fencing_token);
    v(10, "refused_in_epoch", self.state.refused_in_epoch);
    v(11, "intents", self.state.counters.intents);
    v(12, "committed", self.state.counters.committed);
    v(13, "aborted", self.state.counters.aborted);
    v(14, "ok", self.state.counters.ok);
    v(15, "failed", self.state.counters.failed);
    v(16, "unknown", self.state.counters.unknown);
    v(17, "replayed", self.state.counters.replayed);
    v(18, "refused", self.state.counters.refused);
    v(19, "skipped", self.state.counters.skipped);
    v(20, "open", self.open);
    v(21, "keys", self.keys);
    v(22, "occurrences", self.occurrences);
    v(23, "budgets", self.budgets);
    v(24, "settling", self.settling);
  }
};

BudgetEntry budget_entry(const std::string& name, const Budget& budget) {
  BudgetEntry entry{name, budget.calls_used, budget.wall_clock_used, {}};
  for (const auto& [who, reservation] : budget.reserved) {
    entry.reserved.push_back({who.first, who.second, reservation.calls, reservation.wall_clock});
  }
  return entry;
}

State state_of(Image image) {
  State state = std::move(image.state);
  for (auto& record : image.open) {
    if (record.has_hold) record.intent.hold = std::move(record.hold);
    const IntentId id = record.intent.id;
    state.open.emplace(id, std::move(record.intent));
  }
  for (auto& entry : image.keys) {
    state.key_of.emplace(entry.record.intent, entry.key);
    state.keys.emplace(std::move(entry.key), std::move(entry.record));
  }
  for (const auto& entry : image.occurrences) state.occurrences.emplace(entry.call, entry.count);
  for (const auto& entry : image.budgets) {
    Budget& budget = state.budgets[entry.name];
    budget.calls_used = entry.calls_used;
    budget.wall_clock_used = entry.wall_clock_used;
    for (const auto& reserved : entry.reserved) {
      budget.reserved[{reserved.session, reserved.intent}] = {reserved.calls, reserved.wall_clock};
    }
  }
  for (auto& entry : image.settling)
    state.settling.emplace(entry.intent, std::move(entry.proposal));
  return state;
}

}  // namespace

std::string encode_snapshot(const State& state) {
  Image image;
  image.state = state;
  for (const auto& [id, open] : state.open) {
    OpenRecord record{open, open.hold.has_value(), open.hold.value_or(Held{})};
    image.open.push_back(std::move(record));
  }
  for (const auto& [key, record] : state.keys) image.keys.push_back({key, record});
  for (const auto& [call, count] : state.occurrences) image.occurrences.push_back({call, count});
  for (const auto& [name, budget] : state.budgets)
    image.budgets.push_back(budget_entry(name, budget));
  for (const auto& [id, proposal] : state.settling) image.settling.push_back({id, proposal});
  return static_cast<char>(kSnapshotVersion) + wire::write_fields(image);
}

Result<State> decode_snapshot(std::string_view bytes) {
  if (bytes.empty()) return fail(ErrorCode::corrupted, "the snapshot is empty");
  const auto version = static_cast<std::uint8_t>(bytes.front());
  if (version != kSnapshotVersion) {
    return fail(ErrorCode::unsupported,
                fmt::format("the snapshot has format {}, not {}", version, kSnapshotVersion));
  }
  Image image;
  if (wire::read_fields(bytes.substr(1), image) == wire::Parsed::malformed) {
    return fail(ErrorCode::corrupted, "the snapshot is garbled");
  }
  State state = state_of(std::move(image));
  for (const auto& [id, open] : state.open) {
    // Every open intent has its key: fold relies on it.
    if (!state.keys.contains(open.proposal.key)) {
      return fail(ErrorCode::corrupted, "the snapshot lacks the key of an open intent");
    }
  }
  return state;
}

}  // namespace gavel

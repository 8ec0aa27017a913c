// A session's state as bytes: docs/formats/snapshot.md. Each struct is written field by field in
// the wire form of entries. What is read is not trusted: a snapshot that is garbled or contradicts
// itself is refused, and the log is folded instead.
#include <fmt/format.h>

#include <algorithm>

#include "core/fold.hpp"
#include "core/wire.hpp"

namespace gavel {
namespace {

constexpr std::uint8_t kSnapshotVersion = 2;

// Each element of a map, as its own struct. What is read owns its parts; what is written borrows
// them from the state (Open = const OpenIntent&), so that a large state is not copied first.
template <typename Open>
struct OpenElement {
  Open intent;
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
    v(13, "confirmed", self.intent.confirmed);
    v(14, "task", self.intent.task);
  }
};

template <typename Text, typename Record>
struct KeyElement {
  Text key;
  Record record;

  static auto fields(auto& v, auto& self) {
    v(1, "key", self.key);
    v(2, "intent", self.record.intent);
    v(3, "digest", self.record.digest);
    v(4, "tool", self.record.tool);
    v(5, "closed", self.record.closed);
    v(6, "final", self.record.final);
    v(7, "answer", self.record.answer);
    v(8, "delivered", self.record.delivered);
    v(9, "reads", self.record.reads);
  }
};

struct JoinedElement {
  std::string key;
  IntentId intent;

  static auto fields(auto& v, auto& self) {
    v(1, "key", self.key);
    v(2, "intent", self.intent);
  }
};

struct OccurrenceElement {
  Digest call;
  std::uint64_t count = 0;

  static auto fields(auto& v, auto& self) {
    v(1, "call", self.call);
    v(2, "count", self.count);
  }
};

struct ReservationElement {
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

struct BudgetElement {
  std::string name;
  std::uint64_t calls_used = 0;
  Duration wall_clock_used{0};
  std::vector<ReservationElement> reserved;

  static auto fields(auto& v, auto& self) {
    v(1, "name", self.name);
    v(2, "calls_used", self.calls_used);
    v(3, "wall_clock_used_ms", self.wall_clock_used);
    v(4, "reserved", self.reserved);
  }
};

template <typename Proposal>
struct SettlingElement {
  IntentId intent;
  Proposal proposal;

  static auto fields(auto& v, auto& self) {
    v(1, "intent", self.intent);
    v(2, "proposal", self.proposal);
  }
};

void plain_fields(auto& v, auto& state) {
  v(1, "session", state.session);
  v(2, "tail", state.tail);
  v(3, "epoch", state.epoch);
  v(4, "driver", state.driver);
  v(5, "agent", state.agent);
  v(6, "client", state.client);
  v(7, "opened_at", state.opened_at);
  v(8, "last_at", state.last_at);
  v(9, "fencing_token", state.fencing_token);
  v(10, "refused_in_epoch", state.refused_in_epoch);
  v(26, "wrote_at", state.wrote_at);
  v(11, "intents", state.counters.intents);
  v(12, "committed", state.counters.committed);
  v(13, "aborted", state.counters.aborted);
  v(14, "ok", state.counters.ok);
  v(15, "failed", state.counters.failed);
  v(16, "unknown", state.counters.unknown);
  v(17, "replayed", state.counters.replayed);
  v(18, "refused", state.counters.refused);
  v(19, "skipped", state.counters.skipped);
}

constexpr std::uint64_t kOpen = 20;
constexpr std::uint64_t kKeys = 21;
constexpr std::uint64_t kOccurrences = 22;
constexpr std::uint64_t kBudgets = 23;
constexpr std::uint64_t kSettling = 24;
constexpr std::uint64_t kJoined = 25;

// What was read, before its lists became maps.
struct Image {
  State state;
  std::vector<OpenElement<OpenIntent>> open;
  std::vector<KeyElement<std::string, KeyRecord>> keys;
  std::vector<OccurrenceElement> occurrences;
  std::vector<BudgetElement> budgets;
  std::vector<SettlingElement<IntentProposed>> settling;
  std::vector<JoinedElement> joined;

  static auto fields(auto& v, auto& self) {
    plain_fields(v, self.state);
    v(kOpen, "open", self.open);
    v(kKeys, "keys", self.keys);
    v(kOccurrences, "occurrences", self.occurrences);
    v(kBudgets, "budgets", self.budgets);
    v(kSettling, "settling", self.settling);
    v(kJoined, "joined", self.joined);
  }
};

BudgetElement budget_element(const std::string& name, const Budget& budget) {
  BudgetElement element{name, budget.calls_used, budget.wall_clock_used, {}};
  for (const auto& [who, reservation] : budget.reserved) {
    element.reserved.push_back({who.first, who.second, reservation.calls, reservation.wall_clock});
  }
  return element;
}

void take_budget(State& state, const BudgetElement& element) {
  Budget& budget = state.budgets[element.name];
  budget.calls_used = element.calls_used;
  budget.wall_clock_used = element.wall_clock_used;
  for (const auto& reserved : element.reserved) {
    budget.reserved[{reserved.session, reserved.intent}] = {reserved.calls, reserved.wall_clock};
  }
}

State state_of(Image image) {
  State state = std::move(image.state);
  for (auto& element : image.open) {
    if (element.has_hold) element.intent.hold = element.hold;
    const IntentId id = element.intent.id;
    state.open.emplace(id, std::move(element.intent));
  }
  state.keys.reserve(image.keys.size());
  state.key_of.reserve(image.keys.size());
  for (auto& element : image.keys) {
    add_key(state, std::move(element.key), std::move(element.record));
  }
  for (const auto& element : image.occurrences) {
    state.occurrences.emplace(element.call, element.count);
  }
  for (const auto& element : image.budgets) take_budget(state, element);
  for (auto& element : image.settling) {
    state.settling.emplace(element.intent, std::move(element.proposal));
  }
  for (auto& element : image.joined) {
    state.joined.emplace(std::move(element.key), element.intent);
  }
  return state;
}

// Equal states have equal snapshots, in whatever order they came to be.
template <class Map>
std::vector<const typename Map::value_type*> in_order(const Map& map) {
  std::vector<const typename Map::value_type*> elements;
  elements.reserve(map.size());
  for (const auto& element : map) elements.push_back(&element);
  std::ranges::sort(elements, {},
                    [](const auto* element) -> const auto& { return element->first; });
  return elements;
}

// Fold and decide rely on these.
bool is_sound(const State& state) {
  for (const auto& [id, open] : state.open) {
    const auto record = state.keys.find(open.proposal.key);
    if (record == state.keys.end() || record->second.intent != id || record->second.closed) {
      return false;
    }
    if (open.phase == Phase::held && !open.hold) return false;
  }
  for (const auto& [call, count] : state.occurrences) {
    if (count > kRepetitionsMax) return false;
  }
  for (const auto& [key, intent] : state.joined) {
    if (key.empty() || state.keys.contains(key) || !state.key_of.contains(intent)) return false;
  }
  for (const auto& [name, budget] : state.budgets) {
    if (budget.wall_clock_used < Duration{0}) return false;
    for (const auto& [who, reservation] : budget.reserved) {
      if (reservation.wall_clock < Duration{0}) return false;
    }
  }
  return state.key_of.size() == state.keys.size();
}

}  // namespace

std::string encode_snapshot(const State& state) {
  std::string out(1, static_cast<char>(kSnapshotVersion));
  wire::Writer writer(out);
  plain_fields(writer, state);
  for (const auto& [id, open] : state.open) {
    writer(kOpen, "open",
           OpenElement<const OpenIntent&>{open, open.hold.has_value(), open.hold.value_or(Held{})});
  }
  for (const auto* element : in_order(state.keys)) {
    writer(kKeys, "keys",
           KeyElement<const std::string&, const KeyRecord&>{element->first, element->second});
  }
  for (const auto* element : in_order(state.occurrences)) {
    writer(kOccurrences, "occurrences", OccurrenceElement{element->first, element->second});
  }
  for (const auto& [name, budget] : state.budgets) {
    writer(kBudgets, "budgets", budget_element(name, budget));
  }
  for (const auto& [id, proposal] : state.settling) {
    writer(kSettling, "settling", SettlingElement<const IntentProposed&>{id, proposal});
  }
  for (const auto* element : in_order(state.joined)) {
    writer(kJoined, "joined", JoinedElement{element->first, element->second});
  }
  return out;
}

Result<State> decode_snapshot(std::string_view bytes) {
  if (bytes.empty()) return fail(ErrorCode::corrupted, "the snapshot is empty");
  const auto version = static_cast<std::uint8_t>(bytes.front());
  if (version != kSnapshotVersion) {
    return fail(ErrorCode::unsupported,
                fmt::format("the snapshot has format {}, not {}", version, kSnapshotVersion));
  }
  Image image;
  if (wire::read_fields(bytes.substr(1), image) != wire::Parsed::ok) {
    return fail(ErrorCode::corrupted, "the snapshot is garbled");
  }
  State state = state_of(std::move(image));
  if (!is_sound(state)) return fail(ErrorCode::corrupted, "the snapshot contradicts itself");
  return state;
}

}  // namespace gavel

#include "core/fold.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "core/rights.hpp"

namespace gavel {
namespace {

// Tokens grow by one; a leap to the end of the numbers would leave none for later attempts.
constexpr std::uint64_t kFencingStepMax = std::uint64_t{1} << 32;

// One overload per kind: true where the entry makes sense, and only then does the state change.
class Folder {
public:
  Folder(State& state, const Entry& entry) : state_(state), entry_(entry) {}

  bool operator()(const SessionOpened& opened) {
    if (state_.opened_at.ms != 0 || entry_.position.value != 1) return false;
    state_.agent = opened.agent;
    state_.client = opened.client;
    state_.opened_at = entry_.at;
    return true;
  }

  bool operator()(const EpochElected& elected) {
    if (elected.epoch != state_.epoch.next() || entry_.epoch != elected.epoch) return false;
    state_.epoch = elected.epoch;
    state_.driver = elected.driver;
    state_.occurrences.clear();
    state_.wrote_at = {};
    state_.refused_in_epoch = 0;
    return true;
  }

  bool operator()(const IntentProposed& proposal) {
    if (state_.epoch.value == 0 || entry_.epoch != state_.epoch) return false;
    if (entry_.author != proposal.requester) return false;
    if (proposal.key.empty() || state_.record_of(proposal.key) != nullptr) return false;
    const bool derived = proposal.key_source == KeySource::derived;
    // Logs from before these were counted have none.
    const bool numbered = proposal.key_source == KeySource::call_id && proposal.occurrence > 0;
    if ((derived || numbered) &&
        !count_occurrence(proposal.tool, proposal.digest, proposal.occurrence)) {
      return false;
    }
    OpenIntent open;
    open.id = entry_.position;
    open.proposal = proposal;
    open.proposed_at = entry_.at;
    open.epoch = entry_.epoch;
    KeyRecord record;
    record.intent = open.id;
    record.digest = proposal.digest;
    record.tool = proposal.tool;
    record.reads = proposal.effect == Effect::read;
    add_key(state_, proposal.key, std::move(record));
    if (numbered) name_repetition(proposal.tool, proposal.digest, proposal.occurrence, open.id);
    state_.open.emplace(open.id, std::move(open));
    ++state_.counters.intents;
    return true;
  }

  bool operator()(const Vote& vote) {
    OpenIntent* open = undecided(vote.intent);
    if (open == nullptr || entry_.author != vote.voter) return false;
    const IntentProposed& proposal = open->proposal;
    if (vote.digest != proposal.digest || vote.effect != proposal.effect ||
        vote.policy_version != proposal.policy_version) {
      return false;
    }
    if (is_person()) {
      // Nobody confirms their own request, and nobody speaks as the policy.
      const bool allows = vote.verdict == Verdict::allow;
      if (vote.voter == kPolicyVoter || (allows && vote.voter == proposal.requester)) return false;
      if (open->phase != Phase::held) return false;
      open->confirmed |= allows;
    }
    open->votes.push_back(vote);
    return true;
  }

  bool operator()(const Held& held) {
    OpenIntent* open = undecided(held.intent);
    if (open == nullptr || open->phase != Phase::proposed) return false;
    open->phase = Phase::held;
    open->hold = held;
    return true;
  }

  bool operator()(const Decision& decision) {
    OpenIntent* open = undecided(decision.intent);
    if (open == nullptr) return false;
    if (decision.ruling == Ruling::abort) {
      ++state_.counters.aborted;
      close(*open, Final::aborted);
      return true;
    }
    open->phase = Phase::committed;
    open->budgets = decision.budgets;
    ++state_.counters.committed;
    return true;
  }

  bool operator()(const Attempt& attempt) {
    OpenIntent* open = find(attempt.intent);
    if (open == nullptr || (open->phase != Phase::committed && open->phase != Phase::unknown))
      return false;
    // What may have happened is never tried again blindly.
    const bool repeatable = open->proposal.idempotent || open->proposal.effect == Effect::read;
    if (open->phase == Phase::unknown && !repeatable) return false;
    if (attempt.number != open->attempts + 1) return false;
    if (attempt.fencing_token <= state_.fencing_token ||
        attempt.fencing_token - state_.fencing_token > kFencingStepMax) {
      return false;
    }
    open->phase = Phase::in_flight;
    open->attempts = attempt.number;
    open->attempt_at = entry_.at;
    open->deadline = attempt.deadline;
    open->task = {};
    state_.fencing_token = attempt.fencing_token;
    note_write(open->proposal);
    return true;
  }

  bool operator()(const TaskStarted& started) {
    OpenIntent* open = find(started.intent);
    if (open == nullptr || open->phase != Phase::in_flight || open->proposal.elsewhere)
      return false;
    if (started.attempt != open->attempts || started.task.empty()) return false;
    if (!open->task.task.empty()) return false;
    open->task = started;
    return true;
  }

  bool operator()(const Outcome& outcome) {
    OpenIntent* open = find(outcome.intent);
    if (open == nullptr || outcome.attempt != open->attempts) return false;
    // Leave to act elsewhere that nobody took: nothing was done.
    const bool untaken = open->phase == Phase::committed && open->proposal.elsewhere &&
                         outcome.kind == OutcomeKind::failed &&
                         outcome.source == OutcomeSource::recovery;
    if (open->phase != Phase::in_flight && open->phase != Phase::unknown && !untaken) return false;
    if (is_person() != (outcome.source == OutcomeSource::person)) return false;
    if (is_person() && (entry_.author != outcome.resolver || open->phase != Phase::unknown ||
                        outcome.kind == OutcomeKind::unknown)) {
      return false;
    }
    if (outcome.kind == OutcomeKind::unknown) {
      if (open->phase == Phase::unknown) return false;
      open->phase = Phase::unknown;
      ++state_.counters.unknown;
      return true;
    }
    note_write(open->proposal);
    const bool ok = outcome.kind == OutcomeKind::ok;
    const bool is_abandoned_read =
        outcome.kind == OutcomeKind::failed && open->proposal.effect == Effect::read &&
        (outcome.code == to_string(ErrorCode::cancelled) ||
         (outcome.source == OutcomeSource::recovery && !outcome.code.empty()));
    ++(ok ? state_.counters.ok : state_.counters.failed);
    if (ok && open->proposal.has_probe && open->proposal.effect != Effect::read &&
        outcome.source == OutcomeSource::call) {
      state_.settling.emplace(open->id, open->proposal);
    }
    KeyRecord& record = close(*open, ok ? Final::ok : Final::failed);
    // A read that nobody waited for any more, or whose process ended: nobody is owed that failure,
    // the same call is a new one.
    if (is_abandoned_read) finish(state_, record);
    return true;
  }

  bool operator()(const Delivered& delivered) {
    KeyRecord* record = record_of(delivered.intent);
    if (record == nullptr || !record->closed || record->delivered) return false;
    finish(state_, *record);
    return true;
  }

  bool operator()(const Replayed& replayed) {
    KeyRecord* record = record_of(replayed.intent);
    if (record == nullptr || state_.record_of(replayed.key) != nullptr) return false;
    if (replayed.occurrence > 0 &&
        !count_occurrence(record->tool, record->digest, replayed.occurrence)) {
      return false;
    }
    if (!replayed.key.empty()) state_.joined.emplace(replayed.key, replayed.intent);
    if (replayed.occurrence > 0) {
      name_repetition(record->tool, record->digest, replayed.occurrence, replayed.intent);
    }
    if (replayed.owed && record->closed) owe(state_, *record);
    if (record->closed && !record->reads) {
      state_.wrote_at = std::max(state_.wrote_at, record->answer);
    }
    ++state_.counters.replayed;
    return true;
  }

  bool operator()(const Probed& probed) {
    const OpenIntent* open = find(probed.intent);
    if (open != nullptr) return open->phase == Phase::unknown;
    const auto settling = state_.settling.find(probed.intent);
    if (settling == state_.settling.end()) return false;
    if (probed.verdict == ProbeVerdict::happened) state_.settling.erase(settling);
    return true;
  }

  bool operator()(const Refused&) {
    ++state_.refused_in_epoch;
    ++state_.counters.refused;
    return true;
  }

  bool operator()(const Prompted&) {
    return state_.epoch.value != 0 && entry_.epoch == state_.epoch;
  }

  bool operator()(const BudgetReserved& reserved) { return fold_budget(state_.budgets, reserved); }
  bool operator()(const BudgetSettled& settled) { return fold_budget(state_.budgets, settled); }

  bool operator()(const HaltRaised&) { return false; }
  bool operator()(const HaltLifted&) { return false; }
  bool operator()(const PolicyActivated&) { return false; }
  bool operator()(const ToolPinned&) { return false; }
  bool operator()(const ToolRefused&) { return false; }
  bool operator()(const UnknownEntry&) { return false; }

  static bool fold_budget(std::map<std::string, Budget>& budgets, const BudgetReserved& reserved) {
    if (reserved.budget.empty() || reserved.wall_clock < Duration{0}) return false;
    const auto [place, fresh] = budgets[reserved.budget].reserved.try_emplace(
        {reserved.session, reserved.intent},
        Budget::Reservation{reserved.calls, reserved.wall_clock});
    return fresh;
  }
  static bool fold_budget(std::map<std::string, Budget>& budgets, const BudgetSettled& settled) {
    const auto budget = budgets.find(settled.budget);
    if (budget == budgets.end() || settled.wall_clock < Duration{0}) return false;
    const auto reservation = budget->second.reserved.find({settled.session, settled.intent});
    if (reservation == budget->second.reserved.end()) return false;
    Budget& used = budget->second;
    used.calls_used = saturating_sum(used.calls_used, settled.calls);
    used.wall_clock_used = saturating_sum(used.wall_clock_used, settled.wall_clock);
    budget->second.reserved.erase(reservation);
    return true;
  }

private:
  bool is_person() const { return entry_.role == Role::approver || entry_.role == Role::admin; }
  OpenIntent* find(IntentId id) {
    const auto found = state_.open.find(id);
    return found == state_.open.end() ? nullptr : &found->second;
  }
  KeyRecord* record_of(IntentId id) {
    const auto key = state_.key_of.find(id);
    return key == state_.key_of.end() ? nullptr : &state_.keys.at(key->second);
  }
  OpenIntent* undecided(IntentId id) {
    OpenIntent* open = find(id);
    const bool waits =
        open != nullptr && (open->phase == Phase::proposed || open->phase == Phase::held);
    return waits ? open : nullptr;
  }
  // The call was made as this repetition; false where decide could not have counted so far.
  bool count_occurrence(std::string_view tool, const Digest& arguments, std::uint64_t occurrence) {
    const Digest call = call_digest(tool, arguments);
    const auto counted = state_.occurrences.find(call);
    const std::uint64_t seen = counted == state_.occurrences.end() ? 0 : counted->second;
    if (occurrence == 0 || occurrence > kRepetitionsMax) return false;
    if (occurrence > seen + 1 + kFailedRunsMax && !is_made(tool, arguments, occurrence - 1)) {
      return false;
    }
    state_.occurrences[call] = std::max(seen, occurrence);
    return true;
  }
  void note_write(const IntentProposed& proposal) {
    if (proposal.effect != Effect::read) state_.wrote_at = entry_.position;
  }
  bool is_made(std::string_view tool, const Digest& arguments, std::uint64_t occurrence) const {
    return state_.record_of(derived_key(tool, arguments, occurrence)) != nullptr ||
           state_.record_of(repetition_key(tool, arguments, occurrence)) != nullptr;
  }
  // A later driver finds it as this repetition.
  void name_repetition(std::string_view tool, const Digest& arguments, std::uint64_t occurrence,
                       IntentId intent) {
    if (is_made(tool, arguments, occurrence)) return;
    state_.joined.emplace(repetition_key(tool, arguments, occurrence), intent);
  }
  KeyRecord& close(const OpenIntent& open, Final final) {
    KeyRecord& record = state_.keys.at(open.proposal.key);
    record.closed = true;
    record.final = final;
    record.answer = entry_.position;
    state_.open.erase(open.id);
    return record;
  }

  State& state_;
  const Entry& entry_;
};

bool fold_pin(ControlState& state, const Entry& entry, const ToolPinned& pinned) {
  const bool by_person = entry.role != Role::decider;
  const auto known = state.pins.find(pinned.tool);
  if (pinned.tool.empty() || pinned.digest.is_zero()) return false;
  if (known == state.pins.end() && state.pins.size() >= kPinsMax) return false;
  // First sight is one: what somebody accepted or refused is for people to change.
  if (known != state.pins.end() && !by_person) return false;
  state.pins[pinned.tool] =
      ToolPin{pinned.digest, entry.position, entry.author, by_person, entry.at, {}, {}};
  return true;
}

bool fold_refusal(ControlState& state, const Entry& entry, const ToolRefused& refused) {
  if (refused.tool.empty() || refused.digest.is_zero()) return false;
  if (!state.pins.contains(refused.tool) && state.pins.size() >= kPinsMax) return false;
  ToolPin& pin = state.pins[refused.tool];
  if (pin.digest == refused.digest) pin = {};
  pin.refused = refused.digest;
  pin.refused_by = entry.author;
  return true;
}

}  // namespace

Folded fold(State& state, const Entry& entry) {
  ASSERT(entry.position == state.tail.next());
  state.tail = entry.position;
  state.last_at = std::max(state.last_at, entry.at);
  if (may_append(entry.role, kind_of(entry.body)) && std::visit(Folder(state, entry), entry.body)) {
    return Folded::applied;
  }
  ++state.counters.skipped;
  return Folded::skipped;
}

Folded fold(ControlState& state, const Entry& entry) {
  ASSERT(entry.position == state.tail.next());
  state.tail = entry.position;
  // The engine counts barriers by the flag of the append, whatever a fold thinks of the entry.
  if (raises_barrier(entry.body)) ++state.barrier;
  bool applied = may_append(entry.role, kind_of(entry.body));
  if (applied) {
    if (const auto* halt = std::get_if<HaltRaised>(&entry.body)) {
      state.halt = Halt{halt->mode, entry.author, halt->reason, entry.at, entry.position};
    } else if (std::holds_alternative<HaltLifted>(entry.body)) {
      applied = state.halt.has_value();
      state.halt.reset();
    } else if (const auto* policy = std::get_if<PolicyActivated>(&entry.body)) {
      state.policy_version = policy->version;
      state.policy_position = entry.position;
    } else if (const auto* reserved = std::get_if<BudgetReserved>(&entry.body)) {
      applied = Folder::fold_budget(state.budgets, *reserved);
    } else if (const auto* settled = std::get_if<BudgetSettled>(&entry.body)) {
      applied = Folder::fold_budget(state.budgets, *settled);
    } else if (const auto* pinned = std::get_if<ToolPinned>(&entry.body)) {
      applied = fold_pin(state, entry, *pinned);
    } else if (const auto* refused = std::get_if<ToolRefused>(&entry.body)) {
      applied = fold_refusal(state, entry, *refused);
    } else {
      applied = false;
    }
  }
  if (applied) return Folded::applied;
  ++state.skipped;
  return Folded::skipped;
}

bool raises_barrier(const Body& body) {
  return std::holds_alternative<HaltRaised>(body) || std::holds_alternative<HaltLifted>(body) ||
         std::holds_alternative<PolicyActivated>(body);
}

}  // namespace gavel

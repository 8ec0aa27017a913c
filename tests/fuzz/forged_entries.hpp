#pragma once
// Entries as a forger would write them: of any kind, about intents that there are, with numbers and
// times at the ends of their ranges.

#include <iterator>
#include <string>

#include "bytes.hpp"
#include "core/state.hpp"

namespace gavel::fuzz {

inline Principal some_principal(Bytes& bytes) {
  constexpr std::string_view kNames[] = {"agent", "operator", "second", "policy", "gavel", ""};
  return Principal{std::string(kNames[bytes.pick(std::size(kNames))])};
}

inline IntentId some_intent(Bytes& bytes, const State& state) {
  const auto choice = bytes.byte();
  if (choice < 16 || state.open.empty()) return IntentId{choice};
  auto chosen = state.open.begin();
  std::advance(chosen, choice % state.open.size());
  return chosen->first;
}

// Within what entries may carry, or just beyond.
inline Duration some_span(Bytes& bytes) {
  switch (bytes.pick(8)) {
    case 0:
      return Duration{kTimeMaxMs};
    case 1:
      return Duration{-static_cast<std::int64_t>(bytes.pick(256))};
    case 2:
      return Duration{0};
    case 3:
      return Duration{-kTimeMaxMs};
    case 4:
      return Duration{INT64_MAX};
    default:
      return Duration{static_cast<std::int64_t>(bytes.pick(256)) * 100};
  }
}
inline Timestamp some_time(Bytes& bytes) {
  return Timestamp{some_span(bytes).count()};
}

inline IntentProposed forged_intent(Bytes& bytes, const State& state) {
  IntentProposed intent;
  intent.tool = bytes.pick(2) == 0 ? "t__a" : "t__b";
  intent.digest = sha256(bytes.pick(2) == 0 ? "{}" : R"({"n":1})");
  intent.effect = static_cast<Effect>(bytes.pick(4));
  intent.idempotent = bytes.pick(2) == 0;
  intent.requester = some_principal(bytes);
  intent.policy_version = bytes.pick(4) == 0 ? "v2" : "v1";
  intent.timeout = some_span(bytes);
  intent.attempts_max = bytes.extreme();
  intent.has_probe = bytes.pick(2) == 0;
  intent.elsewhere = bytes.pick(4) == 0;
  intent.key_source = static_cast<KeySource>(bytes.pick(3));
  intent.occurrence = bytes.extreme();
  const auto key = bytes.pick(8);
  // A key that looks derived, that of a round, or one of its own.
  intent.key = key == 0   ? "auto:t__a:44136fa355b3678a:" + std::to_string(bytes.pick(16))
               : key == 1 ? "k1+44136fa355b3678a"
               : key == 2 ? std::string(bytes.text())
                          : "forged" + std::to_string(state.tail.value);
  return intent;
}

inline Vote forged_vote(Bytes& bytes, const State& state, IntentId id) {
  Vote vote;
  vote.intent = id;
  vote.voter = some_principal(bytes);
  vote.verdict = static_cast<Verdict>(bytes.pick(4));
  if (const auto open = state.open.find(id); open != state.open.end()) {
    vote.digest = open->second.proposal.digest;
    vote.effect = open->second.proposal.effect;
    vote.policy_version = open->second.proposal.policy_version;
  }
  if (bytes.pick(8) == 0) vote.digest = sha256("other");
  return vote;
}

inline Attempt forged_attempt(Bytes& bytes, const State& state, IntentId id) {
  Attempt attempt{id, bytes.extreme(), some_time(bytes), bytes.extreme()};
  if (const auto open = state.open.find(id); open != state.open.end() && bytes.pick(4) > 0) {
    attempt.number = open->second.attempts + 1;
    attempt.fencing_token = state.fencing_token + 1 + bytes.extreme();
  }
  return attempt;
}

inline Outcome forged_outcome(Bytes& bytes, const State& state, IntentId id) {
  Outcome outcome;
  outcome.intent = id;
  outcome.kind = static_cast<OutcomeKind>(bytes.pick(3));
  outcome.source = static_cast<OutcomeSource>(bytes.pick(4));
  outcome.attempt = bytes.extreme();
  outcome.took = some_span(bytes);
  outcome.resolver = some_principal(bytes);
  if (bytes.pick(2) == 0) outcome.code = "cancelled";
  if (const auto open = state.open.find(id); open != state.open.end() && bytes.pick(4) > 0) {
    outcome.attempt = open->second.attempts;
  }
  return outcome;
}

inline Decision forged_decision(Bytes& bytes, IntentId id) {
  Decision decision;
  decision.intent = id;
  decision.ruling = static_cast<Ruling>(bytes.pick(2));
  if (bytes.pick(2) == 0) decision.budgets.push_back({LogId{}, "b"});
  if (bytes.pick(2) == 0) decision.budgets.push_back({LogId{"control/budget/b"}, "b"});
  if (bytes.pick(4) == 0) decision.budgets.push_back({LogId{}, std::string(bytes.text())});
  return decision;
}

inline Body forged_body(Bytes& bytes, const State& state) {
  const IntentId id = some_intent(bytes, state);
  const auto budget = bytes.pick(2) == 0 ? "b" : "c";
  const LogId session{bytes.pick(4) == 0 ? "other" : "s"};
  // Also one that is not there yet.
  const IntentId ahead{bytes.pick(4) == 0 ? state.tail.value + bytes.pick(8) : id.value};
  switch (bytes.pick(22)) {
    case 0:
      return SessionOpened{some_principal(bytes), "forged"};
    case 1:
      return EpochElected{bytes.pick(2) == 0 ? state.epoch.next() : Epoch{bytes.extreme()},
                          some_principal(bytes), ""};
    case 2:
    case 3:
      return forged_intent(bytes, state);
    case 4:
      return forged_vote(bytes, state, id);
    case 5:
      return Held{id, static_cast<HoldReason>(bytes.pick(3)), some_time(bytes), some_time(bytes)};
    case 6:
      return forged_decision(bytes, id);
    case 7:
      return forged_attempt(bytes, state, id);
    case 8:
      return forged_outcome(bytes, state, id);
    case 9:
      return Delivered{id};
    case 10:
      return Replayed{id, bytes.extreme(), bytes.pick(2) == 0 ? "" : std::string(bytes.text())};
    case 11:
      return Probed{id, static_cast<ProbeVerdict>(bytes.pick(3)), "", {}};
    case 12:
      return Refused{some_principal(bytes), Epoch{bytes.extreme()}, "", "", ""};
    case 13:
      return HaltRaised{static_cast<HaltMode>(bytes.pick(2)), ""};
    case 14:
      return HaltLifted{""};
    case 15:
      return BudgetReserved{budget, session, ahead, bytes.extreme(), some_span(bytes)};
    case 16:
      return BudgetSettled{budget, session, ahead, bytes.extreme(), some_span(bytes)};
    case 17:
      return ToolPinned{std::string(bytes.text()), sha256("1"), {}};
    case 18:
      return ToolRefused{bytes.pick(2) == 0 ? "a" : "b", sha256("2"), ""};
    case 19:
      return TaskStarted{id, bytes.pick(4), std::string(bytes.text()), "2026-07-28",
                         some_span(bytes)};
    case 20:
      return Prompted{Payload::of("\"go on\"")};
    default:
      return UnknownEntry{static_cast<std::uint16_t>(bytes.number(2)), std::string(bytes.text()),
                          bytes.byte()};
  }
}

}  // namespace gavel::fuzz

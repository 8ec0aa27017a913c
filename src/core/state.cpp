#include "core/state.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace gavel {

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::proposed:
      return "proposed";
    case Phase::held:
      return "held";
    case Phase::committed:
      return "committed";
    case Phase::in_flight:
      return "in_flight";
    case Phase::unknown:
      return "unknown";
  }
  return "unknown";
}

std::string_view to_string(Final final) {
  switch (final) {
    case Final::ok:
      return "ok";
    case Final::failed:
      return "failed";
    case Final::aborted:
      return "aborted";
  }
  return "failed";
}

std::uint64_t Budget::calls_reserved() const {
  std::uint64_t sum = 0;
  for (const auto& [who, reservation] : reserved) sum = saturating_sum(sum, reservation.calls);
  return sum;
}

Duration Budget::wall_clock_reserved() const {
  Duration sum{0};
  for (const auto& [who, reservation] : reserved) {
    sum = saturating_sum(sum, reservation.wall_clock);
  }
  return sum;
}

std::uint64_t saturating_sum(std::uint64_t a, std::uint64_t b) {
  return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

Duration saturating_sum(Duration a, Duration b) {
  constexpr Duration kMost{kTimeMaxMs};
  return a > kMost - std::min(b, kMost) ? kMost : a + b;
}

std::string derived_key(std::string_view tool, const Digest& arguments, std::uint64_t occurrence) {
  return fmt::format("auto:{}:{}:{}", tool, arguments.hex().substr(0, 16), occurrence);
}

std::string repetition_key(std::string_view tool, const Digest& arguments,
                           std::uint64_t occurrence) {
  return fmt::format("nth:{}:{}:{}", tool, arguments.hex().substr(0, 16), occurrence);
}

void add_key(State& state, std::string key, KeyRecord record) {
  if (key.contains(kRoundMark)) state.rounds.insert(key);
  state.key_of.emplace(record.intent, key);
  if (!record.closed || !record.delivered) {
    state.unfinished[call_digest(record.tool, record.digest)].insert(record.intent);
  }
  state.keys.emplace(std::move(key), std::move(record));
}

const KeyRecord* State::record_of(const std::string& key) const {
  const auto own = keys.find(key);
  if (own != keys.end()) return &own->second;
  const auto further = joined.find(key);
  return further == joined.end() ? nullptr : &keys.at(key_of.at(further->second));
}

void finish(State& state, KeyRecord& record) {
  record.delivered = true;
  const auto found = state.unfinished.find(call_digest(record.tool, record.digest));
  if (found == state.unfinished.end()) return;
  found->second.erase(record.intent);
  if (found->second.empty()) state.unfinished.erase(found);
}

void owe(State& state, KeyRecord& record) {
  record.delivered = false;
  state.unfinished[call_digest(record.tool, record.digest)].insert(record.intent);
}

bool is_confirmed(const OpenIntent& intent) {
  return intent.confirmed;
}

bool must_settle_first(const State& state, Effect effect) {
  return effect != Effect::read && !state.settling.empty();
}

Digest call_digest(std::string_view tool, const Digest& arguments) {
  return sha256({tool, std::string_view("\0", 1), arguments.view()});
}

std::optional<Timestamp> next_due(const State& state) {
  constexpr Duration kLookAgain{24 * 3'600'000};
  std::optional<Timestamp> due;
  const auto consider = [&](Timestamp at) { due = due ? std::min(*due, at) : at; };
  for (const auto& [id, intent] : state.open) {
    switch (intent.phase) {
      case Phase::proposed:
        break;
      case Phase::held:
        if (!intent.hold) break;
        consider(intent.hold->expires_at);
        if (intent.hold->reason == HoldReason::two_step && is_confirmed(intent) &&
            !must_settle_first(state, intent.proposal.effect)) {
          consider(intent.hold->not_before);
        }
        break;
      case Phase::committed:
        consider(intent.proposal.elsewhere && intent.hold ? intent.hold->expires_at
                                                          : intent.proposed_at);
        break;
      case Phase::in_flight:
        consider(intent.task.task.empty() ? intent.deadline : intent.deadline + kLookAgain);
        break;
      case Phase::unknown:
        consider(intent.deadline + kLookAgain);
        break;
    }
  }
  // A write that has not settled must be probed again after a restart.
  if (!due && !state.settling.empty()) consider(state.last_at);
  return due;
}

}  // namespace gavel

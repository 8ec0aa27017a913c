#include "core/key_match.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>

namespace gavel {
namespace {

constexpr std::string_view kNumbered = "call:";

// A derived key holds 64 bits of the digest, and a client may give a key that looks derived.
bool is_same_call(const KeyRecord& record, const Propose& command) {
  return record.tool == command.tool && record.digest == command.digest;
}

// How often the call was made in this epoch.
std::uint64_t occurrences_of(const State& state, std::string_view tool, const Digest& digest) {
  const auto counted = state.occurrences.find(call_digest(tool, digest));
  return counted == state.occurrences.end() ? 0 : counted->second;
}

// The call that was made as this repetition, in this epoch or an earlier one, whether its key was
// derived or its program numbered it; null where there is none.
const KeyRecord* repetition(const State& state, std::string_view tool, const Digest& digest,
                            std::uint64_t occurrence) {
  const auto* record = state.record_of(derived_key(tool, digest, occurrence));
  return record != nullptr ? record : state.record_of(repetition_key(tool, digest, occurrence));
}
const KeyRecord* repetition(const State& state, const Propose& command, std::uint64_t occurrence) {
  return repetition(state, command.tool, command.digest, occurrence);
}

// What became of the rounds that followed a call which asked for input.
struct Rounds {
  bool unfinished = false;  // one is open, or its answer never arrived
  bool worked = false;
};
Rounds rounds_of(const State& state, const KeyRecord& call) {
  Rounds rounds;
  const std::string prefix = state.key_of.at(call.intent) + kRoundMark;
  for (auto round = state.rounds.lower_bound(prefix);
       round != state.rounds.end() && round->starts_with(prefix); ++round) {
    const KeyRecord& record = state.keys.at(*round);
    rounds.unfinished |= !record.closed || !record.delivered;
    rounds.worked |= record.closed && record.final == Final::ok;
  }
  return rounds;
}

// A program numbers its calls, and a model that calls again gets a new number: it repeats the same
// call that is not finished, or whose answer never arrived, as a call without a key does. So does a
// call without a number: another program may have gone on with the session. Null where there is
// none.
const KeyRecord* unfinished_call(const State& state, const Propose& command) {
  const auto found = state.unfinished.find(call_digest(command.tool, command.digest));
  if (found == state.unfinished.end()) return nullptr;
  for (const IntentId intent : found->second | std::views::reverse) {
    const auto open = state.open.find(intent);
    if (command.elsewhere || (open != state.open.end() && open->second.proposal.elsewhere)) {
      continue;  // what programs do by themselves, each numbers once
    }
    const std::string& key = state.key_of.at(intent);
    // Those without a number are found by how often the call was made, and a client's own keys
    // are actions of their own.
    if (command.key.empty() && !key.starts_with(kNumbered)) continue;
    return &state.keys.at(key);
  }
  return nullptr;
}

// Whether the call is a read, and what this record read may have been changed since.
bool is_out_of_date(const State& state, const Propose& command, const KeyRecord& record) {
  return command.assessment.effect == Effect::read && record.intent < state.wrote_at;
}

// The first repetition from `from` on that was not made, or not before the latest write. They
// follow each other, and may be many.
std::uint64_t first_up_to_date(const State& state, const Propose& command, std::uint64_t from) {
  const auto is_old = [&](std::uint64_t n) {
    const KeyRecord* record = n > kRepetitionsMax ? nullptr : repetition(state, command, n);
    return record != nullptr && is_out_of_date(state, command, *record);
  };
  std::uint64_t old = from - 1;
  std::uint64_t step = 1;
  for (; is_old(old + step); step *= 2) old += step;
  for (; step > 1; old += is_old(old + step) ? step : 0) step /= 2;
  return old + 1;
}

// A call without a key, or with a number that is new, repeats the last one where that is not
// finished or its answer never arrived, or where an earlier driver already got this far; otherwise
// it is a new call. What failed in an earlier epoch is tried anew, and what was read before the
// latest write is read anew.
Result<KeyMatch> match_counted(const State& state, const Propose& command) {
  const auto match = [&](std::uint64_t occurrence, const KeyRecord* record) {
    const bool derives = command.key.empty();
    return KeyMatch{derives ? derived_key(command.tool, command.digest, occurrence) : command.key,
                    occurrence, record};
  };
  const std::uint64_t seen = occurrences_of(state, command);
  if (seen > 0) {
    const KeyRecord* last = repetition(state, command, seen);
    if (last != nullptr && is_same_call(*last, command) && !is_out_of_date(state, command, *last) &&
        (!last->closed || !last->delivered || rounds_of(state, *last).unfinished)) {
      return match(seen, last);
    }
  }
  const std::uint64_t first = first_up_to_date(state, command, seen + 1);
  for (auto n = first; n <= std::min(first + kFailedRunsMax, kRepetitionsMax); ++n) {
    const KeyRecord* earlier = repetition(state, command, n);
    if (earlier == nullptr) {
      const KeyRecord* unfinished = unfinished_call(state, command);
      if (unfinished != nullptr && is_out_of_date(state, command, *unfinished)) {
        unfinished = nullptr;
      }
      return match(n, unfinished);
    }
    const Rounds rounds = rounds_of(state, *earlier);
    const bool did_not_work = earlier->closed && earlier->delivered &&
                              earlier->final != Final::ok && !rounds.unfinished && !rounds.worked;
    if (is_same_call(*earlier, command) && !did_not_work &&
        !is_out_of_date(state, command, *earlier)) {
      return match(n, earlier);
    }
  }
  return fail(ErrorCode::too_large,
              fmt::format("{} was tried {} times with these arguments and did not work; give the "
                          "call an idempotency key of its own to try once more",
                          command.tool, kFailedRunsMax));
}

// Which repetition a call is in this epoch whose number an earlier driver gave it; 0 where it was
// made in this epoch before.
std::uint64_t repetition_of(const State& state, const Propose& command, const KeyRecord& call) {
  const std::uint64_t seen = occurrences_of(state, command);
  for (std::uint64_t n = 1; n <= std::min(seen + 1 + kFailedRunsMax, kRepetitionsMax); ++n) {
    const KeyRecord* found = repetition(state, command, n);
    if (found == nullptr) break;
    if (found->intent == call.intent) return n > seen ? n : 0;
  }
  return 0;
}

std::string round_name(std::string_view call, const Propose& round) {
  return fmt::format("{}{}{}", call, kRoundMark, round.digest.hex().substr(0, 16));
}

// The call that a round without a key belongs to: the last one that had this very round, else the
// last one that asked, and so did not end well.
const KeyRecord* asking_call(const State& state, const Propose& command) {
  const Digest& digest = *command.round_of;
  const KeyRecord* asking = nullptr;
  for (auto n = occurrences_of(state, command.tool, digest); n > 0; --n) {
    const KeyRecord* call = repetition(state, command.tool, digest, n);
    const bool ended_well = call == nullptr || !call->closed || call->final == Final::ok;
    if (ended_well || call->tool != command.tool || call->digest != digest) continue;
    if (state.keys.contains(round_name(state.key_of.at(call->intent), command))) return call;
    if (asking == nullptr) asking = call;
  }
  return asking;
}

// A round's key is that of the call it belongs to and what the round brought: the same answers are
// the same action, other answers another one. A call that was answered from the log, under another
// number perhaps, has the rounds of the one that asked.
std::string round_key(const State& state, const Propose& command) {
  const bool derives = command.key.empty();
  const KeyRecord* call = derives ? asking_call(state, command) : state.record_of(command.key);
  std::string key = command.key;
  if (call != nullptr) {
    key = state.key_of.at(call->intent);
  } else if (derives) {
    const auto seen = occurrences_of(state, command.tool, *command.round_of);
    key = derived_key(command.tool, *command.round_of, std::max<std::uint64_t>(seen, 1));
  }
  return round_name(key, command);
}

}  // namespace

std::uint64_t occurrences_of(const State& state, const Propose& command) {
  return occurrences_of(state, command.tool, command.digest);
}

std::string numbered_key(std::string_view number) {
  std::string key(kNumbered);
  for (const char c : number) {
    if (c == kRoundMark) {
      key += "%2B";
    } else {
      key += c;
    }
  }
  return key;
}

Result<KeyMatch> match_key(const State& state, const Propose& command) {
  if (command.key.empty() && !command.round_of) return match_counted(state, command);
  const std::string key = command.round_of ? round_key(state, command) : command.key;
  const KeyRecord* earlier = state.record_of(key);
  // What programs do by themselves, each numbers once.
  const bool counts =
      command.key_source == KeySource::call_id && !command.round_of && !command.elsewhere;
  if (earlier == nullptr) {
    return counts ? match_counted(state, command) : KeyMatch{key, 0, nullptr};
  }
  if (!is_same_call(*earlier, command)) {
    return fail(
        ErrorCode::key_reused,
        fmt::format(
            "the idempotency key \"{}\" was used for {} with other arguments (#{}); use a new key "
            "for a new action",
            key, earlier->tool, earlier->intent.value));
  }
  const std::uint64_t occurrence = counts ? repetition_of(state, command, *earlier) : 0;
  return KeyMatch{key, occurrence, earlier};
}

}  // namespace gavel

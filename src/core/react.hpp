#pragma once
// react: what the runtime must do because an entry became part of the log. Data, not deeds: the
// runtime performs the actions, in order, once the entry is durable (a read's: at once).

#include <variant>
#include <vector>

#include "core/state.hpp"

namespace gavel {

// Run the attempt that this entry recorded.
struct Dispatch {
  IntentId intent;
  std::uint64_t attempt = 1;
  std::uint64_t fencing_token = 0;
  Timestamp deadline;
  bool operator==(const Dispatch&) const = default;
};
// The client acts itself and took its leave: tell it to.
struct Permit {
  IntentId intent;
  bool operator==(const Permit&) const = default;
};
// The client may act itself as soon as it takes the leave to: whoever waits for it takes it now.
struct Offer {
  IntentId intent;
  bool operator==(const Offer&) const = default;
};
// Tell everybody who waits for the intent: its final answer is in the log at `answer`.
struct Answer {
  IntentId intent;
  Position answer;
  bool operator==(const Answer&) const = default;
};
// Ask people: the intent is held.
struct Notify {
  IntentId intent;
  HoldReason reason = HoldReason::ask;
  bool operator==(const Notify&) const = default;
};
// Run the tool's probe: to resolve an unknown outcome, or to see a write settle.
struct RunProbe {
  IntentId intent;
  bool operator==(const RunProbe&) const = default;
};
// The outcome is unknown and the tool declares itself idempotent: try again with the same key.
struct Retry {
  IntentId intent;
  bool operator==(const Retry&) const = default;
};
// A write settled or an intent closed: held intents of the session may be due.
struct Recheck {
  bool operator==(const Recheck&) const = default;
};

using Action = std::variant<Dispatch, Permit, Offer, Answer, Notify, RunProbe, Retry, Recheck>;

// `state` is the state after the entry was folded, and fold applied it; of one that it skipped, a
// void decision say, nothing follows.
std::vector<Action> react(const State& state, const Entry& entry);

}  // namespace gavel

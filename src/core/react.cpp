#include "core/react.hpp"

#include <utility>

namespace gavel {
namespace {

// Whether this entry closed its intent: a void decision or outcome tells nobody anything.
bool is_answer(const State& state, IntentId intent, const Entry& entry) {
  const auto key = state.key_of.find(intent);
  return key != state.key_of.end() && state.keys.at(key->second).answer == entry.position;
}

const OpenIntent* open_in(const State& state, IntentId intent, Phase phase) {
  const auto open = state.open.find(intent);
  return open != state.open.end() && open->second.phase == phase ? &open->second : nullptr;
}

class Reactor {
public:
  Reactor(const State& state, const Entry& entry) : state_(state), entry_(entry) {}
  std::vector<Action> take() { return std::move(actions_); }

  void operator()(const Attempt& attempt) {
    const OpenIntent* open = open_in(state_, attempt.intent, Phase::in_flight);
    if (open == nullptr || open->attempts != attempt.number ||
        state_.fencing_token != attempt.fencing_token) {
      return;
    }
    if (open->proposal.elsewhere) {
      add(Permit{attempt.intent});
    } else {
      add(Dispatch{attempt.intent, attempt.number, attempt.fencing_token, attempt.deadline});
    }
  }

  void operator()(const Outcome& outcome) {
    if (is_answer(state_, outcome.intent, entry_)) {
      add(Answer{outcome.intent, entry_.position});
      if (state_.settling.contains(outcome.intent)) add(RunProbe{outcome.intent});
      add(Recheck{});
    } else if (const OpenIntent* open = open_in(state_, outcome.intent, Phase::unknown)) {
      if (open->proposal.idempotent && open->attempts < open->proposal.attempts_max) {
        add(Retry{outcome.intent});
      } else if (open->proposal.has_probe) {
        add(RunProbe{outcome.intent});
      } else {
        leave_to_people(outcome.intent);
      }
    }
  }

  void operator()(const Decision& decision) {
    const OpenIntent* released = open_in(state_, decision.intent, Phase::committed);
    if (released != nullptr && released->proposal.elsewhere) add(Offer{decision.intent});
    if (!is_answer(state_, decision.intent, entry_)) return;
    add(Answer{decision.intent, entry_.position});
    add(Recheck{});
  }

  void operator()(const Held& held) {
    const OpenIntent* open = open_in(state_, held.intent, Phase::held);
    if (open != nullptr && open->hold == held) add(Notify{held.intent, held.reason});
  }

  void operator()(const Probed& probed) {
    if (probed.verdict == ProbeVerdict::unclear &&
        open_in(state_, probed.intent, Phase::unknown) != nullptr) {
      leave_to_people(probed.intent);
    } else if (probed.verdict == ProbeVerdict::happened) {
      add(Recheck{});
    }
  }

  void operator()(const auto&) {}

private:
  void add(Action action) { actions_.push_back(action); }
  // Only a person can tell what happened; the caller is told that nobody knows yet.
  void leave_to_people(IntentId intent) {
    add(Notify{intent, HoldReason::ask});
    add(Answer{intent, entry_.position});
  }

  const State& state_;
  const Entry& entry_;
  std::vector<Action> actions_;
};

}  // namespace

std::vector<Action> react(const State& state, const Entry& entry) {
  Reactor reactor(state, entry);
  std::visit(reactor, entry.body);
  return reactor.take();
}

}  // namespace gavel

#include "core/react.hpp"

namespace gavel {
namespace {

void react_to(const State& state, const Entry& entry, const Outcome& outcome,
              std::vector<Action>& actions) {
  if (outcome.kind != OutcomeKind::unknown) {
    actions.push_back(Answer{outcome.intent, entry.position});
    if (state.settling.contains(outcome.intent)) actions.push_back(RunProbe{outcome.intent});
    actions.push_back(Recheck{});
    return;
  }
  const OpenIntent& open = state.open.at(outcome.intent);
  if (open.proposal.idempotent && open.attempts < open.proposal.attempts_max) {
    actions.push_back(Retry{outcome.intent});
  } else if (open.proposal.has_probe) {
    actions.push_back(RunProbe{outcome.intent});
  } else {
    // Only a person can tell: people are asked, and the caller is told that it is unknown.
    actions.push_back(Notify{outcome.intent, HoldReason::ask});
    actions.push_back(Answer{outcome.intent, entry.position});
  }
}

}  // namespace

std::vector<Action> react(const State& state, const Entry& entry) {
  std::vector<Action> actions;
  if (const auto* attempt = std::get_if<Attempt>(&entry.body)) {
    actions.push_back(
        Dispatch{attempt->intent, attempt->number, attempt->fencing_token, attempt->deadline});
  } else if (const auto* outcome = std::get_if<Outcome>(&entry.body)) {
    react_to(state, entry, *outcome, actions);
  } else if (const auto* decision = std::get_if<Decision>(&entry.body)) {
    if (decision->ruling == Ruling::abort) {
      actions.push_back(Answer{decision->intent, entry.position});
      actions.push_back(Recheck{});
    }
  } else if (const auto* held = std::get_if<Held>(&entry.body)) {
    actions.push_back(Notify{held->intent, held->reason});
  } else if (const auto* probed = std::get_if<Probed>(&entry.body)) {
    if (probed->verdict == ProbeVerdict::happened) {
      actions.push_back(Recheck{});
    } else if (probed->verdict == ProbeVerdict::unclear && state.open.contains(probed->intent)) {
      actions.push_back(Notify{probed->intent, HoldReason::ask});
      actions.push_back(Answer{probed->intent, entry.position});
    }
  }
  return actions;
}

}  // namespace gavel

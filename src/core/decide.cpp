#include "core/decide.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>
#include <set>

#include "core/control_budget.hpp"
#include "core/key_match.hpp"
#include "core/plan.hpp"

namespace gavel {
namespace {

constexpr std::string_view kDecider = "gavel";

Error not_open(const State& state, IntentId intent) {
  const auto key = state.key_of.find(intent);
  if (key == state.key_of.end()) {
    return {ErrorCode::not_found,
            fmt::format("{} has no intent #{}", state.session.value, intent.value)};
  }
  return {ErrorCode::conflict,
          fmt::format("{}#{} is finished: {}", state.session.value, intent.value,
                      to_string(state.keys.at(key->second).final))};
}

Result<const OpenIntent*> find_open(const State& state, IntentId intent) {
  const auto open = state.open.find(intent);
  if (open == state.open.end()) return std::unexpected(not_open(state, intent));
  return &open->second;
}

Proposed repeat_of(const State& state, const Propose& command, const KeyMatch& match) {
  Proposed proposed;
  proposed.intent = match.record->intent;
  proposed.disposition = match.record->closed ? Disposition::replay : Disposition::attach;
  proposed.joins = state.record_of(match.key) == nullptr;
  if (proposed.joins || match.record->closed || match.occurrence > occurrences_of(state, command)) {
    PlanBuilder plan(state, command.now);
    plan.add(Role::decider, kDecider,
             Replayed{match.record->intent, match.occurrence, proposed.joins ? match.key : "",
                      (match.occurrence > 0 || command.round_of) && match.record->closed});
    proposed.plan = plan.take();
  }
  return proposed;
}

IntentProposed proposal_of(const Propose& command, const KeyMatch& match) {
  IntentProposed proposal;
  proposal.tool = command.tool;
  proposal.toolset = command.toolset;
  proposal.arguments = command.arguments;
  proposal.digest = command.digest;
  proposal.effect = command.assessment.effect;
  proposal.idempotent = command.assessment.idempotent;
  proposal.key = match.key;
  const bool named = command.key_source != KeySource::derived;
  // Only a call is counted, not its rounds: they hang on what the client brought.
  const bool counted = command.key.empty() && !command.round_of;
  proposal.key_source = counted ? KeySource::derived
                        : named ? command.key_source
                                : KeySource::client;
  proposal.requester = command.requester;
  proposal.call_id = command.call_id;
  proposal.policy_version = command.assessment.policy_version;
  proposal.timeout = bounded(command.assessment.timeout);
  proposal.attempts_max = command.assessment.attempts_max;
  proposal.has_probe = command.assessment.has_probe;
  proposal.occurrence = match.occurrence;
  proposal.elsewhere = command.elsewhere;
  if (command.elsewhere) {
    // Nobody but the client can try it again or look whether it happened.
    proposal.idempotent = false;
    proposal.attempts_max = 1;
    proposal.has_probe = false;
  }
  return proposal;
}

void add_attempt(PlanBuilder& plan, const State& state, IntentId intent, std::uint64_t number,
                 Duration timeout, Timestamp now) {
  Attempt attempt;
  attempt.intent = intent;
  attempt.number = number;
  attempt.deadline = now + bounded(timeout);
  attempt.fencing_token = state.fencing_token + 1;
  plan.add(Role::executor, kDecider, attempt);
}

// Whether the session's own log holds a reservation of this budget for the intent. A log that
// somebody else wrote into may hold more or fewer than its decisions say; what fold would skip must
// not be said.
bool has_reserved(const State& state, const std::string& budget, IntentId intent) {
  const auto found = state.budgets.find(budget);
  return found != state.budgets.end() && found->second.reserved.contains({state.session, intent});
}

// Commits the intent after reserving its budgets. Its first attempt is the caller's to add.
void commit(PlanBuilder& plan, const State& state, const ControlView& control, IntentId intent,
            const IntentProposed& proposal, const std::vector<BudgetClaim>& claims,
            std::string_view rule) {
  Decision decision;
  decision.intent = intent;
  decision.ruling = Ruling::commit;
  decision.rule = rule;
  for (const ControlState* scope : control.scopes) {
    decision.control.push_back({scope->log, scope->barrier});
  }
  for (const auto& claim : claims) {
    // Two limits on one budget take from it once.
    const BudgetRef budget{claim.log, claim.budget};
    if (std::find(decision.budgets.begin(), decision.budgets.end(), budget) !=
        decision.budgets.end()) {
      continue;
    }
    const BudgetReserved reserved{claim.budget, state.session, intent, 1,
                                  bounded(proposal.timeout)};
    if (claim.log.empty()) {
      if (!has_reserved(state, claim.budget, intent)) plan.add(Role::decider, kDecider, reserved);
    } else {
      plan.add_control(claim.log, Role::decider, kDecider, reserved);
    }
    decision.budgets.push_back(budget);
  }
  plan.guard(decision.control);
  plan.add(Role::decider, kDecider, std::move(decision));
}

Decision abort(IntentId intent, ErrorCode code, std::string reason, std::string rule = {}) {
  Decision decision;
  decision.intent = intent;
  decision.ruling = Ruling::abort;
  decision.code = to_string(code);
  decision.reason = std::move(reason);
  decision.rule = std::move(rule);
  return decision;
}

Held hold(IntentId intent, HoldReason reason, const Assessment& assessment, Timestamp now) {
  Held held;
  held.intent = intent;
  held.reason = reason;
  const Duration delay = reason == HoldReason::two_step ? bounded(assessment.delay) : Duration{0};
  held.not_before = now + delay;
  // The delay must leave time to confirm.
  held.expires_at = now + std::max(bounded(assessment.hold_for), delay * 2);
  return held;
}

// Gives back what the intent's reservations did not spend.
void settle(PlanBuilder& plan, const State& state, const OpenIntent& open, Timestamp now) {
  std::set<std::string> settled_here;
  for (const auto& reserved : open.budgets) {
    if (reserved.log.empty() && (!has_reserved(state, reserved.budget, open.id) ||
                                 !settled_here.insert(reserved.budget).second)) {
      continue;
    }
    BudgetSettled settled;
    settled.budget = reserved.budget;
    settled.session = state.session;
    settled.intent = open.id;
    if (open.attempts > 0) {
      settled.calls = 1;
      settled.wall_clock =
          std::clamp(now - open.attempt_at, Duration{0}, bounded(open.proposal.timeout));
    }
    if (reserved.log.empty()) {
      plan.add(Role::executor, kDecider, settled);
    } else {
      plan.add_control(reserved.log, Role::executor, kDecider, settled);
    }
  }
}

Status check_rooms(const State& state, const ControlView& control,
                   const std::vector<BudgetClaim>& claims, Duration wall_clock) {
  for (const auto& claim : claims) TRY(check_room(state, control, claim, wall_clock));
  return {};
}

// Commits a held intent, if halts and the budgets that cover its call now let it.
Status release(PlanBuilder& plan, const State& state, const ControlView& control,
               const OpenIntent& open, Timestamp now) {
  TRY(check_halts(control, open.proposal.effect));
  TRY(check_rooms(state, control, control.claims, open.proposal.timeout));
  commit(plan, state, control, open.id, open.proposal, control.claims, "");
  // Whoever asked to act elsewhere may be gone: its attempt is the leave that it takes.
  if (!open.proposal.elsewhere) add_attempt(plan, state, open.id, 1, open.proposal.timeout, now);
  return {};
}

bool is_due(const State& state, const OpenIntent& open, Timestamp now) {
  if (open.proposal.elsewhere && open.phase == Phase::in_flight) return open.deadline <= now;
  if (open.proposal.elsewhere && open.phase == Phase::committed && open.hold) {
    return open.hold->expires_at <= now;
  }
  if (open.phase != Phase::held || !open.hold) return false;
  const Held& held = *open.hold;
  if (held.expires_at <= now) return true;
  if (must_settle_first(state, open.proposal.effect)) return false;
  return held.reason == HoldReason::settling || (is_confirmed(open) && held.not_before <= now);
}

Status check_epoch(const State& state, Epoch epoch) {
  if (epoch < state.epoch) {
    return fail(
        ErrorCode::stale_epoch,
        fmt::format(
            "session {} is driven by epoch {} ({}) now; this driver is of epoch {} and may do "
            "nothing more. Stop, or wake the session to take it over: gavel wake {}",
            state.session.value, state.epoch.value, state.driver.value, epoch.value,
            state.session.value));
  }
  if (epoch > state.epoch) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("session {} is at epoch {}; epoch {} was never elected",
                            state.session.value, state.epoch.value, epoch.value));
  }
  if (state.epoch.value == 0) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("nobody drives session {} yet; wake it first: gavel wake {}",
                            state.session.value, state.session.value));
  }
  return {};
}

}  // namespace

Result<Plan> decide(const State& state, const Open& command) {
  if (state.tail.value != 0) {
    return fail(ErrorCode::already_exists, fmt::format("session {} exists", state.session.value));
  }
  PlanBuilder plan(state, command.now);
  plan.add(Role::driver, command.agent.value, SessionOpened{command.agent, command.client});
  return plan.take();
}

Result<Plan> decide(const State& state, const Elect& command) {
  if (state.tail.value == 0) {
    return fail(ErrorCode::not_found, fmt::format("no session {}", state.session.value));
  }
  PlanBuilder plan(state, command.now);
  plan.epoch(state.epoch.next());
  plan.add(Role::driver, command.driver.value,
           EpochElected{state.epoch.next(), command.driver, command.reason});
  return plan.take();
}

Result<Plan> decide(const State& state, const TellPrompt& command) {
  TRY(check_epoch(state, command.epoch));
  PlanBuilder plan(state, command.now);
  plan.add(Role::driver, command.teller.value, Prompted{command.text});
  return plan.take();
}

Result<Proposed> decide(const State& state, const ControlView& control, const Propose& command) {
  TRY(check_epoch(state, command.epoch));
  ASSIGN_OR_RETURN(const KeyMatch match, match_key(state, command));
  if (match.record != nullptr) return repeat_of(state, command, match);

  const Assessment& assessment = command.assessment;
  PlanBuilder plan(state, command.now);
  const IntentProposed proposal = proposal_of(command, match);
  Proposed proposed;
  proposed.intent = plan.add(Role::driver, command.requester.value, proposal);
  Vote vote;
  vote.intent = proposed.intent;
  vote.voter = kPolicyVoter;
  vote.verdict = assessment.verdict;
  vote.rule = assessment.rule;
  vote.reason = assessment.reason;
  vote.digest = proposal.digest;
  vote.effect = proposal.effect;
  vote.policy_version = proposal.policy_version;
  vote.provenance = assessment.provenance;
  plan.add(Role::voter, kPolicyVoter.value, std::move(vote));

  const auto refuse_with = [&](const Error& error) {
    plan.add(Role::decider, kDecider,
             abort(proposed.intent, error.code, error.message,
                   error.code == ErrorCode::denied ? assessment.rule : ""));
    proposed.disposition = Disposition::aborted;
  };
  const auto halted = check_halts(control, assessment.effect);
  if (assessment.verdict == Verdict::deny) {
    refuse_with({ErrorCode::denied, assessment.reason});
  } else if (!halted) {
    refuse_with(halted.error());
  } else if (const auto room = check_rooms(state, control, assessment.budgets, proposal.timeout);
             !room) {
    refuse_with(room.error());
  } else if (assessment.verdict != Verdict::allow || must_settle_first(state, assessment.effect)) {
    const HoldReason reason = assessment.verdict == Verdict::ask        ? HoldReason::ask
                              : assessment.verdict == Verdict::two_step ? HoldReason::two_step
                                                                        : HoldReason::settling;
    plan.add(Role::decider, kDecider, hold(proposed.intent, reason, assessment, command.now));
    proposed.disposition = Disposition::held;
  } else {
    commit(plan, state, control, proposed.intent, proposal, assessment.budgets, assessment.rule);
    add_attempt(plan, state, proposed.intent, 1, proposal.timeout, command.now);
    proposed.disposition = Disposition::dispatch;
  }
  proposed.plan = plan.take();
  return proposed;
}

namespace {

// The held intent that the vote may be cast on.
Result<const OpenIntent*> votable(const State& state, const CastVote& command) {
  if (command.role != Role::approver && command.role != Role::admin) {
    return fail(ErrorCode::permission_denied, "voting on held intents takes the role approver");
  }
  if (command.verdict != Verdict::allow && command.verdict != Verdict::deny) {
    return fail(ErrorCode::invalid_argument, "a vote is allow or deny");
  }
  ASSIGN_OR_RETURN(const OpenIntent* open, find_open(state, command.intent));
  const std::string name = fmt::format("{}#{}", state.session.value, command.intent.value);
  if (open->phase != Phase::held || !open->hold || open->hold->reason == HoldReason::settling) {
    return fail(ErrorCode::conflict,
                fmt::format("{} does not wait for a vote; it is {}", name, to_string(open->phase)));
  }
  if (open->hold->expires_at <= command.now) {
    return fail(ErrorCode::conflict,
                fmt::format("the time to vote on {} is over; it has to be asked for again", name));
  }
  if (command.digest != open->proposal.digest) {
    return fail(
        ErrorCode::conflict,
        fmt::format(
            "{} has other arguments than the ones you were shown; look again: gavel show {}", name,
            name));
  }
  if (command.voter == kPolicyVoter) {
    return fail(ErrorCode::permission_denied,
                fmt::format("the name {} is the policy's; people vote under their own",
                            kPolicyVoter.value));
  }
  if (command.verdict == Verdict::allow && command.voter == open->proposal.requester) {
    return fail(ErrorCode::permission_denied,
                fmt::format("{} asked for {} and cannot approve it; somebody else must",
                            command.voter.value, name));
  }
  return open;
}

bool has_allowed(const OpenIntent& open, const Principal& voter) {
  return std::any_of(open.votes.begin(), open.votes.end(), [&](const Vote& vote) {
    return vote.verdict == Verdict::allow && vote.voter == voter;
  });
}

}  // namespace

Result<Plan> decide(const State& state, const ControlView& control, const CastVote& command) {
  ASSIGN_OR_RETURN(const OpenIntent* open, votable(state, command));
  PlanBuilder plan(state, command.now);
  Vote vote;
  vote.intent = command.intent;
  vote.voter = command.voter;
  vote.verdict = command.verdict;
  vote.reason = command.reason;
  vote.digest = open->proposal.digest;
  vote.effect = open->proposal.effect;
  vote.policy_version = open->proposal.policy_version;
  plan.add(command.role, command.voter.value, std::move(vote));
  if (command.verdict == Verdict::deny) {
    plan.add(Role::decider, kDecider,
             abort(command.intent, ErrorCode::denied,
                   fmt::format("{} denied it{}{}", command.voter.value,
                               command.reason.empty() ? "" : ": ", command.reason)));
    return plan.take();
  }
  const bool waits =
      command.now < open->hold->not_before || must_settle_first(state, open->proposal.effect);
  if (!waits) {
    TRY(release(plan, state, control, *open, command.now));
  } else if (has_allowed(*open, command.voter)) {
    return fail(ErrorCode::conflict,
                fmt::format("{} approved {}#{} already; it goes on when its wait is over",
                            command.voter.value, state.session.value, command.intent.value));
  }
  return plan.take();
}

Result<Plan> decide(const State& state, const Withdraw& command) {
  ASSIGN_OR_RETURN(const OpenIntent* open, find_open(state, command.intent));
  if (command.requester != open->proposal.requester) {
    return fail(ErrorCode::permission_denied,
                fmt::format("only {} may take it back", open->proposal.requester.value));
  }
  if (open->phase != Phase::held) {
    return fail(ErrorCode::conflict, fmt::format("{}#{} is not held; it is {}", state.session.value,
                                                 command.intent.value, to_string(open->phase)));
  }
  PlanBuilder plan(state, command.now);
  plan.add(Role::decider, kDecider,
           abort(command.intent, ErrorCode::cancelled,
                 fmt::format("{} took it back", command.requester.value)));
  return plan.take();
}

Result<Plan> decide(const State& state, const RecordTask& command) {
  ASSIGN_OR_RETURN(const OpenIntent* open, find_open(state, command.intent));
  if (open->phase != Phase::in_flight || !open->task.task.empty()) {
    return fail(ErrorCode::conflict, fmt::format("{}#{} has no attempt that could become a task",
                                                 state.session.value, command.intent.value));
  }
  PlanBuilder plan(state, command.now);
  plan.add(Role::executor, kDecider,
           TaskStarted{command.intent, open->attempts, command.task, command.revision,
                       bounded(command.poll)});
  return plan.take();
}

Result<Plan> decide(const State& state, const RecordOutcome& command) {
  ASSIGN_OR_RETURN(const OpenIntent* open, find_open(state, command.intent));
  if (open->phase != Phase::in_flight && open->phase != Phase::unknown) {
    return fail(ErrorCode::conflict,
                fmt::format("{}#{} has no attempt whose outcome could be recorded",
                            state.session.value, command.intent.value));
  }
  if (command.source == OutcomeSource::person) {
    return fail(ErrorCode::invalid_argument, "what a person says resolves an unknown outcome");
  }
  PlanBuilder plan(state, command.now);
  if (command.kind == OutcomeKind::unknown && open->phase == Phase::unknown) return plan.take();
  Outcome outcome;
  outcome.intent = command.intent;
  outcome.attempt = open->attempts;
  outcome.kind = command.kind;
  outcome.source = command.source;
  outcome.result = command.result;
  outcome.reason = command.reason;
  if (command.code) outcome.code = to_string(*command.code);
  outcome.took = std::max(Duration{0}, command.now - open->attempt_at);
  plan.add(Role::executor, kDecider, std::move(outcome));
  if (command.kind != OutcomeKind::unknown) settle(plan, state, *open, command.now);
  return plan.take();
}

Result<Plan> decide(const State& state, const RecordProbe& command) {
  PlanBuilder plan(state, command.now);
  Probed probed;
  probed.intent = command.intent;
  probed.verdict = command.verdict;
  probed.reason = command.reason;
  probed.evidence = command.evidence;
  if (state.settling.contains(command.intent)) {
    plan.add(Role::executor, kDecider, std::move(probed));
    return plan.take();
  }
  ASSIGN_OR_RETURN(const OpenIntent* open, find_open(state, command.intent));
  if (open->phase != Phase::unknown) {
    return fail(ErrorCode::conflict, fmt::format("the outcome of {}#{} is not unknown",
                                                 state.session.value, command.intent.value));
  }
  plan.add(Role::executor, kDecider, std::move(probed));
  if (command.verdict == ProbeVerdict::unclear) return plan.take();
  Outcome outcome;
  outcome.intent = command.intent;
  outcome.attempt = open->attempts;
  outcome.kind = command.verdict == ProbeVerdict::happened ? OutcomeKind::ok : OutcomeKind::failed;
  outcome.source = OutcomeSource::probe;
  outcome.result = command.evidence;
  outcome.reason = command.reason;
  outcome.took = std::max(Duration{0}, command.now - open->attempt_at);
  plan.add(Role::executor, kDecider, std::move(outcome));
  settle(plan, state, *open, command.now);
  return plan.take();
}

Result<Plan> decide(const State& state, const Resolve& command) {
  ASSIGN_OR_RETURN(const OpenIntent* open, find_open(state, command.intent));
  if (open->phase != Phase::unknown) {
    return fail(ErrorCode::conflict,
                fmt::format("the outcome of {}#{} is not unknown; it is {}", state.session.value,
                            command.intent.value, to_string(open->phase)));
  }
  if (command.kind == OutcomeKind::unknown) {
    return fail(ErrorCode::invalid_argument, "an outcome is resolved as ok or failed");
  }
  PlanBuilder plan(state, command.now);
  Outcome outcome;
  outcome.intent = command.intent;
  outcome.attempt = open->attempts;
  outcome.kind = command.kind;
  outcome.source = OutcomeSource::person;
  outcome.reason =
      command.reason.empty() ? fmt::format("{} says so", command.resolver.value) : command.reason;
  outcome.resolver = command.resolver;
  outcome.took = std::max(Duration{0}, command.now - open->attempt_at);
  plan.add(Role::approver, command.resolver.value, std::move(outcome));
  settle(plan, state, *open, command.now);
  return plan.take();
}

std::vector<IntentId> due_intents(const State& state, Timestamp now) {
  std::vector<IntentId> due;
  for (const auto& [id, open] : state.open) {
    if (is_due(state, open, now)) due.push_back(id);
  }
  return due;
}

Result<Plan> decide_due(const State& state, const ControlView& control, IntentId intent,
                        Timestamp now) {
  PlanBuilder plan(state, now);
  const auto found = state.open.find(intent);
  if (found == state.open.end() || !is_due(state, found->second, now)) return plan.take();
  const OpenIntent& open = found->second;
  if (open.phase == Phase::in_flight) return decide_lost(state, intent, now);
  if (open.phase == Phase::committed) {
    Outcome outcome;
    outcome.intent = intent;
    outcome.kind = OutcomeKind::failed;
    outcome.attempt = 0;
    outcome.source = OutcomeSource::recovery;
    outcome.reason = "it was released, but nobody took the leave to act in time";
    plan.add(Role::executor, kDecider, std::move(outcome));
    settle(plan, state, open, now);
    return plan.take();
  }
  if (open.hold->expires_at <= now) {
    plan.add(Role::decider, kDecider,
             abort(intent, ErrorCode::timeout,
                   fmt::format("nobody released it in time (held as {})",
                               to_string(open.hold->reason))));
  } else {
    TRY(release(plan, state, control, open, now));
  }
  return plan.take();
}

Result<Plan> decide_lost(const State& state, IntentId intent, Timestamp now) {
  ASSIGN_OR_RETURN(const OpenIntent* open, find_open(state, intent));
  const bool elsewhere = open->proposal.elsewhere;
  if (open->phase == Phase::committed) {
    // Without an attempt on record nothing can have been dispatched.
    PlanBuilder plan(state, now);
    if (elsewhere) return plan.take();
    add_attempt(plan, state, intent, open->attempts + 1, open->proposal.timeout, now);
    return plan.take();
  }
  RecordOutcome outcome;
  outcome.intent = intent;
  outcome.source = OutcomeSource::recovery;
  outcome.code = elsewhere ? ErrorCode::timeout : ErrorCode::unavailable;
  outcome.now = now;
  if (open->proposal.effect == Effect::read) {
    outcome.kind = OutcomeKind::failed;
    outcome.reason = elsewhere ? "the client never said what came of it; ask again"
                               : "the process that ran it ended; ask again";
  } else {
    outcome.kind = OutcomeKind::unknown;
    outcome.reason = elsewhere ? "the client never said what came of it"
                               : "the process that ran it ended before its outcome was recorded";
  }
  return decide(state, outcome);
}

Result<Plan> decide_retry(const State& state, const ControlView& control, IntentId intent,
                          Timestamp now) {
  ASSIGN_OR_RETURN(const OpenIntent* open, find_open(state, intent));
  const IntentProposed& proposal = open->proposal;
  const bool repeatable = proposal.idempotent || proposal.effect == Effect::read;
  if (open->phase != Phase::unknown || !repeatable || open->attempts >= proposal.attempts_max) {
    return fail(ErrorCode::conflict,
                fmt::format("{}#{} may not be tried again: {}", state.session.value, intent.value,
                            !repeatable                     ? "its tool is not idempotent"
                            : open->phase != Phase::unknown ? "its outcome is not unknown"
                                                            : "its attempts are used up"));
  }
  TRY(check_halts(control, proposal.effect));
  PlanBuilder plan(state, now);
  std::vector<ControlPosition> guards;
  for (const ControlState* scope : control.scopes) guards.push_back({scope->log, scope->barrier});
  plan.guard(guards);
  add_attempt(plan, state, intent, open->attempts + 1, proposal.timeout, now);
  return plan.take();
}

Result<Plan> decide_take(const State& state, const ControlView& control, IntentId intent,
                         Timestamp now) {
  ASSIGN_OR_RETURN(const OpenIntent* open, find_open(state, intent));
  if (!open->proposal.elsewhere || open->phase != Phase::committed) {
    return fail(ErrorCode::conflict,
                fmt::format("{}#{} has no leave to take; it is {}", state.session.value,
                            intent.value, to_string(open->phase)));
  }
  TRY(check_halts(control, open->proposal.effect));
  PlanBuilder plan(state, now);
  std::vector<ControlPosition> guards;
  for (const ControlState* scope : control.scopes) guards.push_back({scope->log, scope->barrier});
  plan.guard(guards);
  add_attempt(plan, state, intent, 1, open->proposal.timeout, now);
  return plan.take();
}

Plan mark_delivered(const State& state, IntentId intent, Timestamp now) {
  PlanBuilder plan(state, now);
  const auto key = state.key_of.find(intent);
  if (key == state.key_of.end()) return plan.take();
  const KeyRecord& record = state.keys.at(key->second);
  if (record.closed && !record.delivered) plan.add(Role::executor, kDecider, Delivered{intent});
  return plan.take();
}

Plan refuse(const State& state, const Refusal& refusal) {
  PlanBuilder plan(state, refusal.now);
  if (state.tail.value == 0 || state.refused_in_epoch >= kRefusalsPerEpoch) return plan.take();
  Refused refused;
  refused.who = refusal.who;
  refused.claimed_epoch = refusal.claimed_epoch;
  refused.what = refusal.what;
  refused.code = to_string(refusal.error.code);
  refused.reason = refusal.error.message;
  plan.add(Role::decider, kDecider, std::move(refused));
  return plan.take();
}

}  // namespace gavel

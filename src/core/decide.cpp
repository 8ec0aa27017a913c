#include "core/decide.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/control_budget.hpp"
#include "core/plan.hpp"

namespace gavel {
namespace {

constexpr std::string_view kDecider = "gavel";
constexpr std::uint64_t kOccurrencesMax = 1u << 20;

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

// What the key of a proposal leads to.
struct KeyMatch {
  std::string key;
  std::uint64_t occurrence = 0;       // of a derived key
  const KeyRecord* record = nullptr;  // of an earlier call with this key, to attach to or replay
};

std::string derived_key(const Propose& command, std::uint64_t occurrence) {
  return fmt::format("auto:{}:{}:{}", command.tool, command.digest.hex().substr(0, 16), occurrence);
}

// A call without a key repeats the last one where that is not finished or its answer never arrived,
// or where an earlier driver already got this far; otherwise it is a new call. What failed in an
// earlier epoch is tried anew.
KeyMatch match_derived(const State& state, const Propose& command) {
  const auto counted = state.occurrences.find(call_digest(command.tool, command.digest));
  const std::uint64_t seen = counted == state.occurrences.end() ? 0 : counted->second;
  const auto record_of = [&](std::uint64_t occurrence) -> const KeyRecord* {
    const auto found = state.keys.find(derived_key(command, occurrence));
    return found == state.keys.end() ? nullptr : &found->second;
  };
  if (seen > 0) {
    const KeyRecord* last = record_of(seen);
    if (last != nullptr && (!last->closed || !last->delivered)) {
      return {derived_key(command, seen), seen, last};
    }
  }
  for (std::uint64_t next = seen + 1; next < kOccurrencesMax; ++next) {
    const KeyRecord* earlier = record_of(next);
    if (earlier == nullptr) return {derived_key(command, next), next, nullptr};
    const bool done_with = earlier->closed && earlier->delivered && earlier->final != Final::ok;
    if (!done_with) return {derived_key(command, next), next, earlier};
  }
  return {derived_key(command, kOccurrencesMax), kOccurrencesMax, nullptr};
}

Result<KeyMatch> match_key(const State& state, const Propose& command) {
  if (command.key.empty()) return match_derived(state, command);
  const auto found = state.keys.find(command.key);
  if (found == state.keys.end()) return KeyMatch{command.key, 0, nullptr};
  if (found->second.tool != command.tool || found->second.digest != command.digest) {
    return fail(
        ErrorCode::key_reused,
        fmt::format(
            "the idempotency key \"{}\" was used for {} with other arguments (#{}); use a new key "
            "for a new action",
            command.key, found->second.tool, found->second.intent.value));
  }
  return KeyMatch{command.key, 0, &found->second};
}

Proposed repeat_of(const State& state, const Propose& command, const KeyMatch& match) {
  Proposed proposed;
  proposed.intent = match.record->intent;
  proposed.disposition = match.record->closed ? Disposition::replay : Disposition::attach;
  const auto counted = state.occurrences.find(call_digest(command.tool, command.digest));
  const std::uint64_t seen = counted == state.occurrences.end() ? 0 : counted->second;
  if (match.record->closed || match.occurrence > seen) {
    PlanBuilder plan(state, command.now);
    plan.add(Role::decider, kDecider, Replayed{match.record->intent, match.occurrence});
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
  proposal.key_source = command.key.empty() ? KeySource::derived : command.key_source;
  proposal.requester = command.requester;
  proposal.call_id = command.call_id;
  proposal.policy_version = command.assessment.policy_version;
  proposal.timeout = command.assessment.timeout;
  proposal.attempts_max = command.assessment.attempts_max;
  proposal.has_probe = command.assessment.has_probe;
  proposal.occurrence = match.occurrence;
  return proposal;
}

bool must_settle_first(const State& state, Effect effect) {
  return effect != Effect::read && !state.settling.empty();
}

// Commits the intent with its first attempt, after reserving its budgets.
void commit(PlanBuilder& plan, const State& state, const ControlView& control, IntentId intent,
            const IntentProposed& proposal, const std::vector<BudgetClaim>& claims,
            std::string_view rule, Timestamp now) {
  Decision decision;
  decision.intent = intent;
  decision.ruling = Ruling::commit;
  decision.rule = rule;
  for (const ControlState* scope : control.scopes) {
    decision.control.push_back({scope->log, scope->barrier});
  }
  for (const auto& claim : claims) {
    const BudgetReserved reserved{claim.budget, state.session, intent, 1, proposal.timeout};
    if (claim.log.empty()) {
      plan.add(Role::decider, kDecider, reserved);
    } else {
      plan.add_control(claim.log, Role::decider, kDecider, reserved);
    }
    decision.budgets.push_back({claim.log, claim.budget});
  }
  plan.guard(decision.control);
  plan.add(Role::decider, kDecider, std::move(decision));
  Attempt attempt;
  attempt.intent = intent;
  attempt.number = 1;
  attempt.deadline = now + proposal.timeout;
  attempt.fencing_token = state.fencing_token + 1;
  plan.add(Role::executor, kDecider, attempt);
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
  held.not_before = reason == HoldReason::two_step ? now + assessment.delay : now;
  held.expires_at = now + std::max(assessment.hold_for, assessment.delay * 2);
  return held;
}

// Gives back what the intent's reservations did not spend.
void settle(PlanBuilder& plan, const State& state, const OpenIntent& open, Timestamp now) {
  for (const auto& reserved : open.budgets) {
    BudgetSettled settled;
    settled.budget = reserved.budget;
    settled.session = state.session;
    settled.intent = open.id;
    settled.calls = 1;
    settled.wall_clock = std::clamp(now - open.attempt_at, Duration{0}, open.proposal.timeout);
    if (reserved.log.empty()) {
      plan.add(Role::executor, kDecider, settled);
    } else {
      plan.add_control(reserved.log, Role::executor, kDecider, settled);
    }
  }
}

// The claims of a held intent are taken again when it commits, from the budgets that cover its call
// now.
Result<std::vector<BudgetClaim>> claims_with_room(const State& state, const ControlView& control,
                                                  const std::vector<BudgetClaim>& claims,
                                                  Duration wall_clock) {
  for (const auto& claim : claims) TRY(check_room(state, control, claim, wall_clock));
  return claims;
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

Result<Proposed> decide(const State& state, const ControlView& control, const Propose& command) {
  if (command.epoch < state.epoch) {
    return fail(
        ErrorCode::stale_epoch,
        fmt::format(
            "session {} is driven by epoch {} ({}) now; this driver is of epoch {} and may do "
            "nothing more. Stop, or wake the session to take it over: gavel wake {}",
            state.session.value, state.epoch.value, state.driver.value, command.epoch.value,
            state.session.value));
  }
  if (command.epoch > state.epoch) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("session {} is at epoch {}; epoch {} was never elected",
                            state.session.value, state.epoch.value, command.epoch.value));
  }
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
  } else if (const auto room =
                 claims_with_room(state, control, assessment.budgets, proposal.timeout);
             !room) {
    refuse_with(room.error());
  } else if (assessment.verdict != Verdict::allow || must_settle_first(state, assessment.effect)) {
    const HoldReason reason = assessment.verdict == Verdict::ask        ? HoldReason::ask
                              : assessment.verdict == Verdict::two_step ? HoldReason::two_step
                                                                        : HoldReason::settling;
    plan.add(Role::decider, kDecider, hold(proposed.intent, reason, assessment, command.now));
    proposed.disposition = Disposition::held;
  } else {
    commit(plan, state, control, proposed.intent, proposal, assessment.budgets, assessment.rule,
           command.now);
    proposed.disposition = Disposition::dispatch;
  }
  proposed.plan = plan.take();
  return proposed;
}

Result<Plan> decide(const State& state, const ControlView& control, const CastVote& command) {
  if (command.role != Role::approver && command.role != Role::admin) {
    return fail(ErrorCode::permission_denied, "voting on held intents takes the role approver");
  }
  ASSIGN_OR_RETURN(const OpenIntent* open, find_open(state, command.intent));
  const std::string name = fmt::format("{}#{}", state.session.value, command.intent.value);
  if (open->phase != Phase::held || !open->hold || open->hold->reason == HoldReason::settling) {
    return fail(ErrorCode::conflict,
                fmt::format("{} does not wait for a vote; it is {}", name, to_string(open->phase)));
  }
  if (command.digest != open->proposal.digest) {
    return fail(
        ErrorCode::conflict,
        fmt::format(
            "{} has other arguments than the ones you were shown; look again: gavel show {}", name,
            name));
  }
  if (command.verdict != Verdict::allow && command.verdict != Verdict::deny) {
    return fail(ErrorCode::invalid_argument, "a vote is allow or deny");
  }
  const bool allow = command.verdict == Verdict::allow;
  if (allow && command.voter == open->proposal.requester) {
    return fail(ErrorCode::permission_denied,
                fmt::format("{} asked for {} and cannot approve it; somebody else must",
                            command.voter.value, name));
  }
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
  if (!allow) {
    plan.add(Role::decider, kDecider,
             abort(command.intent, ErrorCode::denied,
                   fmt::format("{} denied it{}{}", command.voter.value,
                               command.reason.empty() ? "" : ": ", command.reason)));
    return plan.take();
  }
  const bool delayed =
      open->hold->reason == HoldReason::two_step && command.now < open->hold->not_before;
  if (!delayed && !must_settle_first(state, open->proposal.effect)) {
    TRY(check_halts(control, open->proposal.effect));
    TRY(claims_with_room(state, control, control.claims, open->proposal.timeout));
    commit(plan, state, control, command.intent, open->proposal, control.claims, "", command.now);
  }
  return plan.take();
}

Result<Plan> decide(const State& state, const RecordOutcome& command) {
  ASSIGN_OR_RETURN(const OpenIntent* open, find_open(state, command.intent));
  if (open->phase != Phase::in_flight && open->phase != Phase::unknown) {
    return fail(ErrorCode::conflict,
                fmt::format("{}#{} has no attempt whose outcome could be recorded",
                            state.session.value, command.intent.value));
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
    if (open.phase != Phase::held || !open.hold) continue;
    const Held& held = *open.hold;
    const bool expired = held.expires_at <= now;
    const bool confirmed = is_confirmed(open);
    const bool released =
        !must_settle_first(state, open.proposal.effect) &&
        (held.reason == HoldReason::settling || (confirmed && held.not_before <= now));
    if (expired || released) due.push_back(id);
  }
  return due;
}

Result<Plan> decide_due(const State& state, const ControlView& control, IntentId intent,
                        Timestamp now) {
  PlanBuilder plan(state, now);
  const auto found = state.open.find(intent);
  if (found == state.open.end() || found->second.phase != Phase::held) return plan.take();
  const OpenIntent& open = found->second;
  const auto due = due_intents(state, now);
  if (std::find(due.begin(), due.end(), intent) == due.end()) return plan.take();
  if (open.hold->expires_at <= now) {
    plan.add(Role::decider, kDecider,
             abort(intent, ErrorCode::timeout,
                   fmt::format("nobody released it in time (held as {})",
                               to_string(open.hold->reason))));
    return plan.take();
  }
  TRY(check_halts(control, open.proposal.effect));
  TRY(claims_with_room(state, control, control.claims, open.proposal.timeout));
  commit(plan, state, control, intent, open.proposal, control.claims, "", now);
  return plan.take();
}

Result<Plan> decide_lost(const State& state, IntentId intent, Timestamp now) {
  ASSIGN_OR_RETURN(const OpenIntent* open, find_open(state, intent));
  if (open->phase == Phase::committed) {
    // Without an attempt on record nothing can have been dispatched.
    PlanBuilder plan(state, now);
    Attempt attempt;
    attempt.intent = intent;
    attempt.number = open->attempts + 1;
    attempt.deadline = now + open->proposal.timeout;
    attempt.fencing_token = state.fencing_token + 1;
    plan.add(Role::executor, kDecider, attempt);
    return plan.take();
  }
  RecordOutcome outcome;
  outcome.intent = intent;
  outcome.source = OutcomeSource::recovery;
  outcome.now = now;
  if (open->proposal.effect == Effect::read) {
    outcome.kind = OutcomeKind::failed;
    outcome.reason = "the process that ran it ended; ask again";
  } else {
    outcome.kind = OutcomeKind::unknown;
    outcome.reason = "the process that ran it ended before its outcome was recorded";
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
  Attempt attempt;
  attempt.intent = intent;
  attempt.number = open->attempts + 1;
  attempt.deadline = now + proposal.timeout;
  attempt.fencing_token = state.fencing_token + 1;
  plan.add(Role::executor, kDecider, attempt);
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

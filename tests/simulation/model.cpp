#include "model.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "coverage.hpp"
#include "workload.hpp"

namespace gavel::simulation {
namespace {

const BudgetFacts* budget_facts(std::string_view name) {
  for (const auto& budget : budgets()) {
    if (budget.name == name) return &budget;
  }
  return nullptr;
}

}  // namespace

std::string ModelIntent::phase() const {
  if (closed() && ruling == Ruling::abort) return "aborted";
  if (closed()) return outcome->kind == OutcomeKind::ok ? "ok" : "failed";
  if (unknown) return "unknown";
  if (running) return "in_flight";
  if (ruling) return "committed";
  return held ? "held" : "proposed";
}

void Model::wrong(std::string_view oracle, const LogId& log, const Entry& entry,
                  std::string_view what) {
  complain_(oracle, fmt::format("{} #{} {} by {}: {}", log.value, entry.position.value,
                                name_of(entry.body), entry.author.value, what));
}

const ModelIntent* Model::find(const LogId& session, IntentId intent) const {
  const auto found = sessions_.find(session.value);
  if (found == sessions_.end()) return nullptr;
  const auto known = found->second.intents.find(intent.value);
  return known == found->second.intents.end() ? nullptr : &known->second;
}

std::vector<Model::Covering> Model::halts_over(const LogId& session,
                                               const IntentProposed& call) const {
  std::vector<Covering> out;
  for (const auto& scope :
       {std::string("control/everything"), "control/agent/" + call.requester.value,
        "control/toolset/" + call.toolset, "control/session/" + session.value}) {
    const auto found = control_.find(scope);
    if (found == control_.end() || !found->second.halt) continue;
    if (*found->second.halt == HaltMode::freeze && call.effect == Effect::read) continue;
    out.push_back({LogId{scope}, *found->second.halt, found->second.from_outside});
  }
  return out;
}

// One overload per kind of a session's entries.
struct Model::Reader {
  Model& model;
  const LogId& log;
  const Entry& entry;
  ModelSession& session;

  void wrong(std::string_view oracle, std::string_view what) const {
    model.wrong(oracle, log, entry, what);
  }
  ModelIntent* find(IntentId id) const {
    const auto found = session.intents.find(id.value);
    if (found == session.intents.end()) {
      wrong("I10 rights", "there is no such intent");
      return nullptr;
    }
    return &found->second;
  }
  void turn(const ModelIntent& intent, const std::string& before) const {
    ++model.coverage_[fmt::format("intent: {} -> {}", before, intent.phase())];
  }
  void role(std::initializer_list<Role> allowed) const {
    if (std::find(allowed.begin(), allowed.end(), entry.role) == allowed.end()) {
      wrong("I10 rights", fmt::format("the role {} may not", to_string(entry.role)));
    }
  }
  void close(ModelIntent& intent) const { intent.answer = entry.position; }

  void operator()(const SessionOpened&) const {
    if (entry.position.value != 1) wrong("I10 rights", "a session opens once");
  }
  void operator()(const EpochElected& elected) const {
    if (elected.epoch.value != session.epoch.value + 1) wrong("I3 epochs", "it is not the next");
    session.epoch = elected.epoch;
  }
  void operator()(const IntentProposed& proposal) const {
    role({Role::driver});
    if (entry.epoch != session.epoch) wrong("I3 epochs", "its epoch is not the current one");
    if (!session.keys.emplace(proposal.key, entry.position.value).second) {
      wrong("I4 one effect", "its key is taken");
    }
    ++model.coverage_[fmt::format("effect: {}", to_string(proposal.effect))];
    ++model.coverage_[fmt::format("key: {}", to_string(proposal.key_source))];
    ModelIntent intent;
    intent.proposal = proposal;
    intent.position = entry.position;
    intent.at = entry.at;
    intent.epoch = entry.epoch;
    session.intents.emplace(entry.position.value, std::move(intent));
    ++session.counters.intents;
  }
  void operator()(const Vote& vote) const {
    ModelIntent* intent = find(vote.intent);
    if (intent == nullptr) return;
    if (intent->ruling) wrong("I2 one decision", "it was decided already");
    if (vote.digest != intent->proposal.digest || vote.effect != intent->proposal.effect ||
        vote.policy_version != intent->proposal.policy_version) {
      wrong("I7 binding", "it binds to something else");
    }
    if (entry.role == Role::voter) {
      intent->policy = vote.verdict;
      ++model.coverage_[fmt::format("policy: {}", to_string(vote.verdict))];
      const ToolFacts* facts = find_tool(intent->proposal.tool);
      if (facts != nullptr &&
          vote.verdict != verdict_of(*facts, intent->proposal.arguments.bytes)) {
        wrong("policy", fmt::format("it says {}", to_string(vote.verdict)));
      }
      return;
    }
    role({Role::approver, Role::admin});
    if (vote.verdict != Verdict::allow) return;
    if (entry.author == intent->proposal.requester) {
      wrong("I7 binding", "nobody approves what they asked for");
    }
    intent->confirmed_by.insert(entry.author.value);
  }
  void operator()(const Held& held) const {
    ModelIntent* intent = find(held.intent);
    if (intent == nullptr) return;
    const std::string before = intent->phase();
    intent->held = held;
    turn(*intent, before);
    ++model.coverage_[fmt::format("held: {}", to_string(held.reason))];
    if (held.reason == HoldReason::two_step && held.not_before.ms < entry.at.ms + kTwoStepDelayMs) {
      wrong("two steps", "its delay is too short");
    }
    if (held.expires_at <= entry.at) wrong("END", "it expires at once");
  }
  void operator()(const Decision& decision) const {
    ModelIntent* intent = find(decision.intent);
    if (intent == nullptr) return;
    role({Role::decider});
    if (intent->ruling) return wrong("I2 one decision", "a second decision");
    const std::string before = intent->phase();
    intent->ruling = decision.ruling;
    if (decision.ruling == Ruling::abort) {
      ++session.counters.aborted;
      ++model.coverage_["abort: " + decision.code];
      count_code(model.coverage_, decision.code);
      close(*intent);
    } else {
      ++session.counters.committed;
      judge_commit(*intent);
    }
    turn(*intent, before);
  }
  void judge_commit(const ModelIntent& intent) const {
    if (!intent.policy) return wrong("I11 voters", "the policy did not judge it");
    const Verdict verdict = *intent.policy;
    if (verdict == Verdict::deny) wrong("policy", "the policy denied it");
    if (verdict == Verdict::ask || verdict == Verdict::two_step) {
      if (intent.confirmed_by.empty()) wrong("I11 voters", "nobody approved it");
    }
    if (verdict == Verdict::two_step && intent.held && entry.at < intent.held->not_before) {
      wrong("two steps", "its delay was not over");
    }
    // A read is decided before it is recorded (ADR 11): the first byte that is sent tells.
    if (intent.proposal.effect == Effect::read) return;
    for (const auto& halt : model.halts_over(log, intent.proposal)) {
      wrong("I6 halts",
            fmt::format("it commits under a {} in {}", to_string(halt.mode), halt.log.value));
    }
  }
  void operator()(const Attempt& attempt) const {
    ModelIntent* intent = find(attempt.intent);
    if (intent == nullptr) return;
    role({Role::executor});
    const std::string before = intent->phase();
    if (intent->ruling != Ruling::commit) wrong("I1 commit first", "nothing was committed");
    if (intent->closed()) wrong("I4 one effect", "it is over");
    if (intent->running) wrong("I4 one effect", "another attempt is in flight");
    if (attempt.number != intent->attempts + 1) wrong("I4 one effect", "its number is not next");
    const bool repeatable = intent->proposal.idempotent || intent->proposal.effect == Effect::read;
    if (attempt.number > 1 && !repeatable) wrong("I4 one effect", "a blind retry");
    if (attempt.fencing_token <= session.token) wrong("I3 epochs", "its token is not new");
    session.token = attempt.fencing_token;
    intent->attempts = attempt.number;
    intent->token = attempt.fencing_token;
    intent->attempt_at = entry.at;
    intent->running = true;
    intent->unknown = false;
    turn(*intent, before);
  }
  void operator()(const Outcome& outcome) const {
    ModelIntent* intent = find(outcome.intent);
    if (intent == nullptr) return;
    const std::string before = intent->phase();
    const bool untaken = intent->proposal.elsewhere && before == "committed";
    if (!intent->running && !intent->unknown && !untaken) {
      wrong("I4 one effect", "nothing ran whose outcome this could be");
    }
    if (intent->closed()) wrong("I4 one effect", "a second final outcome");
    if ((entry.role == Role::approver || entry.role == Role::admin) !=
        (outcome.source == OutcomeSource::person)) {
      wrong("I10 rights", "its source is not the role's");
    }
    intent->running = false;
    intent->unknown = outcome.kind == OutcomeKind::unknown;
    intent->outcome = outcome;
    if (!outcome.code.empty()) count_code(model.coverage_, outcome.code);
    // A read that nobody waited for, or whose process ended, owes nobody its failure.
    intent->delivered = outcome.kind == OutcomeKind::failed &&
                        intent->proposal.effect == Effect::read &&
                        (outcome.code == "cancelled" ||
                         (outcome.source == OutcomeSource::recovery && !outcome.code.empty()));
    ++model.coverage_[fmt::format("outcome: {} by {}", to_string(outcome.kind),
                                  to_string(outcome.source))];
    if (outcome.kind == OutcomeKind::unknown) {
      ++session.counters.unknown;
    } else {
      const bool ok = outcome.kind == OutcomeKind::ok;
      ++(ok ? session.counters.ok : session.counters.failed);
      intent->probed = !(ok && intent->proposal.has_probe && outcome.source == OutcomeSource::call);
      close(*intent);
    }
    turn(*intent, before);
  }
  void operator()(const Delivered& delivered) const {
    ModelIntent* intent = find(delivered.intent);
    if (intent == nullptr) return;
    if (!intent->closed()) wrong("I5 durable first", "delivered before it was known");
    if (intent->delivered) wrong("I8 replicas", "delivered twice");
    intent->delivered = true;
  }
  void operator()(const Replayed& replayed) const {
    ModelIntent* intent = find(replayed.intent);
    if (intent == nullptr) return;
    ++session.counters.replayed;
    if (replayed.owed && !intent->closed()) {
      wrong("I5 durable first", "an answer is owed that is not known");
    }
    if (replayed.owed) intent->delivered = false;
    if (!replayed.key.empty() &&
        !session.keys.emplace(replayed.key, replayed.intent.value).second) {
      wrong("I4 one effect", "its key is taken");
    }
  }
  void operator()(const Probed& probed) const {
    ModelIntent* intent = find(probed.intent);
    if (intent == nullptr) return;
    ++model.coverage_[fmt::format("probe: {}", to_string(probed.verdict))];
    if (!intent->unknown && intent->probed) wrong("I4 one effect", "nothing was to be probed");
    if (probed.verdict == ProbeVerdict::happened && !intent->unknown) intent->probed = true;
  }
  void operator()(const TaskStarted& started) const {
    ModelIntent* intent = find(started.intent);
    if (intent != nullptr && !intent->running) wrong("I4 one effect", "a task of no attempt");
  }
  void operator()(const Refused& refused) const {
    ++session.counters.refused;
    ++model.coverage_["refused: " + refused.code];
    count_code(model.coverage_, refused.code);
  }
  void operator()(const Prompted&) const {}
  void operator()(const BudgetReserved& reserved) const {
    model.reserve(session.budgets, entry, reserved, false);
  }
  void operator()(const BudgetSettled& settled) const {
    model.settle(session.budgets, entry, settled);
  }
  void operator()(const HaltRaised&) const { wrong("I10 rights", "not in a session"); }
  void operator()(const HaltLifted&) const { wrong("I10 rights", "not in a session"); }
  void operator()(const PolicyActivated&) const { wrong("I10 rights", "not in a session"); }
  void operator()(const ToolPinned&) const { wrong("I10 rights", "not in a session"); }
  void operator()(const ToolRefused&) const { wrong("I10 rights", "not in a session"); }
  void operator()(const UnknownEntry&) const { wrong("I10 rights", "nobody can read it"); }
};

void Model::check_reserved(const LogId& log, IntentId id) {
  const ModelIntent* intent = find(log, id);
  if (intent == nullptr) return;
  for (const auto& facts : gavel::simulation::budgets()) {
    if (facts.tool != intent->proposal.tool) continue;
    const std::string name(facts.name);
    const std::string shared =
        facts.scope == BudgetScope::agent
            ? fmt::format("control/budget/{}/{}", name, intent->proposal.requester.value)
            : "control/budget/" + name;
    const auto& taken = facts.scope == BudgetScope::session ? sessions_[log.value].budgets[name]
                                                            : control_[shared].budgets[name];
    if (!taken.reserved.contains({log.value, id.value})) {
      complain_("I12 budgets", fmt::format("{} #{} commits without a reservation from {}",
                                           log.value, id.value, name));
    }
  }
}

void Model::reserve(std::map<std::string, ModelBudget>& budgets, const Entry& entry,
                    const BudgetReserved& reserved, bool shared) {
  const BudgetFacts* facts = budget_facts(reserved.budget);
  if (facts == nullptr || shared != (facts->scope != BudgetScope::session)) {
    return wrong("I12 budgets", log_, entry, "there is no such budget here");
  }
  ModelBudget& budget = budgets[reserved.budget];
  const std::pair key{reserved.session.value, reserved.intent.value};
  if (!budget.reserved.emplace(key, reserved).second) {
    return wrong("I12 budgets", log_, entry, "it reserves twice");
  }
  std::uint64_t calls = budget.calls;
  std::int64_t wall = budget.wall_ms;
  for (const auto& [of, other] : budget.reserved) {
    calls += other.calls;
    wall += other.wall_clock.count();
  }
  if (facts->calls > 0 && calls > facts->calls) {
    wrong("I12 budgets", log_, entry, fmt::format("{} of {} calls", calls, facts->calls));
  }
  if (facts->wall_ms > 0 && wall > facts->wall_ms) {
    wrong("I12 budgets", log_, entry, fmt::format("{} of {} ms", wall, facts->wall_ms));
  }
}

void Model::settle(std::map<std::string, ModelBudget>& budgets, const Entry& entry,
                   const BudgetSettled& settled) {
  ModelBudget& budget = budgets[settled.budget];
  if (budget.reserved.erase({settled.session.value, settled.intent.value}) == 0) {
    return wrong("I12 budgets", log_, entry, "it settles what is not reserved");
  }
  const ModelIntent* intent = find(settled.session, settled.intent);
  const std::uint64_t taken = intent != nullptr && intent->attempts > 0 ? 1 : 0;
  if (intent != nullptr && settled.calls != taken) {
    wrong("I12 budgets", log_, entry, fmt::format("it settles {} calls", settled.calls));
  }
  budget.calls += settled.calls;
  budget.wall_ms += settled.wall_clock.count();
}

void Model::apply_control(const LogId& log, const Entry& entry) {
  ModelControl& control = control_[log.value];
  if (entry.position.value != control.tail.value + 1) {
    wrong("durability", log, entry, fmt::format("it follows {}", control.tail.value));
  }
  control.tail = entry.position;
  if (const auto* raised = std::get_if<HaltRaised>(&entry.body)) {
    if (entry.role != Role::admin && entry.role != Role::observer) {
      wrong("I10 rights", log, entry, "the role may not halt");
    }
    ++coverage_[fmt::format("halt: {} -> {}", control.halt ? to_string(*control.halt) : "running",
                            to_string(raised->mode))];
    control.halt = raised->mode;
    control.from_outside = entry.author.value == "outside";
    ++control.halts;
  } else if (std::holds_alternative<HaltLifted>(entry.body)) {
    if (entry.role != Role::admin) wrong("I10 rights", log, entry, "the role may not resume");
    if (!control.halt) return wrong("I6 halts", log, entry, "nothing was halted");
    ++coverage_[fmt::format("halt: {} -> running", to_string(*control.halt))];
    control.halt.reset();
    ++control.lifts;
  } else if (std::holds_alternative<PolicyActivated>(entry.body)) {
    if (log.value != "control/everything") wrong("policy", log, entry, "not in this log");
  } else if (const auto* reserved = std::get_if<BudgetReserved>(&entry.body)) {
    reserve(control.budgets, entry, *reserved, true);
  } else if (const auto* settled = std::get_if<BudgetSettled>(&entry.body)) {
    settle(control.budgets, entry, *settled);
  } else if (const auto* pinned = std::get_if<ToolPinned>(&entry.body)) {
    const auto known = control.pins.find(pinned->tool);
    if (known != control.pins.end() && entry.role == Role::decider) {
      wrong("trust", log, entry, "it was seen before, and no person said so");
    }
    const bool is_pinned = known != control.pins.end() && !known->second.is_zero();
    ++coverage_[fmt::format("pin: {} -> pinned", is_pinned ? "pinned" : "unseen")];
    control.pins[pinned->tool] = pinned->digest;
  } else if (const auto* refused = std::get_if<ToolRefused>(&entry.body)) {
    Digest& pin = control.pins[refused->tool];
    if (pin == refused->digest) {
      ++coverage_["pin: pinned -> unseen"];
      pin = {};
    }
  } else {
    wrong("I10 rights", log, entry, "not in a control log");
  }
}

void Model::apply(const LogId& log, const Entry& entry) {
  ++coverage_["entry: " + name_of(entry.body)];
  ++coverage_[fmt::format("author: {}", to_string(entry.role))];
  log_ = log;
  if (log.value.starts_with("control/")) return apply_control(log, entry);
  ModelSession& session = sessions_[log.value];
  if (entry.position.value != session.tail.value + 1) {
    wrong("durability", log, entry, fmt::format("it follows {}", session.tail.value));
  }
  session.tail = entry.position;
  std::visit(Reader{*this, log, entry, session}, entry.body);
}

std::optional<std::string> Model::differs(const ModelSession& session, const State& folded) const {
  if (folded.tail != session.tail) return "the tail";
  if (folded.epoch != session.epoch) return "the epoch";
  if (folded.fencing_token != session.token) return "the fencing token";
  if (folded.counters != session.counters) return "the counters";
  std::size_t open = 0;
  std::size_t settling = 0;
  for (const auto& [position, intent] : session.intents) {
    const auto held_open = folded.open.find(IntentId{position});
    settling += intent.probed ? 0 : 1;
    const std::string name = fmt::format("#{} ({})", position, intent.phase());
    if (!intent.closed()) {
      ++open;
      if (held_open == folded.open.end()) return name + " is not open";
      if (to_string(held_open->second.phase) != intent.phase()) {
        return fmt::format("{} is {}", name, to_string(held_open->second.phase));
      }
      if (held_open->second.attempts != intent.attempts) return name + " has other attempts";
      continue;
    }
    if (held_open != folded.open.end()) return name + " is still open";
    const auto key = folded.keys.find(intent.proposal.key);
    if (key == folded.keys.end()) return name + " left no key";
    if (!key->second.closed || key->second.answer != intent.answer ||
        key->second.delivered != intent.delivered ||
        to_string(key->second.final) != intent.phase()) {
      return name + " left another key";
    }
  }
  if (open != folded.open.size()) return "the open intents";
  if (settling != folded.settling.size()) return "the writes that settle";
  for (const auto& [name, budget] : session.budgets) {
    const auto found = folded.budgets.find(name);
    if (found == folded.budgets.end() || found->second.calls_used != budget.calls ||
        found->second.wall_clock_used.count() != budget.wall_ms ||
        found->second.reserved.size() != budget.reserved.size()) {
      return "the budget " + name;
    }
  }
  return std::nullopt;
}

}  // namespace gavel::simulation

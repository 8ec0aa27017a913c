#pragma once
// Sessions under random commands, and an oracle that reads their log on its own. Test support only.

#include <fmt/format.h>

#include <random>
#include <set>

#include "core/test_world.hpp"

namespace gavel {

inline constexpr std::uint64_t kCallsMax = 12;

// Reads the log as an auditor would, knowing nothing of fold.
class Oracle {
public:
  void read(const Entry& entry) {
    std::visit([&](const auto& body) { see(entry, body); }, entry.body);
  }
  std::string complaint;

private:
  void complain(const Entry& entry, std::string_view what) {
    if (complaint.empty()) {
      complaint = fmt::format("#{} {}: {}", entry.position.value, name_of(entry.body), what);
    }
  }
  void see(const Entry& entry, const IntentProposed& intent) {
    if (!keys_.insert(intent.key).second) complain(entry, "its key is taken");
    intents_[entry.position] = intent;
  }
  void see(const Entry& entry, const Vote& vote) {
    const auto& intent = intents_.at(vote.intent);
    if (vote.digest != intent.digest) complain(entry, "binds to other arguments (I7)");
    const bool person = entry.role == Role::approver;
    if (person && vote.verdict == Verdict::allow) {
      if (entry.author == intent.requester) complain(entry, "by the one who asked");
      confirmed_.insert(vote.intent);
    }
    if (!person) policy_says_[vote.intent] = vote.verdict;
  }
  void see(const Entry& entry, const Held& held) {
    held_[held.intent] = held;
    if (held.expires_at <= entry.at) complain(entry, "expires at once");
  }
  void see(const Entry& entry, const Decision& decision) {
    if (!decided_.insert(decision.intent).second) complain(entry, "a second decision (I2)");
    if (decision.ruling == Ruling::abort) return;
    committed_.insert(decision.intent);
    const Verdict verdict = policy_says_.at(decision.intent);
    if (verdict == Verdict::deny) complain(entry, "the policy denied it");
    const bool needs_person = verdict == Verdict::ask || verdict == Verdict::two_step;
    if (needs_person && !confirmed_.contains(decision.intent)) complain(entry, "nobody approved");
    if (verdict == Verdict::two_step && entry.at < held_.at(decision.intent).not_before) {
      complain(entry, "before its delay was over");
    }
    if (halted) complain(entry, "under a halt (I6)");
    if (frozen && intents_.at(decision.intent).effect != Effect::read) {
      complain(entry, "under a freeze (I6)");
    }
  }
  void see(const Entry& entry, const Attempt& attempt) {
    if (!committed_.contains(attempt.intent)) complain(entry, "nothing was committed (I1)");
    if (!running_.insert(attempt.intent).second) complain(entry, "another is in flight (I4)");
    const auto& intent = intents_.at(attempt.intent);
    if (attempt.number > 1 && !intent.idempotent && intent.effect != Effect::read) {
      complain(entry, "a blind retry (I4)");
    }
    if (attempt.fencing_token <= token_) complain(entry, "its token is not new (I3)");
    token_ = attempt.fencing_token;
  }
  void see(const Entry& entry, const Outcome& outcome) {
    const bool ran = running_.erase(outcome.intent) + unknown_.erase(outcome.intent) > 0;
    if (!ran) complain(entry, "nothing ran");
    if (outcome.kind == OutcomeKind::unknown) unknown_.insert(outcome.intent);
    if (outcome.kind != OutcomeKind::unknown && !closed_.insert(outcome.intent).second) {
      complain(entry, "a second final outcome");
    }
  }
  void see(const Entry& entry, const Delivered& delivered) {
    if (!closed_.contains(delivered.intent) && committed_.contains(delivered.intent)) {
      complain(entry, "delivered before it was known (I5)");
    }
  }
  void see(const Entry&, const auto&) {}

public:
  bool halted = false;
  bool frozen = false;

private:
  std::map<IntentId, IntentProposed> intents_;
  std::map<IntentId, Verdict> policy_says_;
  std::map<IntentId, Held> held_;
  std::set<std::string> keys_;
  std::set<IntentId> confirmed_, decided_, committed_, running_, unknown_, closed_;
  std::uint64_t token_ = 0;
};

class RandomSession {
public:
  explicit RandomSession(std::uint64_t seed) : random_(seed) {}

  void step() {
    world.now = world.now + Duration{static_cast<std::int64_t>(pick(3'000))};
    const IntentId some = some_intent();
    switch (pick(12)) {
      case 0:
      case 1:
      case 2:
        propose();
        break;
      case 3:
      case 4:
        finish(some);
        break;
      case 5:
        vote(some);
        break;
      case 6:
        probe(some);
        break;
      case 7:
        for (const auto id : due_intents(world.state, world.now)) {
          take(decide_due(world.state, world.view(claims()), id, world.now));
        }
        break;
      case 8:
        take(pick(2) == 0 ? decide_lost(world.state, some, world.now)
                          : decide_retry(world.state, world.view(), some, world.now));
        break;
      case 9:
        resolve(some);
        break;
      case 10:
        control();
        break;
      case 11:
        wake_or_deliver();
        break;
    }
    for (; read_ < world.log.size(); ++read_) oracle.read(world.log[read_]);
  }

  // I12, looked at from outside.
  std::uint64_t calls_taken(const LogId& log) {
    const auto& budgets = log.empty() ? world.state.budgets : world.scope(log.value).budgets;
    const auto found = budgets.find("b");
    return found == budgets.end() ? 0 : found->second.calls_used + found->second.calls_reserved();
  }

  std::uint64_t pick(std::uint64_t n) { return random_() % n; }

  TestWorld world;
  Oracle oracle;

private:
  template <typename T>
  void take(Result<T> plan) {
    if (plan) world.apply(std::move(*plan));
  }
  std::vector<BudgetClaim> claims() const {
    return {BudgetClaim{"b", LogId{}, kCallsMax, Duration{0}},
            BudgetClaim{"b", LogId{"control/budget/b"}, kCallsMax, Duration{0}}};
  }
  IntentId some_intent() {
    if (world.state.open.empty() || pick(8) == 0) return IntentId{1 + pick(30)};
    auto chosen = world.state.open.begin();
    std::advance(chosen, pick(world.state.open.size()));
    return chosen->first;
  }
  void propose() {
    Propose command =
        world.call(fmt::format("t__{}", pick(3)), fmt::format(R"({{"n":{}}})", pick(4)),
                   static_cast<Verdict>(pick(4)), static_cast<Effect>(pick(4)));
    command.assessment.idempotent = pick(2) == 0;
    command.assessment.has_probe = pick(3) == 0;
    command.assessment.attempts_max = pick(4);
    command.assessment.hold_for = Duration{static_cast<std::int64_t>(pick(20'000))};
    if (command.assessment.hold_for.count() == 0) command.assessment.hold_for = Duration{1};
    if (pick(20) == 0) command.epoch = Epoch{pick(4)};
    if (pick(3) == 0) command.key = fmt::format("k{}", pick(5));
    if (pick(2) == 0) command.assessment.budgets = claims();
    const auto proposed = decide(world.state, world.view(command.assessment.budgets), command);
    if (proposed) world.apply(proposed->plan);
  }
  void finish(IntentId intent) {
    RecordOutcome command;
    command.intent = intent;
    command.kind = static_cast<OutcomeKind>(pick(3));
    command.source = static_cast<OutcomeSource>(pick(4));
    command.result = Payload::of(pick(2) == 0 ? "" : R"({"r":1})");
    command.now = world.now;
    take(decide(world.state, command));
  }
  void vote(IntentId intent) {
    constexpr std::string_view kVoters[] = {"operator", "second", "agent", "policy"};
    CastVote command;
    command.intent = intent;
    command.voter = Principal{std::string(kVoters[pick(4)])};
    command.verdict = pick(5) == 0 ? static_cast<Verdict>(pick(4)) : Verdict::allow;
    const auto open = world.state.open.find(intent);
    if (open != world.state.open.end()) command.digest = open->second.proposal.digest;
    command.now = world.now;
    take(decide(world.state, world.view(claims()), command));
  }
  void probe(IntentId intent) {
    RecordProbe command;
    const auto& settling = world.state.settling;
    command.intent = settling.empty() || pick(2) == 0 ? intent : settling.begin()->first;
    command.verdict = static_cast<ProbeVerdict>(pick(3));
    command.now = world.now;
    take(decide(world.state, command));
  }
  void resolve(IntentId intent) {
    Resolve command;
    command.intent = intent;
    command.resolver = Principal{"operator"};
    command.kind = static_cast<OutcomeKind>(pick(3));
    command.now = world.now;
    take(decide(world.state, command));
  }
  // Halts are short, or nothing else would ever happen.
  void control() {
    ControlState& everything = world.scope("control/everything");
    if (everything.halt) {
      world.resume();
    } else if (pick(3) == 0) {
      world.halt(static_cast<HaltMode>(pick(2)));
    }
    oracle.halted = everything.halt && everything.halt->mode == HaltMode::halt;
    oracle.frozen = everything.halt && everything.halt->mode == HaltMode::freeze;
  }
  void wake_or_deliver() {
    if (pick(4) == 0) {
      world.apply(decide(world.state, Elect{Principal{"agent"}, "again", world.now}).value());
    } else if (!world.state.keys.empty()) {
      auto chosen = world.state.keys.begin();
      std::advance(chosen, pick(world.state.keys.size()));
      world.deliver(chosen->second.intent);
    }
  }

  std::mt19937_64 random_;
  std::size_t read_ = 0;
};

}  // namespace gavel

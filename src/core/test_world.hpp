#pragma once
// A session and its control logs as a test drives them: commands in, entries folded, every entry
// through its bytes. Test support only.

#include <gtest/gtest.h>

#include <map>

#include "core/codec.hpp"
#include "core/decide.hpp"
#include "core/fold.hpp"
#include "core/react.hpp"
#include "core/rights.hpp"

namespace gavel {

class TestWorld {
public:
  TestWorld() {
    state.session = LogId{"s"};
    apply(decide(state, Open{LogId{"s"}, Principal{"agent"}, "test", now}).value());
    apply(decide(state, Elect{Principal{"agent"}, "start", now}).value());
  }

  State state;
  std::map<LogId, ControlState> control;
  std::vector<Entry> log;
  std::vector<Action> actions;
  Timestamp now{1'000'000};

  ControlState& scope(const std::string& name) {
    auto& made = control[LogId{name}];
    made.log = LogId{name};
    return made;
  }

  ControlView view(const std::vector<BudgetClaim>& claims = {}) {
    ControlView view;
    view.scopes = {&scope("control/everything"), &scope("control/agent/agent")};
    for (const auto& claim : claims) {
      if (!claim.log.empty()) view.budgets.push_back(&scope(claim.log.value));
    }
    view.claims = claims;
    return view;
  }

  // Folds what a decision said; every entry must be accepted and survive its bytes.
  void apply(Plan plan) {
    for (auto& entry : plan.entries) {
      entry.position = state.tail.next();
      ASSERT_TRUE(check_rights(entry));
      const auto decoded = decode(entry.position, encode(entry));
      ASSERT_TRUE(decoded) << decoded.error().message;
      ASSERT_EQ(*decoded, entry) << write_json(to_json(entry));
      ASSERT_EQ(fold(state, *decoded), Folded::applied) << write_json(to_json(entry));
      for (const auto& action : react(state, *decoded)) actions.push_back(action);
      log.push_back(std::move(entry));
    }
    for (auto& append : plan.control) {
      ControlState& other = scope(append.log.value);
      for (auto& entry : append.entries) {
        entry.position = other.tail.next();
        ASSERT_EQ(fold(other, decode(entry.position, encode(entry)).value()), Folded::applied);
      }
    }
  }

  // Folds one entry as it is, whatever it says.
  Folded force(Role role, const std::string& author, Body body) {
    Entry entry;
    entry.position = state.tail.next();
    entry.epoch = state.epoch;
    entry.at = now;
    entry.author = Principal{author};
    entry.role = role;
    entry.body = std::move(body);
    log.push_back(entry);
    return fold(state, entry);
  }

  Propose call(const std::string& tool, const std::string& arguments,
               Verdict verdict = Verdict::allow, Effect effect = Effect::write) const {
    Propose command;
    command.requester = Principal{"agent"};
    command.epoch = state.epoch;
    command.tool = tool;
    command.toolset = "t";
    command.arguments = Payload::of(arguments);
    command.digest = canonical_digest(parse_json(arguments).value());
    command.assessment.verdict = verdict;
    command.assessment.effect = effect;
    command.assessment.rule = "rule";
    command.assessment.reason = "because";
    command.assessment.policy_version = "v1";
    command.assessment.delay = Duration{5'000};
    command.now = now;
    return command;
  }

  Proposed propose(const Propose& command) {
    auto proposed = decide(state, view(command.assessment.budgets), command);
    EXPECT_TRUE(proposed) << proposed.error().message;
    apply(proposed->plan);
    return std::move(*proposed);
  }

  void outcome(IntentId intent, OutcomeKind kind, const std::string& result = "{}") {
    RecordOutcome command;
    command.intent = intent;
    command.kind = kind;
    command.result = kind == OutcomeKind::unknown ? Payload{} : Payload::of(result);
    command.now = now;
    apply(decide(state, command).value());
  }

  void probe(IntentId intent, ProbeVerdict verdict) {
    RecordProbe command;
    command.intent = intent;
    command.verdict = verdict;
    if (verdict == ProbeVerdict::happened) command.evidence = Payload::of(R"({"seen":true})");
    command.now = now;
    apply(decide(state, command).value());
  }

  Result<Plan> vote(IntentId intent, Verdict verdict, const std::string& voter = "operator") {
    CastVote command;
    command.intent = intent;
    command.voter = Principal{voter};
    command.verdict = verdict;
    command.digest = state.open.contains(intent) ? state.open.at(intent).proposal.digest : Digest{};
    command.now = now;
    return decide(state, view(), command);
  }

  void deliver(IntentId intent) { apply(mark_delivered(state, intent, now)); }

  void halt(HaltMode mode, const std::string& log_name = "control/everything") {
    ControlState& other = scope(log_name);
    auto entries =
        decide(other, RaiseHalt{Principal{"operator"}, Role::admin, mode, "incident", now}).value();
    entries[0].position = other.tail.next();
    EXPECT_EQ(fold(other, entries[0]), Folded::applied);
  }
  void resume() {
    ControlState& other = scope("control/everything");
    auto entries = decide(other, LiftHalt{Principal{"operator"}, Role::admin, "over", now}).value();
    entries[0].position = other.tail.next();
    EXPECT_EQ(fold(other, entries[0]), Folded::applied);
  }

  // Whether the log, folded anew, gives this state (I8).
  bool folds_to_itself() const {
    State again;
    again.session = state.session;
    for (const auto& entry : log) fold(again, entry);
    return again == state;
  }
};

}  // namespace gavel

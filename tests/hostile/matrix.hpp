#pragma once
// Who may append what, written down a second time, and for each kind of entry one that would have
// its effect were it not for the role that signs it.

#include <array>
#include <string>
#include <string_view>

#include "core/test_world.hpp"

namespace gavel::hostile {

inline constexpr std::array kRoles = {Role::driver,   Role::voter,    Role::decider, Role::executor,
                                      Role::observer, Role::approver, Role::admin};

// One letter for each of kRoles: x may, . may not.
struct Row {
  std::string_view kind;
  std::string_view may;  // driver voter decider executor observer approver admin
  bool control = false;  // stands in control logs
};
inline constexpr std::array kMatrix = {
    Row{"session_opened", "x.....x"},
    Row{"epoch_elected", "x.....x"},
    Row{"intent", "x......"},
    Row{"vote", ".x...xx"},
    Row{"held", "..x...."},
    Row{"decision", "..x...."},
    Row{"attempt", "...x..."},
    Row{"outcome", "...x.xx"},
    Row{"delivered", "...x..."},
    Row{"replayed", "..x...."},
    Row{"probed", "...x..."},
    Row{"task", "...x..."},
    Row{"refused", "..x...x"},
    Row{"prompt", "x......"},
    Row{"halt", "....x.x", true},
    Row{"resume", "......x", true},
    Row{"policy_activated", "......x", true},
    Row{"budget_reserved", "..x...."},
    Row{"budget_settled", "..xx..."},
    Row{"tool_pinned", "..x..xx", true},
    Row{"tool_refused", ".....xx", true},
};

// A session with an intent in every phase, and a control log with something to undo.
struct Scene {
  TestWorld world;
  ControlState control;
  IntentId proposed, held, committed, in_flight, unknown, closed;

  Scene() {
    held = world.propose(world.call("t__held", "{}", Verdict::ask)).intent;
    in_flight = world.propose(world.call("t__run", "{}")).intent;
    unknown = world.propose(world.call("t__unknown", "{}")).intent;
    world.outcome(unknown, OutcomeKind::unknown);
    closed = world.propose(world.call("t__closed", "{}")).intent;
    world.outcome(closed, OutcomeKind::ok);
    committed = world.propose(world.call("t__committed", "{}", Verdict::ask)).intent;
    Decision commit;
    commit.intent = committed;
    commit.ruling = Ruling::commit;
    EXPECT_EQ(world.force(Role::decider, "gavel", commit), Folded::applied);
    EXPECT_EQ(world.force(Role::decider, "gavel",
                          BudgetReserved{"b", LogId{"s"}, in_flight, 1, Duration{1}}),
              Folded::applied);
    EXPECT_EQ(world.force(Role::driver, "agent", intent("first")), Folded::applied);
    proposed = world.state.tail;
    Entry halt;
    halt.position = control.tail.next();
    halt.role = Role::admin;
    halt.body = HaltRaised{};
    EXPECT_EQ(fold(control, halt), Folded::applied);
  }

  static IntentProposed intent(const std::string& key) {
    IntentProposed proposal;
    proposal.tool = "t__more";
    proposal.key = key;
    proposal.key_source = KeySource::client;
    proposal.requester = Principal{"agent"};
    return proposal;
  }

  // The entry of this kind that belongs here, as `role` would sign it.
  Entry entry(std::string_view kind, Role role) const {
    const bool person = role == Role::approver || role == Role::admin;
    Entry made;
    made.epoch = world.state.epoch;
    made.at = world.now;
    made.role = role;
    made.author = Principal{kind == "intent" ? "agent" : "somebody"};
    made.body = body(kind, person, made.author);
    if (kind == "epoch_elected") made.epoch = world.state.epoch.next();
    return made;
  }

private:
  Body body(std::string_view kind, bool person, const Principal& author) const {
    if (kind == "session_opened") return SessionOpened{author, "test"};
    if (kind == "epoch_elected") return EpochElected{world.state.epoch.next(), author, "mine"};
    if (kind == "intent") return intent("second");
    if (kind == "vote") return vote(author);
    if (kind == "held") return Held{proposed, HoldReason::ask, world.now, world.now};
    if (kind == "decision") {
      Decision decision;
      decision.intent = held;
      decision.ruling = Ruling::commit;
      return decision;
    }
    if (kind == "attempt") {
      return Attempt{committed, 1, world.now, world.state.fencing_token + 1};
    }
    if (kind == "outcome") return outcome(person, author);
    if (kind == "delivered") return Delivered{closed};
    if (kind == "replayed") return Replayed{closed, 0, ""};
    if (kind == "probed") return Probed{unknown, ProbeVerdict::unclear, "", {}};
    if (kind == "task") return TaskStarted{in_flight, 1, "t", "2026-07-28", {}};
    if (kind == "refused") return Refused{author, Epoch{1}, "x", "denied", "no"};
    if (kind == "prompt") return Prompted{Payload::of("\"go on\"")};
    if (kind == "halt") return HaltRaised{};
    if (kind == "resume") return HaltLifted{};
    if (kind == "policy_activated") return PolicyActivated{"v2", {}};
    if (kind == "budget_reserved") {
      return BudgetReserved{"b", LogId{"s"}, committed, 1, Duration{1}};
    }
    if (kind == "budget_settled") {
      return BudgetSettled{"b", LogId{"s"}, in_flight, 1, Duration{1}};
    }
    if (kind == "tool_pinned") return ToolPinned{"query", sha256("definition"), {}};
    if (kind == "tool_refused") return ToolRefused{"query", sha256("definition"), "no"};
    return UnknownEntry{99, "", 0};
  }
  Vote vote(const Principal& voter) const {
    const IntentProposed& proposal = world.state.open.at(held).proposal;
    Vote made;
    made.intent = held;
    made.voter = voter;
    made.verdict = Verdict::allow;
    made.digest = proposal.digest;
    made.effect = proposal.effect;
    made.policy_version = proposal.policy_version;
    return made;
  }
  Outcome outcome(bool person, const Principal& author) const {
    Outcome made;
    made.intent = person ? unknown : in_flight;
    made.kind = OutcomeKind::ok;
    made.source = person ? OutcomeSource::person : OutcomeSource::call;
    if (person) made.resolver = author;
    return made;
  }
};

}  // namespace gavel::hostile

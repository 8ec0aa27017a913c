// Every role times every kind of entry, each where it would have its effect: the rights and the
// fold say the same, and what is skipped changes nothing.
#include <fmt/format.h>

#include "matrix.hpp"

namespace gavel::hostile {
namespace {

TEST(RightsMatrix, HasEveryKind) {
  EXPECT_EQ(kMatrix.size() + 1, std::variant_size_v<Body>);
  const Scene scene;
  for (const auto& row : kMatrix) {
    EXPECT_EQ(name_of(scene.entry(row.kind, Role::admin).body), row.kind);
    EXPECT_EQ(row.may.size(), kRoles.size());
  }
}

// Applied or skipped; a skip must leave the rest of the state as it was.
template <typename S>
Folded fold_checked(S& state, Entry entry) {
  S before = state;
  entry.position = state.tail.next();
  const Folded folded = fold(state, entry);
  if (folded == Folded::applied) return folded;
  before.tail = state.tail;
  if constexpr (std::is_same_v<S, State>) {
    before.last_at = state.last_at;
    ++before.counters.skipped;
  } else {
    before.barrier = state.barrier;
    ++before.skipped;
  }
  EXPECT_EQ(before, state) << "a skipped entry changed something";
  return folded;
}

TEST(RightsMatrix, NoRoleGetsMoreThanItsKinds) {  // I10
  for (const auto& row : kMatrix) {
    for (std::size_t i = 0; i < kRoles.size(); ++i) {
      Scene scene;
      const Entry entry = scene.entry(row.kind, kRoles[i]);
      const bool may = row.may[i] == 'x';
      SCOPED_TRACE(fmt::format("{} by {}", row.kind, to_string(kRoles[i])));
      EXPECT_EQ(check_rights(entry).has_value(), may);
      Folded folded = Folded::skipped;
      if (row.control) {
        folded = fold_checked(scene.control, entry);
      } else if (row.kind == "session_opened") {
        State empty;
        folded = fold_checked(empty, entry);
      } else {
        folded = fold_checked(scene.world.state, entry);
      }
      EXPECT_EQ(folded == Folded::applied, may);
    }
  }
}

// What a role may append, said of something that it may not be said of.
struct Forgery {
  std::string_view name;
  std::string_view kind;
  Role role;
  void (*spoil)(const Scene&, Entry&);
};

template <typename T>
T& as(Entry& entry) {
  return std::get<T>(entry.body);
}

const Forgery kForgeries[] = {
    {"a vote in another's name", "vote", Role::approver,
     [](const Scene&, Entry& e) { as<Vote>(e).voter = Principal{"operator"}; }},
    {"a vote for other arguments", "vote", Role::approver,
     [](const Scene&, Entry& e) { as<Vote>(e).digest = sha256("other"); }},
    {"a vote for a smaller effect", "vote", Role::approver,
     [](const Scene&, Entry& e) { as<Vote>(e).effect = Effect::read; }},
    {"a vote under another policy", "vote", Role::approver,
     [](const Scene&, Entry& e) { as<Vote>(e).policy_version = "v0"; }},
    {"a vote of the requester", "vote", Role::approver,
     [](const Scene&, Entry& e) { e.author = as<Vote>(e).voter = Principal{"agent"}; }},
    {"a vote as the policy", "vote", Role::admin,
     [](const Scene&, Entry& e) { e.author = as<Vote>(e).voter = kPolicyVoter; }},
    {"a vote on what was decided", "vote", Role::approver,
     [](const Scene& s, Entry& e) { as<Vote>(e).intent = s.committed; }},
    {"a vote on nothing", "vote", Role::voter,
     [](const Scene&, Entry& e) { as<Vote>(e).intent = IntentId{UINT64_MAX}; }},
    {"a second decision", "decision", Role::decider,
     [](const Scene& s, Entry& e) { as<Decision>(e).intent = s.in_flight; }},
    {"a decision on what is finished", "decision", Role::decider,
     [](const Scene& s, Entry& e) { as<Decision>(e).intent = s.closed; }},
    {"an attempt without a decision", "attempt", Role::executor,
     [](const Scene& s, Entry& e) { as<Attempt>(e).intent = s.held; }},
    {"a second attempt in flight", "attempt", Role::executor,
     [](const Scene& s, Entry& e) {
       as<Attempt>(e).intent = s.in_flight;
       as<Attempt>(e).number = 2;
     }},
    {"a blind retry", "attempt", Role::executor,
     [](const Scene& s, Entry& e) {
       as<Attempt>(e).intent = s.unknown;
       as<Attempt>(e).number = 2;
     }},
    {"an old fencing token", "attempt", Role::executor,
     [](const Scene&, Entry& e) { as<Attempt>(e).fencing_token = 1; }},
    {"the last of all fencing tokens", "attempt", Role::executor,
     [](const Scene&, Entry& e) { as<Attempt>(e).fencing_token = UINT64_MAX; }},
    {"an outcome of what never ran", "outcome", Role::executor,
     [](const Scene& s, Entry& e) { as<Outcome>(e).intent = s.held; }},
    {"an outcome of another attempt", "outcome", Role::executor,
     [](const Scene&, Entry& e) { as<Outcome>(e).attempt = 7; }},
    {"a person's word by a program", "outcome", Role::executor,
     [](const Scene& s, Entry& e) {
       as<Outcome>(e).intent = s.unknown;
       as<Outcome>(e).source = OutcomeSource::person;
     }},
    {"a call's outcome by a person", "outcome", Role::admin,
     [](const Scene&, Entry& e) { as<Outcome>(e).source = OutcomeSource::call; }},
    {"a resolution in another's name", "outcome", Role::approver,
     [](const Scene&, Entry& e) { as<Outcome>(e).resolver = Principal{"operator"}; }},
    {"a second opening", "session_opened", Role::driver, [](const Scene&, Entry&) {}},
    {"an epoch that leaps", "epoch_elected", Role::driver,
     [](const Scene&, Entry& e) { e.epoch = as<EpochElected>(e).epoch = Epoch{UINT64_MAX}; }},
    {"the epoch that there is", "epoch_elected", Role::driver,
     [](const Scene& s, Entry& e) { e.epoch = as<EpochElected>(e).epoch = s.world.state.epoch; }},
    {"an intent of an older epoch", "intent", Role::driver,
     [](const Scene&, Entry& e) { e.epoch = Epoch{0}; }},
    {"an intent of an epoch to come", "intent", Role::driver,
     [](const Scene&, Entry& e) { e.epoch = Epoch{9}; }},
    {"an intent in another's name", "intent", Role::driver,
     [](const Scene&, Entry& e) { as<IntentProposed>(e).requester = Principal{"operator"}; }},
    {"an intent with a used key", "intent", Role::driver,
     [](const Scene&, Entry& e) { as<IntentProposed>(e).key = "first"; }},
    {"an intent without a key", "intent", Role::driver,
     [](const Scene&, Entry& e) { as<IntentProposed>(e).key.clear(); }},
    {"a delivery of what is open", "delivered", Role::executor,
     [](const Scene& s, Entry& e) { as<Delivered>(e).intent = s.unknown; }},
    {"a repetition that was never counted", "replayed", Role::decider,
     [](const Scene&, Entry& e) { as<Replayed>(e).occurrence = UINT64_MAX; }},
    {"a reservation taken twice", "budget_reserved", Role::decider,
     [](const Scene& s, Entry& e) { as<BudgetReserved>(e).intent = s.in_flight; }},
    {"a reservation that gives time back", "budget_reserved", Role::decider,
     [](const Scene&, Entry& e) { as<BudgetReserved>(e).wall_clock = Duration{-1}; }},
    {"a settlement of what was not reserved", "budget_settled", Role::executor,
     [](const Scene& s, Entry& e) { as<BudgetSettled>(e).intent = s.held; }},
    {"a halt in a session's log", "halt", Role::admin, [](const Scene&, Entry&) {}},
    {"a policy in a session's log", "policy_activated", Role::admin, [](const Scene&, Entry&) {}},
};

TEST(Forgeries, AreSkippedAndTheSessionGoesOn) {
  for (const auto& forgery : kForgeries) {
    SCOPED_TRACE(forgery.name);
    Scene scene;
    Entry entry = scene.entry(forgery.kind, forgery.role);
    forgery.spoil(scene, entry);
    EXPECT_EQ(fold_checked(scene.world.state, entry), Folded::skipped);
    scene.world.apply(scene.world.vote(scene.held, Verdict::allow).value());
    scene.world.outcome(scene.held, OutcomeKind::ok);
    scene.world.deliver(scene.held);
    EXPECT_EQ(scene.world.propose(scene.world.call("t__after", "{}")).disposition,
              Disposition::dispatch);
  }
}

// A decider's own kinds, said of budgets that were never reserved, twice, or ahead of time: what
// decide says afterwards must still be what fold accepts, or the runtime could not go on.
TEST(Forgeries, OfBudgetsDoNotStopTheSession) {
  Scene scene;
  TestWorld& world = scene.world;
  Decision decision;
  decision.intent = scene.held;
  decision.ruling = Ruling::commit;
  decision.budgets = {{LogId{}, "b"}, {LogId{}, "never reserved"}, {LogId{}, "c"}, {LogId{}, "c"}};
  ASSERT_EQ(world.force(Role::decider, "gavel",
                        BudgetReserved{"c", LogId{"s"}, scene.held, 1, Duration{5}}),
            Folded::applied);
  ASSERT_EQ(world.force(Role::decider, "gavel", decision), Folded::applied);
  world.apply(decide_lost(world.state, scene.held, world.now).value());
  world.outcome(scene.held, OutcomeKind::ok);
  EXPECT_EQ(world.state.budgets.at("c").calls_used, 1u) << "settled once";

  const IntentId next{world.state.tail.value + 2};
  ASSERT_EQ(
      world.force(Role::decider, "gavel", BudgetReserved{"d", LogId{"s"}, next, 1, Duration{5}}),
      Folded::applied);
  Propose command = world.call("t__next", "{}");
  command.assessment.budgets = {{"d", LogId{}, 9, Duration{0}}};
  EXPECT_EQ(world.propose(command).intent, next);
  EXPECT_EQ(world.state.budgets.at("d").calls_reserved(), 1u) << "reserved once";

  IntentProposed backwards = Scene::intent("backwards");
  backwards.timeout = Duration{-1};
  ASSERT_EQ(world.force(Role::driver, "agent", backwards), Folded::applied);
  decision.intent = world.state.tail;
  decision.budgets = {};
  ASSERT_EQ(world.force(Role::decider, "gavel", decision), Folded::applied);
  world.apply(decide_lost(world.state, decision.intent, world.now).value());
  world.outcome(decision.intent, OutcomeKind::ok);
}

}  // namespace
}  // namespace gavel::hostile

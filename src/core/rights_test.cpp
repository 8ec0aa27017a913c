#include "core/rights.hpp"

#include <gtest/gtest.h>

#include <set>

namespace gavel {
namespace {

const std::vector<Body> kBodies = {
    SessionOpened{}, EpochElected{},    IntentProposed{}, Vote{},          Held{},
    Decision{},      Attempt{},         Outcome{},        Delivered{},     Replayed{},
    Probed{},        TaskStarted{},     Refused{},        Prompted{},      HaltRaised{},
    HaltLifted{},    PolicyActivated{}, BudgetReserved{}, BudgetSettled{}, ToolPinned{},
    ToolRefused{}};

TEST(Rights, EveryRoleAppendsItsKindsAndNoOther) {  // I10
  using Names = std::set<std::string>;
  const std::pair<Role, Names> table[] = {
      {Role::driver, {"session_opened", "epoch_elected", "intent", "prompt"}},
      {Role::voter, {"vote"}},
      {Role::decider,
       {"held", "decision", "refused", "replayed", "budget_reserved", "budget_settled",
        "tool_pinned"}},
      {Role::executor, {"attempt", "task", "outcome", "probed", "delivered", "budget_settled"}},
      {Role::observer, {"halt"}},
      {Role::approver, {"vote", "outcome", "tool_pinned", "tool_refused"}},
      {Role::admin,
       {"session_opened", "epoch_elected", "halt", "resume", "policy_activated", "vote", "outcome",
        "refused", "tool_pinned", "tool_refused"}},
  };
  ASSERT_EQ(kBodies.size() + 1, std::variant_size_v<Body>);
  for (const auto& [role, expected] : table) {
    Names allowed;
    for (const auto& body : kBodies) {
      if (may_append(role, kind_of(body))) allowed.insert(name_of(body));
    }
    EXPECT_EQ(allowed, expected) << to_string(role);
  }
}

Entry entry_of(Role role, Body body) {
  Entry entry;
  entry.role = role;
  entry.body = std::move(body);
  return entry;
}

TEST(Rights, RefusalNamesRoleAndKind) {
  const auto refused = check_rights(entry_of(Role::observer, Decision{}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
  EXPECT_EQ(refused.error().message, "the role observer may not append an entry of kind decision");
}

TEST(Rights, NobodyAppendsWhatThisBuildCannotRead) {
  for (const std::uint16_t kind : {std::uint16_t{99}, Vote::kKind}) {
    EXPECT_FALSE(check_rights(entry_of(Role::voter, UnknownEntry{kind, "", 1}))) << kind;
  }
}

TEST(Rights, OnlyPeopleSayWhatPeopleFoundOut) {
  for (const Role role : {Role::executor, Role::approver, Role::admin}) {
    for (const auto source : {OutcomeSource::call, OutcomeSource::probe, OutcomeSource::person,
                              OutcomeSource::recovery}) {
      Outcome outcome;
      outcome.source = source;
      EXPECT_EQ(check_rights(entry_of(role, outcome)).has_value(),
                (source == OutcomeSource::person) != (role == Role::executor))
          << to_string(role) << " " << to_string(source);
    }
  }
}

}  // namespace
}  // namespace gavel

#include "core/rights.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace gavel {
namespace {

struct Right {
  Role role;
  std::uint16_t kind;
};

constexpr std::array kRights = {
    Right{Role::driver, SessionOpened::kKind},
    Right{Role::driver, EpochElected::kKind},
    Right{Role::driver, IntentProposed::kKind},
    Right{Role::driver, Prompted::kKind},
    Right{Role::voter, Vote::kKind},
    Right{Role::decider, Held::kKind},
    Right{Role::decider, Decision::kKind},
    Right{Role::decider, Refused::kKind},
    Right{Role::decider, Replayed::kKind},
    Right{Role::decider, BudgetReserved::kKind},
    Right{Role::decider, BudgetSettled::kKind},
    Right{Role::decider, ToolPinned::kKind},
    Right{Role::executor, Attempt::kKind},
    Right{Role::executor, TaskStarted::kKind},
    Right{Role::executor, Outcome::kKind},
    Right{Role::executor, Probed::kKind},
    Right{Role::executor, Delivered::kKind},
    Right{Role::executor, BudgetSettled::kKind},
    Right{Role::approver, Vote::kKind},
    Right{Role::approver, Outcome::kKind},
    Right{Role::approver, ToolPinned::kKind},
    Right{Role::approver, ToolRefused::kKind},
    Right{Role::observer, HaltRaised::kKind},
    Right{Role::admin, SessionOpened::kKind},
    Right{Role::admin, EpochElected::kKind},
    Right{Role::admin, HaltRaised::kKind},
    Right{Role::admin, HaltLifted::kKind},
    Right{Role::admin, PolicyActivated::kKind},
    Right{Role::admin, Vote::kKind},
    Right{Role::admin, Outcome::kKind},
    Right{Role::admin, Refused::kKind},
    Right{Role::admin, ToolPinned::kKind},
    Right{Role::admin, ToolRefused::kKind},
};

}  // namespace

bool may_append(Role role, std::uint16_t kind) {
  return std::any_of(kRights.begin(), kRights.end(),
                     [&](const Right& right) { return right.role == role && right.kind == kind; });
}

Status check_rights(const Entry& entry) {
  const bool readable = !std::holds_alternative<UnknownEntry>(entry.body);
  if (!readable || !may_append(entry.role, kind_of(entry.body))) {
    return fail(ErrorCode::permission_denied,
                fmt::format("the role {} may not append an entry of kind {}", to_string(entry.role),
                            name_of(entry.body)));
  }
  if (const auto* outcome = std::get_if<Outcome>(&entry.body)) {
    const bool person = outcome->source == OutcomeSource::person;
    if (person == (entry.role == Role::executor)) {
      return fail(ErrorCode::permission_denied,
                  fmt::format("the role {} may not say what a {} found out", to_string(entry.role),
                              to_string(outcome->source)));
    }
  }
  return {};
}

}  // namespace gavel

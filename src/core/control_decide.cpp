// Decisions about control logs: halts, the room of budgets, and which tools are accepted.
#include <fmt/format.h>

#include <algorithm>

#include "core/control_budget.hpp"
#include "core/decide.hpp"
#include "core/rights.hpp"

namespace gavel {
namespace {

std::string_view scope_name(const LogId& log) {
  constexpr std::string_view kPrefix = "control/";
  std::string_view name = log.value;
  if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
  return name;
}

Entry control_entry(const Principal& by, Role role, Timestamp now, Body body) {
  Entry entry;
  entry.at = now;
  entry.author = by;
  entry.role = role;
  entry.body = std::move(body);
  return entry;
}

}  // namespace

Status check_room(const State& state, const ControlView& control, const BudgetClaim& claim,
                  Duration wall_clock) {
  if (claim.budget.empty()) return fail(ErrorCode::internal, "a budget has no name");
  const std::map<std::string, Budget>* budgets = &state.budgets;
  if (!claim.log.empty()) {
    const auto found =
        std::find_if(control.budgets.begin(), control.budgets.end(),
                     [&](const ControlState* other) { return other->log == claim.log; });
    if (found == control.budgets.end()) {
      return fail(ErrorCode::internal,
                  fmt::format("the state of budget {} is missing", claim.budget));
    }
    budgets = &(*found)->budgets;
  }
  const auto found = budgets->find(claim.budget);
  const Budget none;
  const Budget& budget = found == budgets->end() ? none : found->second;
  const std::uint64_t calls = saturating_sum(budget.calls_used, budget.calls_reserved());
  if (claim.calls_limit > 0 && calls >= claim.calls_limit) {
    return fail(
        ErrorCode::budget_exhausted,
        fmt::format("budget \"{}\" allows {} calls and they are taken; ask for a larger one",
                    claim.budget, claim.calls_limit));
  }
  const Duration wall = saturating_sum(budget.wall_clock_used, budget.wall_clock_reserved());
  if (claim.wall_clock_limit.count() > 0 && wall + wall_clock > claim.wall_clock_limit) {
    return fail(ErrorCode::budget_exhausted,
                fmt::format("budget \"{}\" allows {} ms of wall clock; {} ms are taken and this "
                            "call may need {} ms",
                            claim.budget, claim.wall_clock_limit.count(), wall.count(),
                            wall_clock.count()));
  }
  return {};
}

Status check_halts(const ControlView& control, Effect effect) {
  for (const ControlState* scope : control.scopes) {
    if (!scope->halt) continue;
    if (scope->halt->mode == HaltMode::freeze && effect == Effect::read) continue;
    const bool freeze = scope->halt->mode == HaltMode::freeze;
    return fail(ErrorCode::halted,
                fmt::format("a {} of {} by {} is in force{}{}. {}", to_string(scope->halt->mode),
                            scope_name(scope->log), scope->halt->by.value,
                            scope->halt->reason.empty() ? "" : ": ", scope->halt->reason,
                            freeze ? "Reads are still allowed; do nothing else until it is resumed."
                                   : "Do nothing until it is resumed."));
  }
  return {};
}

Result<std::vector<Entry>> decide(const ControlState& state, const RaiseHalt& command) {
  if (command.role != Role::admin && command.role != Role::observer) {
    return fail(ErrorCode::permission_denied, "halting takes the role admin or observer");
  }
  if (state.halt && state.halt->mode == command.mode) {
    return fail(ErrorCode::conflict,
                fmt::format("{} is already under a {} by {}", scope_name(state.log),
                            to_string(state.halt->mode), state.halt->by.value));
  }
  if (state.halt && state.halt->mode == HaltMode::halt && command.role == Role::observer) {
    return fail(ErrorCode::permission_denied, "an observer may not loosen a halt to a freeze");
  }
  return std::vector{control_entry(command.by, command.role, command.now,
                                   HaltRaised{command.mode, command.reason})};
}

Result<std::vector<Entry>> decide(const ControlState& state, const LiftHalt& command) {
  if (command.role != Role::admin) {
    return fail(ErrorCode::permission_denied, "resuming takes the role admin");
  }
  if (!state.halt) {
    return fail(ErrorCode::conflict, fmt::format("{} is not halted", scope_name(state.log)));
  }
  return std::vector{
      control_entry(command.by, command.role, command.now, HaltLifted{command.reason})};
}

Result<std::vector<Entry>> decide(const ControlState& state, const PinTool& command) {
  const auto pin = state.pins.find(command.tool);
  const bool known = pin != state.pins.end();
  if (command.role == Role::decider && known) {
    return fail(ErrorCode::conflict,
                fmt::format("{} was seen before; a person decides", command.tool));
  }
  if (known && pin->second.by_person && pin->second.digest == command.digest) {
    return fail(ErrorCode::conflict, fmt::format("{} accepted this definition of {} already",
                                                 pin->second.by.value, command.tool));
  }
  if (!known && state.pins.size() >= kPinsMax) {
    return fail(ErrorCode::conflict,
                fmt::format("{} tools of this server are accepted, and no more can be", kPinsMax));
  }
  std::vector entries{control_entry(command.by, command.role, command.now,
                                    ToolPinned{command.tool, command.digest, command.definition})};
  TRY(check_rights(entries.front()));
  return entries;
}

Result<std::vector<Entry>> decide(const ControlState& state, const RefuseTool& command) {
  const auto pin = state.pins.find(command.tool);
  if (pin != state.pins.end() && pin->second.refused == command.digest) {
    return fail(ErrorCode::conflict, fmt::format("{} refused this definition of {} already",
                                                 pin->second.refused_by.value, command.tool));
  }
  std::vector entries{control_entry(command.by, command.role, command.now,
                                    ToolRefused{command.tool, command.digest, command.reason})};
  TRY(check_rights(entries.front()));
  return entries;
}

}  // namespace gavel

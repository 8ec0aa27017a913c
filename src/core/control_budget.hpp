#pragma once
// Whether a budget has room for one more call (I12): what is used, what is reserved and the call
// itself must stay within the limits. Private to core.

#include "core/decide.hpp"

namespace gavel {

// budget_exhausted, naming the budget and its figures.
Status check_room(const State& state, const ControlView& control, const BudgetClaim& claim,
                  Duration wall_clock);

}  // namespace gavel

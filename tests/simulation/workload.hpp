#pragma once
// What there is to do in the simulated world: two servers, their tools, the policy that Gavel gets,
// and beside it the same facts once more as a table for the oracles, which do not ask the policy.

#include <span>
#include <string>
#include <string_view>

#include "core/entry.hpp"

namespace gavel::simulation {

struct ToolFacts {
  std::string_view name;  // Gavel's
  Effect effect = Effect::read;
  Verdict verdict = Verdict::allow;
  bool idempotent = false;
  std::uint64_t attempts_max = 1;
  bool has_probe = false;
};
std::span<const ToolFacts> tools();
// Null where nobody knows the tool.
const ToolFacts* find_tool(std::string_view name);
// The verdict of the policy for a call with these arguments (JSON): amounts over kAsksAbove ask,
// and so do shells that deploy.
Verdict verdict_of(const ToolFacts& tool, const std::string& arguments);

enum class BudgetScope { session, agent, everything };
struct BudgetFacts {
  std::string_view name;
  BudgetScope scope = BudgetScope::session;
  std::string_view tool;
  std::uint64_t calls = 0;   // 0: no limit
  std::int64_t wall_ms = 0;  // 0: no limit
};
std::span<const BudgetFacts> budgets();

// Two that say the same of every call, as two versions: the second gives mail more time.
enum class PolicyEdition { first, second };
std::string policy_text(PolicyEdition edition);

inline constexpr std::int64_t kTwoStepDelayMs = 20'000;
inline constexpr std::int64_t kHoldForMs = 120'000;
inline constexpr std::int64_t kTimeoutMs = 5'000;
inline constexpr std::int64_t kAsksAbove = 900;
// Bytes of a result of mail that are passed on.
inline constexpr std::size_t kMailResultMax = 16'000;

}  // namespace gavel::simulation

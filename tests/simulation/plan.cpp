#include "plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "rng.hpp"

namespace gavel::simulation {
namespace {

struct Weight {
  StepKind kind;
  std::string_view name;
  std::uint64_t weight;  // of a usual plan
};

constexpr std::array<Weight, kStepKinds> kSteps = {{
    {StepKind::call, "call", 300},
    {StepKind::repeat_call, "repeat_call", 20},
    {StepKind::same_call, "same_call", 20},
    {StepKind::lie, "lie", 6},
    {StepKind::stale_call, "stale_call", 12},
    {StepKind::future_call, "future_call", 4},
    {StepKind::own_call, "own_call", 24},
    {StepKind::agent_dies, "agent_dies", 12},
    {StepKind::take_over, "take_over", 10},
    {StepKind::cancels, "cancels", 8},
    {StepKind::prompt, "prompt", 8},
    {StepKind::trespass, "trespass", 12},
    {StepKind::approve, "approve", 60},
    {StepKind::deny, "deny", 8},
    {StepKind::approve_twice, "approve_twice", 10},
    {StepKind::approve_other, "approve_other", 8},
    {StepKind::approve_own, "approve_own", 8},
    {StepKind::resolve, "resolve", 12},
    {StepKind::halt, "halt", 12},
    {StepKind::freeze, "freeze", 8},
    {StepKind::resume, "resume", 24},
    {StepKind::judge_tool, "judge_tool", 8},
    {StepKind::new_policy, "new_policy", 6},
    {StepKind::outside_halt, "outside_halt", 14},
    {StepKind::outside_wake, "outside_wake", 8},
    {StepKind::process_dies, "process_dies", 14},
    {StepKind::process_stops, "process_stops", 4},
    {StepKind::clock_steps, "clock_steps", 5},
    {StepKind::clock_drifts, "clock_drifts", 4},
    {StepKind::sync_fails, "sync_fails", 4},
    {StepKind::disk_full, "disk_full", 3},
    {StepKind::disk_stalls, "disk_stalls", 5},
    {StepKind::disk_busy, "disk_busy", 8},
    {StepKind::bit_flips, "bit_flips", 4},
    {StepKind::net_fault, "net_fault", 40},
    {StepKind::net_duplicates, "net_duplicates", 12},
    {StepKind::server_fault, "server_fault", 70},
}};

constexpr std::array<std::string_view, kServerFaults> kFaults = {
    "answer_lost", "request_lost",  "late",          "dies_before", "dies_after", "garbage",
    "unreadable",  "answers_twice", "says_failed",   "says_error",  "asks",       "busy",
    "busy_after",  "unreachable",   "lists_nothing", "probe_fails"};

StepKind roll_kind(Rng& rng, const std::array<std::uint64_t, kStepKinds>& weights) {
  std::uint64_t sum = 0;
  for (const auto weight : weights) sum += weight;
  std::uint64_t at = rng.below(sum);
  for (std::size_t i = 0; i < kStepKinds; ++i) {
    if (at < weights[i]) return kSteps[i].kind;
    at -= weights[i];
  }
  return StepKind::call;
}

}  // namespace

std::string_view to_string(StepKind kind) {
  return kSteps[static_cast<std::size_t>(kind)].name;
}

std::string_view to_string(ServerFault fault) {
  return kFaults[static_cast<std::size_t>(fault)];
}

std::string describe(const Step& step) {
  return fmt::format("step {}: {} {}", step.number, to_string(step.kind), step.actor);
}

Plan make_plan(std::uint64_t seed) {
  Rng rng(seed ^ 0x6a7e1c0ffee5eedu);
  Plan plan;
  plan.seed = seed;
  plan.agents = 1 + rng.below(4);
  plan.remote = !rng.one_in(3);
  plan.web_servers = rng.one_in(2);
  // No two plans have the same taste: some have no faults of a kind, some many.
  std::array<std::uint64_t, kStepKinds> weights{};
  for (std::size_t i = 0; i < kStepKinds; ++i) {
    constexpr std::array<std::uint64_t, 4> kTastes = {0, 1, 2, 6};
    weights[i] = kSteps[i].weight * (i == 0 ? 2 : kTastes[rng.below(kTastes.size())]);
  }
  const std::size_t steps = 20 + rng.below(120);
  // From a burst to a quiet afternoon.
  const std::int64_t pause = std::int64_t{1} << rng.between(3, 12);
  std::int64_t at = 0;
  for (std::size_t i = 0; i < steps; ++i) {
    at += rng.between(0, 2 * pause);
    Step step;
    step.number = i;
    step.at_ms = at;
    step.kind = roll_kind(rng, weights);
    step.actor = rng.below(64);
    step.dice = rng.next();
    plan.steps.push_back(step);
  }
  return plan;
}

Plan cut(const Plan& plan, const std::vector<std::size_t>& kept) {
  Plan out = plan;
  std::erase_if(out.steps, [&](const Step& step) {
    return !std::binary_search(kept.begin(), kept.end(), step.number);
  });
  return out;
}

}  // namespace gavel::simulation

#pragma once
// Deliberate bugs, one at a time: what the oracles are for. The product's sources know nothing of
// them. The simulator is linked with ld's --wrap, so that calls across files of some functions of
// the product come by mutants.cpp first, which passes them on or spoils them; CMakeLists.txt lists
// the functions. Some bugs are the simulated disk's own.

#include <cstdint>
#include <optional>
#include <string_view>

namespace gavel::simulation {

enum class Mutation : std::uint8_t {
  acknowledge_before_sync,
  lose_acknowledged,
  torn_is_believed,
  flip_is_believed,
  dispatch_before_durable,
  answer_before_durable,
  ignore_epoch,
  ignore_guard,
  ignore_halt,
  no_halt_recheck,
  no_epoch_recheck,
  digest_not_bound,
  requester_approves,
  anybody_approves,
  approval_skips_delay,
  policy_denial_ignored,
  second_decision,
  blind_retry,
  key_per_attempt,
  same_key_acts_again,
  lost_is_failed,
  crash_is_failed,
  crash_is_forgotten,
  probe_guesses,
  settles_twice,
  settles_nothing,
  no_budget_reserved,
  holds_never_expire,
  fold_miscounts,
  snapshot_forgets,
  gateway_forgets_names,
  gateway_mixes_sessions,
  lost_is_not_sent,
  deaf_to_others,
  history_is_rewritten,
  chain_forgets,
  silence_is_consent,
  votes_are_dropped,
};
inline constexpr std::size_t kMutations = static_cast<std::size_t>(Mutation::votes_are_dropped) + 1;

std::string_view to_string(Mutation);
std::optional<Mutation> mutation_from(std::string_view name);

// Which one is on, if any, from now on.
void set_mutation(std::optional<Mutation> mutation);
bool mutated(Mutation mutation);

}  // namespace gavel::simulation

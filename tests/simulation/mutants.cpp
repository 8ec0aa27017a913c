#include "mutants.hpp"

#include <array>

namespace gavel::simulation {
namespace {

constexpr std::array<std::string_view, kMutations> kNames = {"acknowledge_before_sync",
                                                             "lose_acknowledged",
                                                             "torn_is_believed",
                                                             "flip_is_believed",
                                                             "dispatch_before_durable",
                                                             "answer_before_durable",
                                                             "ignore_epoch",
                                                             "ignore_guard",
                                                             "ignore_halt",
                                                             "no_halt_recheck",
                                                             "no_epoch_recheck",
                                                             "digest_not_bound",
                                                             "requester_approves",
                                                             "anybody_approves",
                                                             "approval_skips_delay",
                                                             "policy_denial_ignored",
                                                             "second_decision",
                                                             "blind_retry",
                                                             "key_per_attempt",
                                                             "same_key_acts_again",
                                                             "lost_is_failed",
                                                             "crash_is_failed",
                                                             "crash_is_forgotten",
                                                             "probe_guesses",
                                                             "settles_twice",
                                                             "settles_nothing",
                                                             "no_budget_reserved",
                                                             "holds_never_expire",
                                                             "fold_miscounts",
                                                             "snapshot_forgets",
                                                             "gateway_forgets_names",
                                                             "gateway_mixes_sessions",
                                                             "lost_is_not_sent",
                                                             "deaf_to_others",
                                                             "history_is_rewritten",
                                                             "chain_forgets",
                                                             "silence_is_consent",
                                                             "votes_are_dropped"};

std::optional<Mutation> current;

}  // namespace

std::string_view to_string(Mutation mutation) {
  return kNames[static_cast<std::size_t>(mutation)];
}

std::optional<Mutation> mutation_from(std::string_view name) {
  for (std::size_t i = 0; i < kMutations; ++i) {
    if (kNames[i] == name) return static_cast<Mutation>(i);
  }
  return std::nullopt;
}

void set_mutation(std::optional<Mutation> mutation) {
  current = mutation;
}

bool mutated(Mutation mutation) {
  return current == mutation;
}

}  // namespace gavel::simulation

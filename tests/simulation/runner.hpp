#pragma once
// Runs seeds in child processes, so that a run which aborts (a broken ASSERT, a sanitizer's
// finding) is a failure of its seed and not the end of all.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mutants.hpp"
#include "plan.hpp"
#include "world.hpp"

namespace gavel::simulation {

// What `complaint` says of a run that ended without one of its own.
inline constexpr std::string_view kAborted = "abort";

struct SeedReport {
  std::uint64_t seed = 0;
  std::string digest;
  std::optional<Complaint> complaint;
};

struct Totals {
  std::uint64_t seeds = 0;
  std::uint64_t steps = 0;
  std::uint64_t handlers = 0;
  std::uint64_t crashes = 0;
  std::uint64_t faults = 0;
  std::uint64_t entries = 0;
  std::uint64_t effects = 0;
};

struct BatchOptions {
  std::uint64_t from = 1;
  std::uint64_t seeds = 100;
  std::size_t jobs = 1;
  std::size_t failures_max = 1;  // then no more seeds are begun
};

struct BatchReport {
  Totals totals;
  std::vector<SeedReport> broken;
  Coverage coverage;
};

BatchReport run_batch(const BatchOptions& options);

// One plan in a child of its own.
SeedReport run_apart(const Plan& plan, std::optional<Mutation> mutation);

// The fewest steps of the plan that still end in the same oracle's complaint, one run at a time and
// within `runs_max` of them.
Plan minimise(const Plan& plan, const Complaint& complaint, std::optional<Mutation> mutation,
              std::size_t runs_max);

// How many seeds it took until the mutation was caught, and by what.
struct Caught {
  Mutation mutation = Mutation::acknowledge_before_sync;
  std::uint64_t seeds = 0;
  std::optional<Complaint> complaint;  // none: it was not
};
std::vector<Caught> hunt(const std::vector<Mutation>& mutations, std::uint64_t seeds_max,
                         std::size_t jobs);

}  // namespace gavel::simulation

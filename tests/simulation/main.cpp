// gavel-sim: the whole product in a simulated world (docs/simulation.md).
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <map>

#include "coverage.hpp"
#include "runner.hpp"

namespace gavel::simulation {
namespace {

constexpr std::string_view kHelp = R"(gavel-sim [OPTION...]

  --seeds N          run N seeds (default 500); 500 or more have to reach everything
  --from S           the first of them (default 1)
  --seed S           run one seed; print its trace and digest
  --keep A,B,C       of its plan only the steps with these numbers
  --mutation NAME    with a deliberate bug
  --mutations        each deliberate bug until an oracle catches it; a table
  --jobs N           processes at once (default 2)
  --failures N       stop after so many failing seeds (default 1)
  --commit HASH      what is tested, to be printed with a failure

Exits with 1 if an oracle complains, something was never reached, or a bug was not caught.
)";

constexpr std::size_t kMinimiseRuns = 600;
constexpr std::uint64_t kSeedsPerMutation = 200;
// Fewer seeds need not reach everything.
constexpr std::uint64_t kSeedsForCoverage = 500;

struct Options {
  std::uint64_t seeds = 500;
  std::uint64_t from = 1;
  std::optional<std::uint64_t> seed;
  std::optional<std::vector<std::size_t>> keep;
  std::optional<Mutation> mutation;
  bool mutations = false;
  std::size_t jobs = 2;
  std::size_t failures = 1;
  std::string commit = "unknown";
};

[[noreturn]] void usage(std::string_view why) {
  fmt::print(stderr, "gavel-sim: {}\n\n{}", why, kHelp);
  std::exit(2);
}

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    usage(fmt::format("\"{}\" is no number", text));
  }
  return value;
}

std::vector<std::size_t> numbers(std::string_view text) {
  std::vector<std::size_t> out;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    out.push_back(number(text.substr(0, comma)));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  std::sort(out.begin(), out.end());
  return out;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--help" || name == "-h") {
      fmt::print("{}", kHelp);
      std::exit(0);
    }
    if (name == "--mutations") {
      options.mutations = true;
      continue;
    }
    if (i + 1 == argc) usage(fmt::format("{} is no option, or lacks its value", name));
    const std::string_view value = argv[++i];
    if (name == "--seeds") {
      options.seeds = number(value);
    } else if (name == "--from") {
      options.from = number(value);
    } else if (name == "--seed") {
      options.seed = number(value);
    } else if (name == "--keep") {
      options.keep = numbers(value);
    } else if (name == "--mutation") {
      options.mutation = mutation_from(value);
      if (!options.mutation) usage(fmt::format("no mutation \"{}\"", value));
    } else if (name == "--jobs") {
      options.jobs = std::max<std::size_t>(1, number(value));
    } else if (name == "--failures") {
      options.failures = std::max<std::size_t>(1, number(value));
    } else if (name == "--commit") {
      options.commit = value;
    } else {
      usage(fmt::format("no option \"{}\"", name));
    }
  }
  return options;
}

// The machine's own: std::chrono's clocks are the simulation's.
double seconds_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

int run_one(const Options& options) {
  Plan plan = make_plan(*options.seed);
  if (options.keep) plan = cut(plan, *options.keep);
  set_mutation(options.mutation);
  World world(plan, Trace::Keep::lines);
  const RunResult run = world.run();
  for (const auto& line : run.trace) fmt::print("{}\n", line);
  fmt::print("seed {}: {} steps, {} restarts, {} faults, {} entries, {} effects; digest {}\n",
             plan.seed, run.steps, run.crashes, run.faults, run.entries, run.effects, run.digest);
  return run.complaint ? 1 : 0;
}

void explain(const Options& options, const SeedReport& broken) {
  fmt::print("\nFAILED seed {} at commit {}: [{}] {}\n", broken.seed, options.commit,
             broken.complaint->oracle, broken.complaint->text);
  const Plan whole = make_plan(broken.seed);
  const Plan least = minimise(whole, *broken.complaint, std::nullopt, kMinimiseRuns);
  std::string kept;
  for (const auto& step : least.steps) {
    kept += fmt::format("{}{}", kept.empty() ? "" : ",", step.number);
  }
  fmt::print("of its {} steps {} are enough:\n", whole.steps.size(), least.steps.size());
  for (const auto& step : least.steps) {
    fmt::print("  {:9.3f} s  {}\n", static_cast<double>(step.at_ms) / 1e3, describe(step));
  }
  fmt::print("replay:   gavel-sim --seed {}{}\n", broken.seed,
             kept.empty() ? "" : " --keep " + kept);
  if (broken.complaint->oracle == kAborted) return;
  World world(least, Trace::Keep::lines);
  for (const auto& line : world.run().trace) fmt::print("  {}\n", line.substr(0, 240));
}

void print_coverage(const Coverage& coverage) {
  std::map<std::string, std::string> groups;
  for (const auto& [name, count] : coverage) {
    const auto colon = name.find(": ");
    auto& line = groups[name.substr(0, colon)];
    line += fmt::format("{}{} {}", line.empty() ? "" : " · ", name.substr(colon + 2), count);
  }
  for (const auto& [group, line] : groups) fmt::print("{:9}  {}\n", group, line);
  for (const auto& exemption : exemptions()) {
    fmt::print("exempt     {}: {}\n", exemption.names, exemption.reason);
  }
}

int run_many(const Options& options) {
  const double began = seconds_now();
  BatchOptions batch;
  batch.from = options.from;
  batch.seeds = options.seeds;
  batch.jobs = options.jobs;
  batch.failures_max = options.failures;
  const BatchReport report = run_batch(batch);
  print_coverage(report.coverage);
  std::size_t missing = 0;
  if (options.seeds >= kSeedsForCoverage && report.broken.empty()) {
    for (const auto& gap : coverage_gaps(report.coverage)) {
      fmt::print("{}\n", gap);
      ++missing;
    }
  }
  for (const auto& broken : report.broken) explain(options, broken);
  const Totals& totals = report.totals;
  fmt::print(
      "{} seeds from {}: {} steps, {} handlers, {} restarts, {} faults, {} entries, {} effects in "
      "{:.1f} s\n",
      totals.seeds, options.from, totals.steps, totals.handlers, totals.crashes, totals.faults,
      totals.entries, totals.effects, seconds_now() - began);
  const std::size_t failed = report.broken.size() + missing;
  fmt::print("{} passed, {} failed\n", totals.seeds - std::min(totals.seeds, report.broken.size()),
             failed);
  return failed == 0 && totals.seeds > 0 ? 0 : 1;
}

int run_mutations(const Options& options) {
  const double began = seconds_now();
  std::vector<Mutation> all;
  for (std::size_t i = 0; i < kMutations; ++i) all.push_back(static_cast<Mutation>(i));
  if (options.mutation) all = {*options.mutation};
  std::size_t failed = 0;
  fmt::print("{:24}  {:>5}  {}\n", "mutation", "seeds", "caught by");
  for (const auto& caught : hunt(all, kSeedsPerMutation, options.jobs)) {
    fmt::print("{:24}  {:>5}  {}\n", to_string(caught.mutation), caught.seeds,
               caught.complaint ? fmt::format("[{}] {}", caught.complaint->oracle,
                                              caught.complaint->text.substr(0, 90))
                                : "NOTHING");
    failed += caught.complaint ? 0 : 1;
  }
  fmt::print("in {:.1f} s\n{} passed, {} failed\n", seconds_now() - began, all.size() - failed,
             failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace gavel::simulation

int main(int argc, char** argv) {
  using namespace gavel::simulation;
  const Options options = parse(argc, argv);
  if (options.mutations) return run_mutations(options);
  return options.seed ? run_one(options) : run_many(options);
}

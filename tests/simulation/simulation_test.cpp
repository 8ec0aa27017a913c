#include <fnmatch.h>
#include <gtest/gtest.h>

#include <set>

#include "chain.hpp"
#include "coverage.hpp"
#include "linearizability.hpp"
#include "runner.hpp"
#include "sim_log.hpp"
#include "world.hpp"

namespace gavel::simulation {
namespace {

RunResult run(const Plan& plan) {
  return World(plan, Trace::Keep::lines).run();
}

TEST(Simulation, TheSameSeedIsTheSameRunToTheByte) {
  std::set<std::string> digests;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const RunResult first = run(make_plan(seed));
    const RunResult second = run(make_plan(seed));
    EXPECT_EQ(first.trace, second.trace) << "seed " << seed;
    EXPECT_EQ(first.digest, second.digest) << "seed " << seed;
    EXPECT_FALSE(first.complaint) << first.complaint->text;
    digests.insert(first.digest);
  }
  EXPECT_EQ(digests.size(), 20u);
}

TEST(Simulation, AnotherProcessRunsASeedTheSameWay) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    EXPECT_EQ(run_apart(make_plan(seed), std::nullopt).digest, run(make_plan(seed)).digest);
  }
}

TEST(Simulation, TimeIsItsOwn) {
  machine::reset();
  const auto before = std::chrono::steady_clock::now();
  const RunResult result = run(make_plan(3));
  EXPECT_GT(result.entries, 0u);
  // A run takes half a minute of this clock, or more, which is the only one that the product can
  // read.
  EXPECT_GT(std::chrono::steady_clock::now() - before, std::chrono::seconds(20));
}

// A disk that stalls for longer than anybody waits, under clients that ask for leave to act: what
// is not durable is not told, not even that it is held.
TEST(Simulation, AHeldLeaveIsNotToldBeforeItIsDurable) {
  for (std::uint64_t dice = 1; dice <= 150; ++dice) {
    Plan plan;
    plan.seed = dice;
    plan.agents = 1;
    Rng rng(dice);
    plan.steps = {{0, 10, StepKind::own_call, 0, rng.next()},
                  {1, 3'000, StepKind::disk_stalls, 0, rng.next()},
                  {2, 4'000, StepKind::own_call, 0, rng.next()}};
    const RunResult result = run(plan);
    ASSERT_FALSE(result.complaint) << dice << ": " << result.complaint->text;
  }
}

// Two calls that are the same while the disk stalls: the gateway stops, and names to neither what
// is not durable.
TEST(Simulation, ASecondCallIsNotToldOfAHoldBeforeItIsDurable) {
  for (std::uint64_t dice = 1; dice <= 150; ++dice) {
    Plan plan;
    plan.seed = dice;
    plan.agents = 1;
    plan.remote = true;
    Rng rng(dice);
    plan.steps = {{0, 10, StepKind::disk_stalls, 0, rng.next()},
                  {1, 40, StepKind::repeat_call, 0, rng.next()},
                  {2, 160, StepKind::process_stops, 0, rng.next()}};
    const RunResult result = run(plan);
    ASSERT_FALSE(result.complaint) << dice << ": " << result.complaint->text;
  }
}

// Another process elects a driver while the disk stalls, and its entry takes the place of a read
// that waits to be recorded: the read is not told under the name of what stands there.
TEST(Simulation, AReadWhosePlaceAnotherTookIsNotNamed) {
  for (std::uint64_t dice = 1; dice <= 40; ++dice) {
    Plan plan;
    plan.seed = dice;
    plan.agents = 2;
    Rng rng(dice);
    plan.steps = {{0, 95, StepKind::disk_stalls, 0, rng.next()},
                  {1, 589, StepKind::call, 0, rng.next()},
                  {2, 593, StepKind::outside_wake, 0, rng.next()},
                  {3, 1'400, StepKind::repeat_call, 1, rng.next()},
                  {4, 1'600, StepKind::repeat_call, 0, rng.next()},
                  {5, 1'800, StepKind::repeat_call, 1, rng.next()}};
    const RunResult result = run(plan);
    ASSERT_FALSE(result.complaint) << dice << ": " << result.complaint->text;
  }
}

// Nobody would end it: the daemon's servers are closed by then, and their names free.
TEST(Simulation, NoServerIsAttachedWhileTheDaemonStops) {
  for (std::uint64_t dice = 1; dice <= 50; ++dice) {
    Plan plan;
    plan.seed = dice;
    plan.agents = 1;
    plan.remote = true;
    Rng rng(dice);
    plan.steps = {{0, 1'000, StepKind::process_stops, 0, rng.next()},
                  {1, 4'000, StepKind::new_policy, 0, rng.next()}};
    const RunResult result = run(plan);
    ASSERT_FALSE(result.complaint) << dice << ": " << result.complaint->text;
  }
}

TEST(Plan, ACutOneKeepsTheStepsThatAreLeft) {
  const Plan whole = make_plan(7);
  const Plan some = cut(whole, {0, 3, 5});
  ASSERT_EQ(some.steps.size(), 3u);
  EXPECT_EQ(some.steps[1].number, 3u);
  EXPECT_EQ(some.steps[1].dice, whole.steps[3].dice);
  EXPECT_EQ(some.agents, whole.agents);
}

TEST(Minimise, LeavesAFewStepsThatStillFail) {
  const auto mutation = Mutation::approval_skips_delay;
  Plan plan;
  SeedReport report;
  for (std::uint64_t seed = 1; !report.complaint; ++seed) {
    plan = make_plan(seed);
    report = run_apart(plan, mutation);
  }
  const Plan least = minimise(plan, *report.complaint, mutation, 300);
  EXPECT_LE(least.steps.size(), 4u) << "of " << plan.steps.size();
  const auto again = run_apart(least, mutation);
  ASSERT_TRUE(again.complaint);
  EXPECT_EQ(again.complaint->oracle, report.complaint->oracle);
  EXPECT_FALSE(run_apart(least, std::nullopt).complaint);
}

// Each deliberate bug, and which oracle has to say so. Without one of these, the oracle is the bug.
struct Expected {
  Mutation mutation;
  std::set<std::string> oracles;
};

TEST(Mutations, AreCaughtByTheirOracles) {
  const std::vector<Expected> expected = {
      {Mutation::acknowledge_before_sync, {"I1 commit first", "I5 durable first", "durability"}},
      {Mutation::lose_acknowledged, {"durability"}},
      {Mutation::torn_is_believed, {"durability"}},
      {Mutation::flip_is_believed, {"durability"}},
      {Mutation::dispatch_before_durable, {"I1 commit first"}},
      {Mutation::answer_before_durable, {"I5 durable first"}},
      {Mutation::ignore_epoch, {"I3 epochs", "I4 one effect"}},
      {Mutation::ignore_guard, {"I6 halts"}},
      {Mutation::ignore_halt, {"I6 halts"}},
      {Mutation::no_halt_recheck, {"I6 halts"}},
      {Mutation::no_epoch_recheck, {"I3 epochs", "I6 halts"}},
      {Mutation::digest_not_bound, {"I7 binding"}},
      {Mutation::requester_approves, {"I7 binding"}},
      {Mutation::anybody_approves, {"I7 binding", "I10 rights"}},
      {Mutation::approval_skips_delay, {"two steps"}},
      {Mutation::policy_denial_ignored, {"policy"}},
      {Mutation::second_decision, {"I2 one decision"}},
      {Mutation::blind_retry, {"I4 one effect"}},
      {Mutation::key_per_attempt, {"I4 one effect", "TRUTH"}},
      {Mutation::same_key_acts_again, {"I4 one effect", "answers"}},
      {Mutation::lost_is_failed, {"TRUTH"}},
      {Mutation::crash_is_failed, {"TRUTH"}},
      {Mutation::crash_is_forgotten, {"END"}},
      {Mutation::probe_guesses, {"TRUTH"}},
      {Mutation::settles_twice, {"I12 budgets"}},
      {Mutation::settles_nothing, {"I12 budgets"}},
      {Mutation::no_budget_reserved, {"I12 budgets"}},
      {Mutation::holds_never_expire, {"END"}},
      {Mutation::fold_miscounts, {"I8 replicas"}},
      {Mutation::snapshot_forgets, {"I8 replicas"}},
      {Mutation::gateway_forgets_names, {"I4 one effect", "answers"}},
      {Mutation::gateway_mixes_sessions, {"I10 rights", "I3 epochs", "answers"}},
      {Mutation::deaf_to_others, {"I3 epochs", "I6 halts"}},
      {Mutation::lost_is_not_sent, {"I4 one effect", "TRUTH"}},
      {Mutation::history_is_rewritten, {"I9 chain"}},
      {Mutation::chain_forgets, {"I9 chain"}},
      {Mutation::silence_is_consent, {"I11 voters"}},
      {Mutation::votes_are_dropped, {"I11 voters"}},
  };
  ASSERT_EQ(expected.size(), kMutations);
  std::vector<Mutation> mutations;
  for (const auto& one : expected) mutations.push_back(one.mutation);
  const auto caught = hunt(mutations, 200, 2);
  for (std::size_t i = 0; i < caught.size(); ++i) {
    ASSERT_TRUE(caught[i].complaint) << to_string(mutations[i]) << " was not caught";
    EXPECT_TRUE(expected[i].oracles.contains(caught[i].complaint->oracle))
        << to_string(mutations[i]) << " was caught by " << caught[i].complaint->oracle << ": "
        << caught[i].complaint->text;
  }
}

Append entry_with_blob(std::uint8_t number) {
  Append append;
  append.id.bytes[0] = number;
  const std::string bytes(kInlinePayload + number, 'b');
  append.blobs.push_back({sha256(bytes), bytes});
  append.parts.push_back({.log = LogId{"s"},
                          .expected_tail = Position{number - 1u},
                          .epoch = {},
                          .entries = {std::to_string(number)},
                          .next_due = {}});
  return append;
}

TEST(Disk, GivesOutNothingThatIsDamagedUntilItIsRestored) {
  for (std::uint64_t dice = 1; dice <= 200; ++dice) {
    Coverage coverage;
    Disk disk([](const Append&) {}, coverage);
    const Append append = entry_with_blob(1);
    disk.write(append);
    ASSERT_TRUE(disk.flip_bit(dice));
    const auto entries = disk.read(LogId{"s"}, Position{1}, {});
    const auto blob = disk.blob(append.blobs.front().digest);
    ASSERT_FALSE(entries) << dice;
    ASSERT_FALSE(blob) << dice;
    EXPECT_EQ(entries.error().code, ErrorCode::corrupted);
    EXPECT_EQ(blob.error().code, ErrorCode::corrupted);
    disk.restore();
    EXPECT_EQ(disk.read(LogId{"s"}, Position{1}, {}).value().front().bytes, "1");
    EXPECT_EQ(disk.blob(append.blobs.front().digest), append.blobs.front().bytes);
  }
}

TEST(Disk, TakesUpNothingOfATornWriteNorWhatLiesBehindIt) {
  for (std::uint64_t dice = 1; dice <= 200; ++dice) {
    Coverage coverage;
    int durable = 0;
    Disk disk([&](const Append&) { ++durable; }, coverage);
    disk.write(entry_with_blob(1));
    const std::array unsynced = {entry_with_blob(2), entry_with_blob(3)};
    disk.tear(unsynced, dice);
    EXPECT_EQ(durable, 1) << dice;
    EXPECT_EQ(disk.read(LogId{"s"}, Position{1}, {}).value().size(), 1u) << dice;
    disk.write(entry_with_blob(2));
    EXPECT_EQ(disk.read(LogId{"s"}, Position{1}, {}).value().back().bytes, "2");
  }
}

TEST(Coverage, IsWhatTheEnumsSayWithoutWhatIsExempted) {
  const auto derived = coverage_derived();
  const auto expected = coverage_expected();
  const auto has = [](const std::vector<std::string>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  for (const auto* name : {"entry: tool_refused", "code: too_large", "intent: held -> aborted",
                           "halt: freeze -> running", "step: trespass"}) {
    EXPECT_TRUE(has(derived, name) && has(expected, name)) << name;
  }
  EXPECT_TRUE(has(derived, "entry: task"));
  EXPECT_FALSE(has(expected, "entry: task"));
  EXPECT_TRUE(has(coverage_gaps({}), "NEVER REACHED: code: too_large"));
  EXPECT_EQ(coverage_gaps({{"code: internal", 1}}).back(), "REACHED, AND EXEMPTED: code: internal");
  for (const auto& exemption : exemptions()) {
    EXPECT_TRUE(std::any_of(derived.begin(), derived.end(),
                            [&](const std::string& name) {
                              return fnmatch(exemption.names.data(), name.c_str(), 0) == 0;
                            }))
        << exemption.names << " exempts nothing";
  }
}

// Whoever changes, drops or reorders what is written is found, checksums or not.
TEST(Chain, TellsAChangedADroppedAndAReorderedEntry) {
  Coverage coverage;
  Disk disk([](const Append&) {}, coverage);
  for (std::uint8_t i = 1; i <= 4; ++i) disk.write(entry_with_blob(i));
  const auto heads = disk.contents().list("", LogId{}, 8).value();
  const auto broken = [&](const std::vector<std::string>& frames) {
    return broken_chain(frames, heads).value_or("whole");
  };
  EXPECT_EQ(broken(disk.frames()), "whole");
  auto frames = disk.frames();
  const std::size_t changed = frames[1].find(std::string("\0\0\0\1"
                                                         "2",
                                                         5)) +
                              4;
  frames[1][changed] = '7';
  EXPECT_EQ(broken(frames), "s #3: a hash behind it is not that of what is written");
  frames = disk.frames();
  frames.erase(frames.begin() + 1);
  EXPECT_EQ(broken(frames), "s #2: #3 is there instead");
  frames = disk.frames();
  std::swap(frames[1], frames[2]);
  EXPECT_EQ(broken(frames), "s #2: #3 is there instead");
  frames = disk.frames();
  frames.pop_back();
  EXPECT_EQ(broken(frames), "s: its head says #4 with another hash than its entries up to #3 give");
}

// The simulated engine under clients that do not wait for each other, and crashes: what was durable
// is linearizable, where an append whose callback never came may have happened.
TEST(SimLog, IsLinearizableAcrossCrashes) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    machine::reset();
    Rng rng(seed);
    Schedule schedule;
    Trace trace(Trace::Keep::digest);
    Coverage coverage;
    Disk disk([](const Append&) {}, coverage);
    const LogId name{"s"};
    const auto open = [&] {
      return std::make_unique<SimLog>(
          SimLogWorld{disk, schedule, trace, coverage, [](const Append&) {}}, rng.next());
    };
    auto log = open();
    std::vector<LogOperation> history;
    std::uint64_t moment = 0;
    for (std::uint64_t i = 1; i <= 40; ++i) {
      LogOperation made;
      made.called = ++moment;
      if (rng.one_in(12)) {
        log->crash();
        log = open();
      } else if (rng.one_in(3)) {
        for (Position from{1};;) {
          const auto page = log->read(name, from, {});
          if (page->empty()) break;
          for (const auto& entry : *page) made.entries.push_back(std::stoull(entry.bytes));
          from = page->back().position.next();
        }
        made.returned = ++moment;
        history.push_back(made);
      } else {
        made.kind = LogOperation::Kind::append;
        const Position tail = log->head(name)->tail;
        made.parts = {{.expected_tail = tail.value, .entry = i}};
        Append append;
        append.id.bytes[0] = static_cast<std::uint8_t>(i);
        append.parts.push_back({.log = name,
                                .expected_tail = tail,
                                .epoch = {},
                                .entries = {std::to_string(i)},
                                .next_due = {}});
        const std::size_t at = history.size();
        history.push_back(made);
        const auto done = log->append(std::move(append), [&, at](const Status& status) {
          if (!status) return;
          history[at].returned = ++moment;
        });
        ASSERT_TRUE(done);
      }
      for (auto steps = rng.below(4); steps > 0 && schedule.next(); --steps) {
        machine::advance_to(std::max(*schedule.next(), machine::now()));
        schedule.run_one();
      }
    }
    const auto judgement = judge(history);
    EXPECT_EQ(judgement.verdict, Linearity::linearizable) << "seed " << seed << "\n"
                                                          << judgement.explanation;
  }
}

}  // namespace
}  // namespace gavel::simulation

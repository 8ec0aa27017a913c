// The way into a log: what a role may not append does not reach it through the runtime, an engine
// that was given it all the same is read without harm, and honest calls go on after each.
#include <fmt/format.h>

#include <boost/asio/io_context.hpp>

#include "log/memory_log.hpp"
#include "matrix.hpp"
#include "runtime/append.hpp"
#include "runtime/sessions.hpp"
#include "runtime/upstream_world_test.hpp"

namespace gavel::hostile {
namespace {

const LogId kWork{"work"};

class AppendPath : public ::testing::Test {
protected:
  AppendPath() {
    commit(decide(session().state, Open{kWork, Principal{"agent"}, "test", clock_.now()}).value());
    commit(decide(session().state, Elect{Principal{"agent"}, "start", clock_.now()}).value());
  }

  static Sessions::Hooks no_hooks() {
    return {.perform = [](auto&, auto&, auto&) {}, .recover = [](auto&) {}, .due = [](auto&) {}};
  }
  Session& session() { return sessions_->get(kWork).value(); }
  Status commit(Plan plan) {
    const auto done = sessions_->commit(session(), std::move(plan), Durability::now);
    io_.poll();
    io_.restart();
    return done;
  }
  Position tail(const LogId& log) { return log_->head(log)->tail; }
  // As another process would write it, past the runtime.
  void poison(const LogId& log, std::vector<std::string> entries) {
    const Head head = log_->head(log).value();
    Append append;
    append.id = random_append_id(random_);
    AppendPart part;
    part.log = log;
    part.expected_tail = head.tail;
    part.epoch = head.epoch;
    part.entries = std::move(entries);
    append.parts.push_back(std::move(part));
    ASSERT_TRUE(log_->append(std::move(append), [](const Status&) {}));
  }
  // All of it read anew, as after a restart.
  void restart() {
    sessions_ = std::make_unique<Sessions>(io_.get_executor(), *log_, control_, clock_, random_,
                                           no_hooks());
  }
  void expect_honest_call() {
    const auto key = fmt::format("honest {}", ++calls_);
    Propose command;
    command.requester = Principal{"agent"};
    command.epoch = session().state.epoch;
    command.tool = "t__write";
    command.digest = sha256(key);
    command.key = key;
    command.key_source = KeySource::client;
    command.assessment.verdict = Verdict::allow;
    command.assessment.effect = Effect::write;
    command.now = clock_.now();
    const auto proposed = decide(session().state, {}, command);
    ASSERT_TRUE(proposed) << proposed.error().message;
    EXPECT_EQ(proposed->disposition, Disposition::dispatch);
    const auto committed = commit(proposed->plan);
    ASSERT_TRUE(committed) << committed.error().message;
  }

  asio::io_context io_;
  std::unique_ptr<Log> log_ = make_memory_log();
  TestClock clock_;
  TestRandom random_;
  ControlPlane control_{*log_};
  std::unique_ptr<Sessions> sessions_ =
      std::make_unique<Sessions>(io_.get_executor(), *log_, control_, clock_, random_, no_hooks());
  int calls_ = 0;
};

TEST_F(AppendPath, RefusesWhatTheRoleMayNotAppend) {
  const Scene scene;
  for (const auto& row : kMatrix) {
    for (std::size_t i = 0; i < kRoles.size(); ++i) {
      if (row.may[i] == 'x') continue;
      SCOPED_TRACE(fmt::format("{} by {}", row.kind, to_string(kRoles[i])));
      const Position before = tail(kWork);
      const LogId control{"control/everything"};
      const Entry entry = scene.entry(row.kind, kRoles[i]);
      Plan alone;
      alone.entries.push_back(entry);
      EXPECT_EQ(commit(alone).error().code, ErrorCode::permission_denied);
      Plan beside;
      beside.control.push_back({control, {entry}});
      EXPECT_EQ(commit(beside).error().code, ErrorCode::permission_denied);
      const auto direct =
          control_.append(control_.state(control), {entry}, random_, [](const Status&) {});
      EXPECT_EQ(direct.error().code, ErrorCode::permission_denied);
      EXPECT_EQ(tail(kWork), before);
      EXPECT_EQ(tail(control), Position{0});
      EXPECT_EQ(session().state.tail, before);
    }
  }
  expect_honest_call();
}

TEST_F(AppendPath, AForgeryBehindAnHonestEntryTakesBothWithIt) {
  Plan plan = refuse(session().state, {Principal{"x"}, Epoch{1}, "y", {}, clock_.now()});
  ASSERT_EQ(plan.entries.size(), 1u);
  plan.entries.push_back(Scene().entry("decision", Role::driver));
  const Position before = tail(kWork);
  EXPECT_FALSE(commit(std::move(plan)));
  EXPECT_EQ(tail(kWork), before);
  EXPECT_EQ(session().state.counters.refused, 0u);
  expect_honest_call();
}

TEST_F(AppendPath, APoisonedLogIsReadWithItsForgeriesSkipped) {
  const Scene scene;
  std::vector<std::string> forged;
  for (const auto& row : kMatrix) {
    for (std::size_t i = 0; i < kRoles.size(); ++i) {
      if (row.may[i] == '.') forged.push_back(encode(scene.entry(row.kind, kRoles[i])));
    }
  }
  const auto before = session().state;
  poison(kWork, forged);
  restart();
  EXPECT_EQ(session().state.tail.value, before.tail.value + forged.size());
  EXPECT_EQ(session().state.counters.skipped, forged.size());
  EXPECT_EQ(session().state.open, before.open);
  EXPECT_EQ(session().state.epoch, before.epoch);
  expect_honest_call();
}

TEST_F(AppendPath, AProcessThatMissedTheForgeriesFoldsThemBeforeItGoesOn) {
  poison(kWork, {encode(Scene().entry("decision", Role::voter))});
  Propose command;
  command.requester = Principal{"agent"};
  command.epoch = Epoch{1};
  command.tool = "t__write";
  command.key = "once";
  command.assessment.verdict = Verdict::allow;
  command.now = clock_.now();
  const auto stale = decide(session().state, {}, command);
  ASSERT_TRUE(stale);
  EXPECT_EQ(commit(stale->plan).error().code, ErrorCode::conflict);
  expect_honest_call();
  EXPECT_EQ(session().state.counters.skipped, 1u);
}

TEST_F(AppendPath, BytesThatAreNoEntryStopTheirSessionAndNoOther) {
  poison(LogId{"garbage"}, {"\x01"});
  restart();
  const auto broken = sessions_->get(LogId{"garbage"});
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code, ErrorCode::corrupted);
  EXPECT_NE(broken.error().message.find("gavel verify"), std::string::npos);
  expect_honest_call();
}

TEST_F(AppendPath, NobodyDrivesAControlLog) {
  for (const std::string name : {"control/everything", "control/agent/agent", "control/x"}) {
    const auto driven = sessions_->get(LogId{name});
    ASSERT_FALSE(driven) << name;
    EXPECT_EQ(driven.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(tail(LogId{name}), Position{0});
  }
  EXPECT_TRUE(sessions_->get(LogId{std::string(kSessionNameMax, 'x')}));
  EXPECT_FALSE(sessions_->get(LogId{std::string(kSessionNameMax + 1, 'x')}))
      << "its control log could not be named";
  expect_honest_call();
}

TEST_F(AppendPath, ForgedEpochsAndNamesAreRefusedByTheEngine) {
  const auto attempt = [&](AppendPart part) {
    Append append;
    append.id = random_append_id(random_);
    if (part.entries.empty()) part.entries = {encode(Scene().entry("refused", Role::admin))};
    append.parts.push_back(std::move(part));
    const auto done = log_->append(std::move(append), [](const Status&) {});
    return done ? std::string("appended") : std::string(to_string(done.error().code));
  };
  const Head head = log_->head(kWork).value();
  const auto part = [&](Epoch epoch, EpochRule rule, Position expected) {
    AppendPart made;
    made.log = kWork;
    made.epoch = epoch;
    made.epoch_rule = rule;
    made.expected_tail = expected;
    return made;
  };
  EXPECT_EQ(attempt(part(Epoch{0}, EpochRule::same, head.tail)), "stale_epoch");
  EXPECT_NE(attempt(part(Epoch{2}, EpochRule::same, head.tail)), "appended");
  EXPECT_NE(attempt(part(Epoch{1}, EpochRule::elect, head.tail)), "appended");
  EXPECT_NE(attempt(part(Epoch{UINT64_MAX}, EpochRule::elect, head.tail)), "appended");
  EXPECT_EQ(attempt(part(Epoch{1}, EpochRule::same, Position{0})), "conflict");
  EXPECT_EQ(attempt(part(Epoch{1}, EpochRule::same, Position{UINT64_MAX})), "conflict");
  for (const std::string name : {"", " ", "a\nb", "../up\\", "caf\xc3\xa9", "a b"}) {
    auto named = part(Epoch{0}, EpochRule::same, Position{0});
    named.log = LogId{name};
    EXPECT_EQ(attempt(named), "invalid_argument") << name;
  }
  auto huge = part(Epoch{1}, EpochRule::same, head.tail);
  huge.entries = {std::string(kAppendBytesMax + 1, 'x')};
  EXPECT_EQ(attempt(huge), "too_large");
  EXPECT_EQ(tail(kWork), head.tail);
  expect_honest_call();
}

}  // namespace
}  // namespace gavel::hostile

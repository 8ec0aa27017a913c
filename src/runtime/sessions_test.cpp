#include "runtime/sessions.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "core/codec.hpp"
#include "core/fold.hpp"
#include "log/log_testing.hpp"
#include "runtime/upstream_world_test.hpp"

namespace gavel {
namespace {

// An engine that can be told to be busy, and that says late what is durable.
class MoodyLog final : public testing::ForwardingLog {
public:
  bool busy = false;
  bool snapshots_damaged = false;
  bool damaged = false;

  Result<std::vector<StoredEntry>> read(const LogId& log, Position from,
                                        const ReadLimits& limits) override {
    if (damaged) return fail(ErrorCode::corrupted, "a record is damaged");
    return ForwardingLog::read(log, from, limits);
  }

  Result<std::optional<Snapshot>> load_snapshot(const LogId& log) override {
    if (snapshots_damaged) return fail(ErrorCode::corrupted, "the snapshot is damaged");
    return ForwardingLog::load_snapshot(log);
  }

  // From here on nothing more is said to be durable.
  void go_slow(const LogId& log) { durable_ = ForwardingLog::head(log)->durable; }
  void catch_up() {
    durable_.reset();
    for (auto& late : std::exchange(late_, {})) late({});
  }

  Result<Sequenced> append(Append append, OnDurable on_durable) override {
    if (busy) return fail(ErrorCode::busy, "too much waits for the disk");
    if (!durable_) return ForwardingLog::append(std::move(append), std::move(on_durable));
    late_.push_back(std::move(on_durable));
    return ForwardingLog::append(std::move(append), [](const Status&) {});
  }
  Result<Head> head(const LogId& log) override {
    auto head = ForwardingLog::head(log);
    if (head && durable_) head->durable = *durable_;
    return head;
  }

private:
  std::optional<Position> durable_;
  std::vector<OnDurable> late_;
};

class SessionsTest : public ::testing::Test {
protected:
  Session& session() { return sessions_.get(LogId{"work"}).value(); }

  void open() {
    commit(decide(session().state, Open{LogId{"work"}, Principal{"agent"}, "test", clock_.now()}));
    commit(decide(session().state, Elect{Principal{"agent"}, "start", clock_.now()}));
  }
  Status try_commit(Result<Plan> plan, Durability durability = Durability::now) {
    return sessions_.commit(session(), std::move(plan.value()), durability);
  }
  void commit(Result<Plan> plan) { ASSERT_TRUE(try_commit(std::move(plan))); }
  Result<Plan> election() {
    return decide(session().state, Elect{Principal{"agent"}, "again", clock_.now()});
  }
  Plan refusal() { return refusal_of(session()); }
  Plan refusal_of(const Session& session) {
    return refuse(session.state, {Principal{"zombie"},
                                  Epoch{1},
                                  "propose",
                                  {ErrorCode::stale_epoch, "older"},
                                  clock_.now()});
  }
  State read_anew() {
    asio::io_context other;
    ControlPlane control(log_);
    Sessions fresh(
        other.get_executor(), log_, control, clock_, random_,
        {.perform = [](auto&, auto&, auto&) {}, .recover = [](auto&) {}, .due = [](auto&) {}});
    return fresh.peek(LogId{"work"}).value();
  }

  asio::io_context io_;
  MoodyLog log_;
  TestClock clock_;
  TestRandom random_;
  ControlPlane control_{log_};
  Sessions sessions_{
      io_.get_executor(),
      log_,
      control_,
      clock_,
      random_,
      {.perform = [](auto&, auto&, auto&) {}, .recover = [](auto&) {}, .due = [](auto&) {}}};
};

TEST_F(SessionsTest, ABusyStoreForgetsNothingThatIsOnItsWay) {
  open();
  log_.go_slow(LogId{"work"});
  commit(election());
  const State sequenced = session().state;
  log_.busy = true;
  const auto refused = try_commit(election());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::busy);
  EXPECT_EQ(session().state, sequenced);
  EXPECT_EQ(session().sequenced, sequenced.tail);

  log_.busy = false;
  commit(election());
  log_.catch_up();
  io_.poll();
  EXPECT_EQ(session().state.epoch, Epoch{3});
  EXPECT_EQ(session().durable, session().state.tail);
  EXPECT_TRUE(session().in_flight.empty());
  EXPECT_EQ(read_anew(), session().state);
}

TEST_F(SessionsTest, ARefusedAppendOverADamagedLogStopsItsSessionOnly) {
  open();
  io_.poll();
  const State before = session().state;
  log_.busy = log_.damaged = true;
  Session& hot = session();
  EXPECT_EQ(try_commit(election()).error().code, ErrorCode::busy);
  // What was refused was folded already: nothing may be told or written on top of it.
  log_.busy = false;
  EXPECT_EQ(sessions_.get(LogId{"work"}).error().code, ErrorCode::corrupted);
  EXPECT_EQ(sessions_.commit(hot, refusal_of(hot), Durability::now).error().code,
            ErrorCode::corrupted);
  EXPECT_EQ(sessions_.commit(hot, refusal_of(hot), Durability::deferred).error().code,
            ErrorCode::corrupted);
  EXPECT_EQ(log_.head(LogId{"work"})->tail, before.tail);

  log_.damaged = false;
  EXPECT_EQ(session().state, before);
  commit(election());
  io_.poll();
  EXPECT_EQ(read_anew(), session().state);
}

TEST_F(SessionsTest, NotesInWhosePlaceAnotherProcessWroteAreGone) {
  open();
  io_.poll();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(try_commit(refusal(), Durability::deferred));
  // Fewer than the notes: none of them stands where it would have.
  const State before = read_anew();
  const auto elected = decide(before, Elect{Principal{"other"}, "elsewhere", clock_.now()});
  Append append;
  append.id.bytes[0] = 9;
  append.parts.push_back({.log = LogId{"work"},
                          .expected_tail = before.tail,
                          .epoch = before.epoch.next(),
                          .epoch_rule = EpochRule::elect,
                          .entries = {encode(elected->entries.front())},
                          .next_due = {}});
  ASSERT_TRUE(log_.append(std::move(append), {}));

  ASSERT_TRUE(sessions_.catch_up(session()));
  EXPECT_TRUE(session().deferred.empty());
  EXPECT_EQ(session().state, read_anew());
  EXPECT_EQ(session().state.epoch, before.epoch.next());
  commit(election());
  io_.poll();
  EXPECT_EQ(read_anew(), session().state);
}

TEST_F(SessionsTest, ADamagedSnapshotCostsTimeNotTheSession) {
  open();
  commit(election());
  io_.poll();
  const State& state = session().state;
  ASSERT_TRUE(log_.save_snapshot(LogId{"work"}, {state.tail, encode_snapshot(state)}));
  log_.snapshots_damaged = true;
  EXPECT_EQ(read_anew(), state);
}

TEST_F(SessionsTest, ABusyStoreForgetsNothingThatIsDeferred) {
  open();
  ASSERT_TRUE(try_commit(refusal(), Durability::deferred));
  const State with_deferred = session().state;
  EXPECT_EQ(with_deferred.tail, Position{3});
  log_.busy = true;
  EXPECT_FALSE(try_commit(election()));
  EXPECT_EQ(session().state, with_deferred);
  EXPECT_EQ(session().deferred.size(), 1u);
  log_.busy = false;
  commit(election());
  io_.poll();
  EXPECT_TRUE(session().deferred.empty());
  EXPECT_EQ(session().durable, Position{4});
  EXPECT_EQ(read_anew(), session().state);
}

TEST_F(SessionsTest, ManyDeferredEntriesGoOutByThemselves) {
  open();
  const Plan one = refusal();
  for (int i = 0; i < 5000; ++i) ASSERT_TRUE(try_commit(one, Durability::deferred));
  EXPECT_LT(session().deferred.size(), 2000u);
  sessions_.flush(session());
  EXPECT_EQ(session().state.tail, Position{5002});
  EXPECT_EQ(read_anew(), session().state);
}

}  // namespace
}  // namespace gavel

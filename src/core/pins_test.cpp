// Pins of tools in a server's control log: first sight is one, and people may change it.
#include <gtest/gtest.h>

#include "core/decide.hpp"
#include "core/fold.hpp"
#include "core/test_entries.hpp"

namespace gavel {
namespace {

class Pins : public testing::Test {
protected:
  Pins() { state.log = LogId{"control/toolset/pg"}; }

  Folded append(Entry entry) {
    entry.position = state.tail.next();
    return fold(state, entry);
  }
  ErrorCode say(const Result<std::vector<Entry>>& decided) {
    if (!decided) return decided.error().code;
    EXPECT_EQ(append(decided->front()), Folded::applied);
    return ErrorCode::internal;  // none
  }
  ErrorCode pin(Role role, std::string_view text, std::string tool = "query") {
    return say(decide(state, PinTool{Principal{"x"}, role, std::move(tool), digest_of(text),
                                     Payload::of(std::string(text)), Timestamp{5}}));
  }
  ErrorCode refuse(Role role, std::string_view text) {
    return say(decide(
        state, RefuseTool{Principal{"x"}, role, "query", digest_of(text), "no", Timestamp{6}}));
  }
  const ToolPin& query() { return state.pins.at("query"); }

  static constexpr auto kNone = ErrorCode::internal;
  ControlState state;
};

TEST_F(Pins, AreTakenAtFirstSightAndChangedByPeopleAlone) {
  EXPECT_EQ(pin(Role::decider, "a"), kNone);
  EXPECT_FALSE(query().by_person);
  EXPECT_EQ(query().position, Position{1});
  EXPECT_EQ(pin(Role::decider, "b"), ErrorCode::conflict);
  EXPECT_EQ(pin(Role::driver, "b"), ErrorCode::permission_denied);
  EXPECT_EQ(pin(Role::observer, "b"), ErrorCode::permission_denied);
  EXPECT_EQ(pin(Role::approver, "b"), kNone);
  EXPECT_TRUE(query().by_person);
  EXPECT_EQ(query().digest, digest_of("b"));
  EXPECT_EQ(pin(Role::admin, "b"), ErrorCode::conflict);
  // It is no barrier: what was decided on the earlier definition is looked at before it is sent.
  EXPECT_EQ(state.barrier, 0u);
}

TEST_F(Pins, AreConfirmedByAPersonWhereGavelTookThem) {
  pin(Role::decider, "a");
  EXPECT_EQ(pin(Role::approver, "a"), kNone);
  EXPECT_TRUE(query().by_person);
}

TEST_F(Pins, StayWhenAnotherDefinitionIsRefused) {
  pin(Role::decider, "a");
  EXPECT_EQ(refuse(Role::decider, "b"), ErrorCode::permission_denied);
  EXPECT_EQ(refuse(Role::approver, "b"), kNone);
  EXPECT_EQ(query().digest, digest_of("a"));
  EXPECT_EQ(query().refused, digest_of("b"));
  EXPECT_EQ(refuse(Role::admin, "b"), ErrorCode::conflict);
  EXPECT_EQ(pin(Role::approver, "b"), kNone);
  EXPECT_TRUE(query().refused.is_zero());
}

TEST_F(Pins, EndWhenTheirOwnDefinitionIsRefused) {
  pin(Role::decider, "a");
  EXPECT_EQ(refuse(Role::approver, "a"), kNone);
  EXPECT_TRUE(query().digest.is_zero());
  // Gavel does not take again what a person refused.
  EXPECT_EQ(pin(Role::decider, "a"), ErrorCode::conflict);
}

TEST_F(Pins, AreSkippedByFoldWhereDecideWouldNotMakeThem) {
  pin(Role::decider, "a");
  EXPECT_EQ(append(sample_entry(ToolPinned{"", digest_of("b"), {}})), Folded::skipped);
  EXPECT_EQ(append(sample_entry(ToolPinned{"query", {}, {}})), Folded::skipped);
  EXPECT_EQ(append(sample_entry(ToolRefused{"query", {}, ""})), Folded::skipped);
  Entry second = sample_entry(ToolPinned{"query", digest_of("b"), {}});
  second.role = Role::decider;
  EXPECT_EQ(append(second), Folded::skipped);
  second.role = Role::driver;
  EXPECT_EQ(append(second), Folded::skipped);
  EXPECT_EQ(query().digest, digest_of("a"));
}

TEST_F(Pins, AreBounded) {
  for (std::size_t i = 0; i < kPinsMax; ++i) {
    ASSERT_EQ(pin(Role::decider, "a", "t" + std::to_string(i)), kNone);
  }
  EXPECT_EQ(pin(Role::decider, "a"), ErrorCode::conflict);
  EXPECT_EQ(append(sample_entry(ToolPinned{"query", digest_of("a"), {}})), Folded::skipped);
  EXPECT_EQ(append(sample_entry(ToolRefused{"query", digest_of("a"), ""})), Folded::skipped);
  EXPECT_EQ(pin(Role::approver, "b", "t0"), kNone);
}

TEST_F(Pins, MeanNothingInASession) {
  State session;
  Entry entry = sample_entry(ToolPinned{"query", digest_of("a"), {}});
  entry.position = Position{1};
  EXPECT_EQ(fold(session, entry), Folded::skipped);
}

}  // namespace
}  // namespace gavel

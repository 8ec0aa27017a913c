#include "gateway/mcp_sessions.hpp"

#include <gtest/gtest.h>

namespace gavel {
namespace {

const Principal kAgent{"agent"};

TEST(McpSessions, AnIdIsRandomAndBelongsToItsPrincipal) {
  McpSessions sessions(10, std::chrono::hours(1));
  const auto one = sessions.create(kAgent);
  const auto other = sessions.create(kAgent);
  EXPECT_EQ(one->id.size(), 32U);
  EXPECT_NE(one->id, other->id);
  EXPECT_EQ(sessions.find(one->id, kAgent), one);
  EXPECT_EQ(sessions.find(one->id, Principal{"somebody"}), nullptr);
  EXPECT_FALSE(sessions.remove(one->id, Principal{"somebody"}));
  EXPECT_TRUE(sessions.remove(one->id, kAgent));
  EXPECT_EQ(sessions.find(one->id, kAgent), nullptr);
}

TEST(McpSessions, OneThatIsIdleForLongIsForgottenUnlessItsRequestsRun) {
  McpSessions sessions(10, std::chrono::seconds(60));
  const auto idle = sessions.create(Principal{"a"});
  const auto busy = sessions.create(Principal{"a"});
  const auto used = sessions.create(Principal{"a"});
  const McpRegistration running(busy, "1", {});
  idle->used_at -= std::chrono::seconds(61);
  busy->used_at -= std::chrono::seconds(61);
  used->used_at -= std::chrono::seconds(30);
  EXPECT_EQ(sessions.find(idle->id, Principal{"a"}), nullptr);
  EXPECT_EQ(sessions.find(busy->id, Principal{"a"}), busy);
  EXPECT_EQ(sessions.find(used->id, Principal{"a"}), used);
  EXPECT_EQ(sessions.size(), 2u);
}

TEST(McpSessions, TheOneUsedLeastLatelyGoesWhenFull) {
  McpSessions sessions(2, std::chrono::hours(1));
  const auto one = sessions.create(kAgent);
  const auto two = sessions.create(kAgent);
  two->used_at -= std::chrono::hours(1);
  sessions.create(kAgent);
  EXPECT_EQ(sessions.size(), 2U);
  EXPECT_NE(sessions.find(one->id, kAgent), nullptr);
  EXPECT_EQ(sessions.find(two->id, kAgent), nullptr);
}

TEST(McpSession, CancelsTheRequestOfThatIdOnly) {
  const auto session = std::make_shared<McpSession>();
  int woken = 0;
  const McpRegistration one(session, "1", [&] { ++woken; });
  const McpRegistration other(session, "\"1\"", [&] { ++woken; });
  session->cancel("\"1\"");
  EXPECT_FALSE(one.cancelled());
  EXPECT_TRUE(other.cancelled());
  session->cancel("2");
  EXPECT_EQ(woken, 1);
  session->cancel_all();
  EXPECT_TRUE(one.cancelled());
}

TEST(McpSession, ARegistrationEndsWithItsRequest) {
  const auto session = std::make_shared<McpSession>();
  {
    const McpRegistration first(session, "1", {});
    // The client reuses an id: the newer request has it.
    auto second = std::make_unique<McpRegistration>(session, "1", std::function<void()>{});
    session->cancel("1");
    EXPECT_FALSE(first.cancelled());
    EXPECT_TRUE(second->cancelled());
  }
  EXPECT_TRUE(session->running.empty());
  const McpRegistration nobody(nullptr, "1", {});
  EXPECT_FALSE(nobody.cancelled());
}

TEST(LogNames, AreMadeOfWhatClientsSay) {
  EXPECT_EQ(log_name_of({"mcp", "Claude Code", "ab12"}), "mcp-Claude-Code-ab12");
  EXPECT_EQ(log_name_of({"agent", "../control/x"}), "agent-..-control-x");
  EXPECT_EQ(log_name_of({std::string(200, 'x')}).size(), 64U);
  EXPECT_EQ(log_name_of({"a", "zo\xC3\xAB"}), "a-zo--");
}

}  // namespace
}  // namespace gavel

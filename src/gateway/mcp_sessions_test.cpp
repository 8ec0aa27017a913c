#include "gateway/mcp_sessions.hpp"

#include <gtest/gtest.h>

#include "base/digest.hpp"

namespace gavel {
namespace {

const Principal kAgent{"agent"};

McpSession agreed(Principal principal = kAgent) {
  McpSession session;
  session.principal = std::move(principal);
  session.version = "2025-06-18";
  session.client = "gemini 0.61.0";
  session.log = LogId{"mcp-gemini-1"};
  session.capabilities = {{"elicitation", json::object{}}};
  session.listener->server = "box";
  return session;
}

TEST(McpSessions, AnIdIsRandomAndBelongsToItsPrincipal) {
  McpSessions sessions(10, std::chrono::hours(1));
  const auto one = sessions.add(agreed());
  const auto other = sessions.add(agreed());
  EXPECT_NE(one->id.substr(0, 32), other->id.substr(0, 32));
  EXPECT_EQ(sessions.find(one->id, kAgent), one);
  EXPECT_EQ(sessions.find(one->id, Principal{"somebody"}), nullptr);
  EXPECT_FALSE(sessions.remove(one->id, Principal{"somebody"}));
  EXPECT_TRUE(sessions.remove(one->id, kAgent));
  EXPECT_EQ(sessions.find(one->id, kAgent), nullptr) << "it has ended";
}

TEST(McpSessions, OneOutlivesTheProcessThatAgreedIt) {
  McpSessions before(10, std::chrono::hours(1));
  const auto id = before.add(agreed())->id;
  McpSessions after(10, std::chrono::hours(1));
  int revived = 0;
  after.on_revived = [&](McpSession&) { ++revived; };
  EXPECT_EQ(after.find(id, Principal{"somebody"}), nullptr);
  const auto session = after.find(id, kAgent);
  ASSERT_NE(session, nullptr);
  EXPECT_EQ(session->id, id);
  EXPECT_EQ(session->version, "2025-06-18");
  EXPECT_EQ(session->client, "gemini 0.61.0");
  EXPECT_EQ(session->log.value, "mcp-gemini-1");
  EXPECT_EQ(session->capabilities, agreed().capabilities);
  EXPECT_EQ(session->listener->server, "box");
  EXPECT_EQ(after.find(id, kAgent), session);
  EXPECT_EQ(revived, 1);
  EXPECT_TRUE(after.remove(id, kAgent));
  EXPECT_EQ(after.find(id, kAgent), nullptr);
}

TEST(McpSessions, AnIdThatNobodyMintedIsNone) {
  McpSessions sessions(10, std::chrono::hours(1));
  const auto id = sessions.add(agreed())->id;
  McpSessions after(10, std::chrono::hours(1));
  const auto said = [](std::string_view text) {
    return std::string(32, 'a') + "." + to_base64(text);
  };
  auto modern = agreed();
  modern.version = "2026-07-28";
  auto control = agreed();
  control.log = LogId{"control/everything"};
  auto long_winded = agreed();
  long_winded.client = std::string(3000, 'x');
  for (const auto& forged :
       {std::string(), std::string(32, 'a'), id.substr(0, id.size() - 1), id + "0", id.substr(1),
        said("{}"), said("no JSON"), said("[]"), sessions.add(std::move(modern))->id,
        sessions.add(std::move(control))->id, sessions.add(std::move(long_winded))->id}) {
    EXPECT_EQ(after.find(forged, kAgent), nullptr) << forged;
  }
  EXPECT_EQ(after.size(), 0U);
}

TEST(McpSessions, OneThatIsIdleForLongGivesWayUnlessItsRequestsRun) {
  McpSessions sessions(10, std::chrono::seconds(60));
  const auto idle = sessions.add(agreed());
  const auto busy = sessions.add(agreed());
  const auto used = sessions.add(agreed());
  const McpRegistration running(busy, "1", {});
  idle->used_at -= std::chrono::seconds(61);
  busy->used_at -= std::chrono::seconds(61);
  used->used_at -= std::chrono::seconds(30);
  const auto last = sessions.add(agreed());
  EXPECT_EQ(sessions.size(), 3U);
  EXPECT_EQ(sessions.find(busy->id, kAgent), busy);
  EXPECT_EQ(sessions.find(used->id, kAgent), used);
  EXPECT_NE(sessions.find(idle->id, kAgent), idle) << "made anew";
}

TEST(McpSessions, TheOneUsedLeastLatelyGivesWayWhenFull) {
  McpSessions sessions(2, std::chrono::hours(1));
  const auto one = sessions.add(agreed());
  const auto two = sessions.add(agreed());
  two->used_at -= std::chrono::hours(1);
  sessions.add(agreed());
  EXPECT_EQ(sessions.size(), 2U);
  EXPECT_EQ(sessions.find(one->id, kAgent), one);
  EXPECT_NE(sessions.find(two->id, kAgent), two);
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

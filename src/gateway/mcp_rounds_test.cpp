// Calls that ask for input, servers that refuse by JSON-RPC errors, and log messages, against the
// whole gateway.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/test_world.hpp"

namespace gavel {
namespace {

using test::Client;
using test::message_of;
using test::modern;
using test::text_of;
using test::World;
using ::testing::HasSubstr;
using ::testing::Not;

const json::value& at(const json::value& value, std::string_view pointer) {
  return value.at_pointer(pointer);
}

json::object capable(json::object more = {}) {
  more["io.modelcontextprotocol/clientCapabilities"] =
      json::object{{"elicitation", json::object{}},
                   {"extensions", json::object{{"io.modelcontextprotocol/ui", json::object{}}}}};
  return more;
}

json::object first_round(json::object meta = {}) {
  return {{"name", "box__asks"},
          {"arguments", json::object{{"n", 1}}},
          {"_meta", capable(std::move(meta))}};
}

json::object second_round(std::string_view state, std::string_view action, json::object meta = {}) {
  auto params = first_round(std::move(meta));
  params["inputResponses"] = json::object{{"sure", json::object{{"action", action}}}};
  params["requestState"] = state;
  return params;
}

// What the server saw in the round.
json::value seen(const json::value& message) {
  return parse_json(text_of(message)).value_or(nullptr);
}

TEST(McpRounds, AQuestionReachesTheClientAndItsAnswerTheServer) {
  World world;
  auto client = world.agent();
  const auto asked = message_of(modern(client, "tools/call", first_round()));
  EXPECT_EQ(at(asked, "/result/resultType"), "input_required");
  EXPECT_EQ(at(asked, "/result/inputRequests/sure/method"), "elicitation/create");
  EXPECT_EQ(at(asked, "/result/requestState"), "state 1");
  const auto done = message_of(modern(client, "tools/call", second_round("state 1", "accept")));
  EXPECT_EQ(at(done, "/result/resultType"), "complete");
  const auto round = seen(done);
  EXPECT_EQ(at(round, "/arguments"), (json::object{{"n", 1}}));
  EXPECT_EQ(at(round, "/inputResponses/sure/action"), "accept");
  EXPECT_EQ(at(round, "/requestState"), "state 1");
  EXPECT_TRUE(at(round, "/capabilities").as_object().contains("elicitation"));
  EXPECT_FALSE(at(round, "/capabilities").as_object().contains("extensions"));
}

TEST(McpRounds, ARoundIsAnIntentOfItsOwnWhoseKeyBeginsWithTheFirsts) {
  World world;
  auto client = world.agent();
  const json::object meta{{"com.gavel/idempotencyKey", "k"}};
  const std::string target = "/mcp?session=s";
  const auto asked = message_of(modern(client, "tools/call", first_round(meta), target));
  const auto done =
      message_of(modern(client, "tools/call", second_round("state 1", "accept", meta), target));
  EXPECT_NE(at(asked, "/result/_meta/com.gavel~1intent"),
            at(done, "/result/_meta/com.gavel~1intent"));
  EXPECT_THAT(std::string(at(seen(done), "/key").as_string()), HasSubstr("s/k+"));
  const auto session = world.get("/v1/sessions/s");
  EXPECT_EQ(at(session, "/counters/failed"), 1) << "asking is not acting";
  EXPECT_EQ(at(session, "/counters/ok"), 1);
}

TEST(McpRounds, ARepeatedRoundActsOnceAndAnotherAnswerIsAnotherAction) {
  World world;
  auto client = world.agent();
  for (const json::object& meta :
       {json::object{}, json::object{{"claudecode/toolUseId", "toolu_1"}}}) {
    const int before = world.script("box").calls;
    const auto asked = message_of(modern(client, "tools/call", first_round(meta)));
    const auto state = std::string(at(asked, "/result/requestState").as_string());
    const auto once = message_of(modern(client, "tools/call", second_round(state, "yes", meta)));
    const auto again = message_of(modern(client, "tools/call", second_round(state, "yes", meta)));
    EXPECT_EQ(text_of(once), text_of(again));
    EXPECT_EQ(at(again, "/result/_meta/com.gavel~1replayed"), true);
    EXPECT_EQ(world.script("box").calls, before + 1);
    modern(client, "tools/call", second_round(state, "no", meta));
    EXPECT_EQ(world.script("box").calls, before + 2);
  }
}

TEST(McpRounds, WhatIsNoInputIsRefused) {
  World world;
  auto client = world.agent();
  auto params = first_round();
  params["inputResponses"] = "yes";
  EXPECT_EQ(at(message_of(modern(client, "tools/call", params)), "/error/code"), -32602);
  params = first_round();
  params["requestState"] = 7;
  EXPECT_EQ(at(message_of(modern(client, "tools/call", params)), "/error/code"), -32602);
  const json::object smuggled{{"name", "box__add"},
                              {"arguments", json::object{{"com.gavel/input", json::object{}}}}};
  const auto message = message_of(modern(client, "tools/call", smuggled));
  EXPECT_EQ(at(message, "/error/code"), -32602);
  EXPECT_EQ(world.script("box").calls, 0);
}

TEST(McpRounds, AServersOwnErrorComesThroughAndIsReplayedAsOne) {
  World world;
  auto client = world.agent();
  const json::object params{{"name", "box__refuses"},
                            {"_meta", json::object{{"com.gavel/idempotencyKey", "k"}}}};
  for (int i = 0; i < 2; ++i) {
    const auto reply = modern(client, "tools/call", params, "/mcp?session=s");
    EXPECT_EQ(reply.status, 400);
    const auto message = message_of(reply);
    EXPECT_EQ(at(message, "/error/code"), -32021);
    EXPECT_EQ(at(message, "/error/message"), "this takes sampling");
    EXPECT_TRUE(at(message, "/error/data/requiredCapabilities/sampling").is_object());
  }
  EXPECT_EQ(at(world.get("/v1/sessions/s"), "/counters/failed"), 1);
}

TEST(McpRounds, AKindOfResultThatNobodyCanFollowIsNeverOk) {
  World world;
  auto client = world.agent();
  const auto message =
      message_of(modern(client, "tools/call", {{"name", "box__task"}}, "/mcp?session=s"));
  EXPECT_EQ(at(message, "/result/isError"), true);
  EXPECT_THAT(text_of(message), HasSubstr("cannot follow: task"));
  EXPECT_EQ(at(world.get("/v1/sessions/s"), "/counters/unknown"), 1);
}

TEST(McpRounds, LogMessagesComeFromTheLevelOnThatTheClientNamed) {
  World world;
  auto client = world.agent();
  json::object params{{"name", "box__logs"}};
  EXPECT_THAT(modern(client, "tools/call", params).body, Not(HasSubstr("notifications/message")));
  params["_meta"] = json::object{{"io.modelcontextprotocol/logLevel", "info"}};
  const auto reply = modern(client, "tools/call", params);
  EXPECT_EQ(reply.header("Content-Type"), "text/event-stream");
  EXPECT_THAT(reply.body, HasSubstr(R"("data":"large")"));
  EXPECT_THAT(reply.body, Not(HasSubstr(R"("data":"small")")));
}

}  // namespace
}  // namespace gavel

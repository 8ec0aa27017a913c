// Hooks that are HTTP requests, against the whole gateway.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/test_world.hpp"

namespace gavel {
namespace {

using test::World;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using Headers = std::vector<std::pair<std::string, std::string>>;
const Headers kDriver = {
    {"Gavel-Session", "s"}, {"Gavel-Epoch", ""}, {"Gavel-Project", "%2Fsrv%2Fapp"}};

json::object event(std::string_view moment, const std::string& command, std::string_view call_id) {
  return {{"hook_event_name", moment},
          {"session_id", "its-own"},
          {"cwd", "/srv/app"},
          {"tool_name", "Bash"},
          {"tool_input", json::object{{"command", command}}},
          {"tool_use_id", call_id}};
}

test::Reply ask(World& world, const std::string& body, const Headers& headers = kDriver,
                const std::string& target = "/v1/hooks/claude-code?wait=0",
                const std::string& principal = "agent") {
  auto client = world.client(principal);
  return client.request("POST", target, body, headers);
}

// "" where the program may go on.
std::string reason(const test::Reply& reply) {
  EXPECT_EQ(reply.status, 200) << reply.body;
  if (reply.body == "{}") return "";
  const auto value = parse_json(reply.body).value();
  if (const auto* said = find(value, "hookSpecificOutput")) {
    EXPECT_EQ(string_or(*said, "hookEventName"), "PreToolUse");
    EXPECT_EQ(string_or(*said, "permissionDecision"), "deny");
    return std::string(string_or(*said, "permissionDecisionReason"));
  }
  EXPECT_EQ(string_or(value, "decision"), "block");
  return std::string(string_or(value, "reason"));
}

std::string asked(World& world, const std::string& command, std::string_view call_id,
                  const Headers& headers = kDriver) {
  return reason(ask(world, write_json(event("PreToolUse", command, call_id)), headers));
}

// Of the first intent.
std::string first(World& world, std::string_view member, const std::string& session = "s") {
  const auto transcript = world.get("/v1/sessions/" + session + "/transcript");
  const auto& intents = transcript.at("intents").as_array();
  return intents.empty() ? "" : std::string(string_or(intents.front(), member));
}

TEST(HttpHooks, AReadGoesOnAndItsOutcomeIsRecorded) {
  World world;
  EXPECT_EQ(asked(world, "ls", "c1"), "");
  EXPECT_EQ(first(world, "phase"), "in_flight");
  auto done = event("PostToolUse", "ls", "c1");
  done["tool_response"] = json::object{{"stdout", "a.txt"}};
  EXPECT_EQ(reason(ask(world, write_json(done))), "");
  EXPECT_EQ(first(world, "phase"), "ok");
  EXPECT_EQ(first(world, "tool"), "own__shell");
  EXPECT_EQ(first(world, "effect"), "read");
}

TEST(HttpHooks, AWriteIsHeldAndLeaveIsGivenOnce) {
  World world;
  const auto held = asked(world, "mkdir a", "c1");
  EXPECT_THAT(held, StartsWith("Blocked by Gavel: "));
  EXPECT_THAT(held, HasSubstr("gavel approve s#"));
  EXPECT_EQ(first(world, "effect"), "write") << "inside of the project";
  world.decide(world.only_pending(), "allow");
  EXPECT_EQ(asked(world, "mkdir a", "c2"), "") << "the repeated call is the same action";
  EXPECT_NE(asked(world, "mkdir a", "c2"), "") << "once";
}

TEST(HttpHooks, WithoutAProjectNothingIsInside) {
  World world;
  EXPECT_NE(asked(world, "mkdir a", "c1", {{"Gavel-Session", "s"}, {"Gavel-Project", ""}}), "");
  EXPECT_EQ(first(world, "effect"), "destructive");
}

TEST(HttpHooks, TheSessionIsTheProgramsWhereNobodyNamesOne) {
  World world;
  EXPECT_EQ(asked(world, "ls", "c1", {{"Gavel-Session", ""}}), "");
  EXPECT_EQ(first(world, "phase", "claude-code%2Fits-own"), "in_flight");
}

TEST(HttpHooks, ADriverThatWasReplacedMayDoNothing) {
  World world;
  EXPECT_EQ(asked(world, "ls", "c1", {{"Gavel-Session", "s"}, {"Gavel-Epoch", "1"}}), "");
  (void)world.post("agent", "/v1/sessions/s/wake", {});
  EXPECT_THAT(asked(world, "ls", "c2", {{"Gavel-Session", "s"}, {"Gavel-Epoch", "1"}}),
              HasSubstr("epoch"));
  EXPECT_EQ(asked(world, "ls", "c3", {{"Gavel-Session", "s"}, {"Gavel-Epoch", "2"}}), "");
}

TEST(HttpHooks, APromptIsRecordedOrNotTaken) {
  World world;
  const json::object prompt{
      {"hook_event_name", "UserPromptSubmit"}, {"session_id", "x"}, {"prompt", "tidy up"}};
  EXPECT_EQ(reason(ask(world, write_json(prompt))), "");
  EXPECT_THAT(reason(ask(world, write_json(prompt), {{"Gavel-Session", "control/halts"}})),
              StartsWith("Blocked by Gavel: "));
}

TEST(HttpHooks, ToolsOfGavelsOwnServerAreLeftToIt) {
  World world;
  auto mcp = event("PreToolUse", "x", "c1");
  mcp["tool_name"] = "mcp__gavel__box__write";
  EXPECT_EQ(reason(ask(world, write_json(mcp))), "");
  mcp["tool_name"] = "mcp__other__write";
  EXPECT_NE(reason(ask(world, write_json(mcp))), "");
}

TEST(HttpHooks, WhatIsNotUnderstoodIsNo2xx) {
  World world;
  const auto good = write_json(event("PreToolUse", "ls", "c1"));
  const auto status = [&](const std::string& body, const Headers& headers = kDriver,
                          const std::string& target = "/v1/hooks/claude-code") {
    return ask(world, body, headers, target).status;
  };
  for (const auto* body : {"", "{", "[]", "{}", R"({"hook_event_name":"Stop","session_id":"s"})"}) {
    EXPECT_EQ(status(body), 400) << body;
  }
  EXPECT_EQ(status(good, {{"Gavel-Project", "srv/app"}}), 400);
  EXPECT_EQ(status(good, {{"Gavel-Project", "%ff"}}), 400);
  EXPECT_EQ(status(good, {{"Gavel-Project", "/a"}, {"Gavel-Project", "/"}}), 400);
  EXPECT_EQ(status(good, kDriver, "/v1/hooks/codex"), 404);
  EXPECT_EQ(status(good, kDriver, "/v1/hooks/claude-code?wait=241"), 400);
  EXPECT_EQ(status(good, kDriver, "/v1/hooks/claude-code?wiat=1"), 400);
  EXPECT_EQ(ask(world, good, kDriver, "/v1/hooks/claude-code", "operator").status, 403);
  EXPECT_EQ(ask(world, good, {{"Gavel-Epoch", "x"}}).body.find("{}"), std::string::npos);
  EXPECT_NE(asked(world, "ls", "c1", {{"Gavel-Session", "no such name"}}), "");
  EXPECT_EQ(status(good), 200) << "all the same";
}

}  // namespace
}  // namespace gavel

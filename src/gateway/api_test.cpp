// The API of docs/api.md, against the whole gateway.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/test_world.hpp"

namespace gavel {
namespace {

using test::Client;
using test::World;
using ::testing::HasSubstr;
using ::testing::Not;

const json::value& at(const json::value& value, std::string_view pointer) {
  return value.at_pointer(pointer);
}

json::value propose(World& world, const std::string& session, const std::string& tool,
                    json::object more = {}, int status = 200) {
  more["tool"] = tool;
  return world.post("agent", "/v1/sessions/" + session + "/intents", more, status);
}

TEST(Api, HealthTellsThePolicyInForce) {
  World world;
  const auto health = world.get("/v1/health");
  EXPECT_EQ(at(health, "/status"), "ok");
  EXPECT_EQ(at(health, "/store"), "ok");
  EXPECT_EQ(at(health, "/policy_version"), at(world.get("/v1/policy"), "/version"));
  EXPECT_THAT(std::string(at(world.get("/v1/policy"), "/source").as_string()),
              HasSubstr("adding is fine"));
}

TEST(Api, UnknownPathsAndWrongMethodsAreTold) {
  World world;
  auto client = world.person();
  const auto unknown = client.request("GET", "/v2/nothing");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_THAT(unknown.body, HasSubstr("docs/api.md"));
  const auto wrong = client.request("DELETE", "/v1/halts");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.header("Allow"), "GET, POST");
  EXPECT_EQ(client.request("GET", "/v1/sessions/%zz").status, 400);
}

TEST(Api, QueriesThatSayNothingAreToldWhatThereIs) {
  World world;
  auto client = world.person();
  const auto error = [&](const std::string& target) {
    const auto reply = client.request("GET", target);
    EXPECT_EQ(reply.status, 400) << target;
    return reply.body;
  };
  EXPECT_THAT(error("/v1/sessions?prefx=a"), HasSubstr(R"(did you mean \"prefix\"?)"));
  EXPECT_THAT(error("/v1/sessions?x=a"), HasSubstr("There is: prefix, after, limit"));
  EXPECT_THAT(error("/v1/halts?scope=x"), HasSubstr("There is none here"));
  EXPECT_THAT(error("/v1/sessions?prefix=a&prefix=b"), HasSubstr("twice"));
  EXPECT_THAT(error("/v1/sessions?prefix=%ff"), HasSubstr("UTF-8"));
  EXPECT_EQ(client.request("GET", "/v1/sessions?prefix=a&limit=3&").status, 200);
}

TEST(Api, RequestsTakeATokenAndALoopbackHost) {
  World world;
  Client nobody(world.endpoint());
  EXPECT_EQ(nobody.request("GET", "/v1/health").status, 401);
  auto person = world.person();
  EXPECT_EQ(person.request("GET", "/v1/health", {}, {{"Origin", "http://evil.example"}}).status,
            403);
  person.send("GET /v1/health HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  EXPECT_EQ(person.receive().status, 403);
}

TEST(Api, EachEndpointTakesItsRole) {
  World world;
  auto agent = world.agent();
  for (const auto* target : {"/v1/sessions", "/v1/watch", "/v1/pending", "/v1/upstreams"}) {
    const auto reply = agent.request("GET", target);
    EXPECT_EQ(reply.status, 403) << target;
    EXPECT_THAT(reply.body, HasSubstr("permission_denied"));
  }
  for (const auto* target : {"/v1/sessions/s/intents/1/vote", "/v1/sessions/s/intents/1/resolve",
                             "/v1/halts", "/v1/resume"}) {
    EXPECT_EQ(agent.request("POST", target, "{}").status, 403) << target;
  }
  auto person = world.person();
  EXPECT_EQ(person.request("POST", "/v1/sessions/s/intents", R"({"tool":"box__add"})").status, 403);
}

TEST(Api, ProposesACallAndAnswersWithItsResult) {
  World world;
  const auto answer = propose(world, "s", "box__add", {{"arguments", json::object{{"n", 1}}}});
  EXPECT_EQ(at(answer, "/kind"), "result");
  EXPECT_EQ(at(answer, "/result/content/0/text"), "add 1");
  EXPECT_EQ(at(answer, "/replayed"), false);
  EXPECT_EQ(at(answer, "/code"), "");
  const auto session = world.get("/v1/sessions/s");
  EXPECT_EQ(at(session, "/agent"), "agent");
  EXPECT_EQ(at(session, "/epoch"), 1);
  EXPECT_EQ(at(session, "/counters/ok"), 1);
  const auto list = world.get("/v1/sessions?prefix=s");
  EXPECT_EQ(at(list, "/sessions/0/session"), "s");
  EXPECT_TRUE(at(list, "/next").is_null());
}

TEST(Api, TheSameKeyReplaysAndOtherArgumentsAreRefused) {
  World world;
  propose(world, "s", "box__add", {{"key", "k"}, {"arguments", json::object{{"n", 1}}}});
  const auto again =
      propose(world, "s", "box__add", {{"key", "k"}, {"arguments", json::object{{"n", 1}}}});
  EXPECT_EQ(at(again, "/replayed"), true);
  const auto other =
      propose(world, "s", "box__add", {{"key", "k"}, {"arguments", json::object{{"n", 2}}}}, 422);
  EXPECT_EQ(at(other, "/error/code"), "key_reused");
  EXPECT_EQ(world.script("box").calls, 1);
}

TEST(Api, AHeldCallIsVotedOnWithTheDigestThatWasShown) {
  World world;
  const auto answer =
      propose(world, "s", "box__held", {{"wait_ms", 0}, {"arguments", json::object{{"n", 1}}}});
  EXPECT_EQ(at(answer, "/kind"), "pending");
  const auto pending = world.only_pending();
  EXPECT_EQ(at(pending, "/session"), "s");
  EXPECT_EQ(at(pending, "/phase"), "held");
  EXPECT_EQ(at(pending, "/effect"), "write");
  EXPECT_EQ(at(pending, "/arguments/n"), 1);
  EXPECT_EQ(at(pending, "/requester"), "agent");
  EXPECT_TRUE(at(pending, "/expires_at").is_string());
  const auto target = fmt::format("/v1/sessions/s/intents/{}/vote", int_or(pending, "intent", 0));
  const std::string digest(at(pending, "/digest").as_string());
  world.post("operator", target, {{"verdict", "maybe"}, {"digest", digest}}, 400);
  world.post("operator", target, {{"verdict", "allow"}, {"digest", "123"}}, 400);
  const auto other =
      world.post("operator", target, {{"verdict", "allow"}, {"digest", std::string(64, '0')}}, 409);
  EXPECT_EQ(at(other, "/error/code"), "conflict");
  const auto session = world.post("operator", target, {{"verdict", "allow"}, {"digest", digest}});
  EXPECT_EQ(at(session, "/session"), "s");
  const auto collected = propose(world, "s", "box__held", {{"arguments", json::object{{"n", 1}}}});
  EXPECT_EQ(at(collected, "/kind"), "result");
  EXPECT_EQ(at(collected, "/result/content/0/text"), "held 1");
}

TEST(Api, APersonSaysWhatBecameOfAnUnknownOutcome) {
  World world;
  const auto lost = propose(world, "s", "box__vanish", {{"key", "k"}});
  EXPECT_EQ(at(lost, "/kind"), "refused");
  const auto pending = world.only_pending();
  EXPECT_EQ(at(pending, "/phase"), "unknown");
  const auto target =
      fmt::format("/v1/sessions/s/intents/{}/resolve", int_or(pending, "intent", 0));
  world.post("operator", target, {{"kind", "perhaps"}}, 400);
  world.post("operator", "/v1/sessions/s/intents/x/resolve", {{"kind", "ok"}}, 400);
  const auto session = world.post("operator", target, {{"kind", "ok"}, {"reason", "I looked"}});
  EXPECT_EQ(at(session, "/unknown"), 0);
  const auto collected = propose(world, "s", "box__vanish", {{"key", "k"}});
  EXPECT_EQ(at(collected, "/kind"), "result");
  EXPECT_THAT(write_json(at(collected, "/result")), HasSubstr("I looked"));
}

TEST(Api, WhatWasDoneWhenTheDiskFilledUpMayHaveHappened) {
  for (const bool refused : {true, false}) {
    World world;
    propose(world, "s", "box__add", {{"arguments", json::object{{"n", 1}}}});
    world.fill_disk(1, refused);
    const auto answer = propose(world, "s", "box__add", {{"arguments", json::object{{"n", 2}}}});
    EXPECT_EQ(world.script("box").calls, 2);
    EXPECT_EQ(at(answer, "/kind"), "refused");
    EXPECT_EQ(at(answer, "/code"), "storage_failed");
    const std::string text(at(answer, "/text").as_string());
    EXPECT_THAT(text, HasSubstr("may have happened"));
    EXPECT_THAT(text, HasSubstr("No space left"));
    EXPECT_THAT(text, HasSubstr("do not repeat it"));
  }
}

TEST(Api, WhatWasNotSentWhenTheDiskFilledUpDidNotHappen) {
  for (const bool refused : {true, false}) {
    World world;
    propose(world, "s", "box__add", {{"arguments", json::object{{"n", 1}}}});
    world.fill_disk(0, refused);
    auto agent = world.agent();
    const auto reply = agent.request("POST", "/v1/sessions/s/intents",
                                     R"({"tool":"box__add","arguments":{"n":2}})");
    EXPECT_EQ(world.script("box").calls, 1);
    EXPECT_THAT(reply.body, HasSubstr("No space left"));
    EXPECT_THAT(reply.body, Not(HasSubstr("may have happened")));
  }
}

TEST(Api, OnlyAReadThatNeedNotBeRecordedFirstIsAnsweredWhileTheDiskHangs) {
  World world;
  const json::object hello{{"text", "hello"}};
  // The tools of both servers are known, and the session is open.
  propose(world, "s", "lib__echo", {{"arguments", hello}});
  propose(world, "s", "box__echo", {{"arguments", hello}});
  world.hang_disk(true);
  const auto early = propose(world, "s", "lib__echo", {{"arguments", hello}});
  EXPECT_EQ(at(early, "/kind"), "result");
  const auto late = propose(world, "s", "box__echo", {{"arguments", hello}, {"wait_ms", 1}});
  EXPECT_EQ(at(late, "/code"), "timeout");
  world.hang_disk(false);
  const auto again = propose(world, "s", "box__echo", {{"arguments", hello}});
  EXPECT_EQ(at(again, "/kind"), "result");
  EXPECT_EQ(at(world.get("/v1/sessions/s"), "/counters/ok"), 4) << "it was not read twice";
}

TEST(Api, TheTranscriptTellsWhatCameOfEachIntent) {
  World world;
  propose(world, "s", "box__add", {{"arguments", json::object{{"n", 1}}}, {"key", "k"}});
  propose(world, "s", "box__add", {{"arguments", json::object{{"n", 1}}}, {"key", "k"}});
  propose(world, "s", "box__held", {{"wait_ms", 0}});
  propose(world, "s", "box__forbidden");
  const auto transcript = world.get("/v1/sessions/s/transcript");
  EXPECT_EQ(at(transcript, "/epoch"), 1);
  ASSERT_EQ(at(transcript, "/intents").as_array().size(), 3U);
  EXPECT_EQ(at(transcript, "/intents/0/phase"), "ok");
  EXPECT_EQ(at(transcript, "/intents/0/arguments/n"), 1);
  EXPECT_EQ(at(transcript, "/intents/0/result/content/0/text"), "add 1");
  EXPECT_EQ(at(transcript, "/intents/0/replays"), 1);
  EXPECT_EQ(at(transcript, "/intents/1/phase"), "held");
  EXPECT_EQ(at(transcript, "/intents/2/phase"), "aborted");
  EXPECT_THAT(std::string(at(transcript, "/intents/2/reason").as_string()),
              HasSubstr("nobody may"));
}

TEST(Api, AnIntentIsReadWithItsWholePayloads) {
  World world;
  const std::string large(40'000, 'x');
  const auto answer = propose(world, "s", "box__held",
                              {{"wait_ms", 0}, {"arguments", json::object{{"text", large}}}});
  propose(world, "s", "box__add");
  const auto target = fmt::format("/v1/sessions/s/intents/{}", int_or(answer, "intent", 0));
  const auto story = world.get(target);
  EXPECT_EQ(at(story, "/intent"), at(answer, "/intent"));
  EXPECT_EQ(at(story, "/entries/0/kind"), "intent");
  EXPECT_EQ(at(story, "/entries/0/arguments/text"), json::value(large));
  for (const auto& entry : at(story, "/entries").as_array()) {
    EXPECT_NE(string_or(entry, "tool"), "box__add");
  }
  auto client = world.person();
  EXPECT_EQ(client.request("GET", "/v1/sessions/s/intents/1").status, 404);
  EXPECT_EQ(client.request("GET", "/v1/sessions/s/intents/9999").status, 404);
  EXPECT_EQ(client.request("GET", "/v1/sessions/none/intents/1").status, 404);
  EXPECT_EQ(client.request("GET", "/v1/sessions/s/intents/x").status, 400);
}

TEST(Api, EntriesAreReadInPages) {
  World world;
  propose(world, "s", "box__add");
  const auto first = world.get("/v1/sessions/s/entries?limit=2");
  ASSERT_EQ(at(first, "/entries").as_array().size(), 2U);
  EXPECT_EQ(at(first, "/entries/0/position"), 1);
  EXPECT_EQ(at(first, "/entries/0/kind"), "session_opened");
  const auto rest = world.get("/v1/sessions/s/entries?from=3");
  EXPECT_EQ(at(rest, "/entries/0/position"), 3);
  const auto control = world.get("/v1/sessions/control%2Feverything/entries");
  EXPECT_GE(at(control, "/tail").as_int64(), 1);
  auto client = world.person();
  EXPECT_EQ(client.request("GET", "/v1/sessions/none/entries").status, 404);
  EXPECT_EQ(client.request("GET", "/v1/sessions/none").status, 404);
  EXPECT_EQ(client.request("GET", "/v1/sessions/s/entries?from=0").status, 400);
  EXPECT_EQ(client.request("GET", "/v1/sessions/s/entries?limit=100000").status, 400);
}

TEST(Api, WatchingASessionSendsItsEntriesAsTheyCome) {
  World world;
  propose(world, "s", "box__add");
  auto client = world.person();
  client.send_request("GET", "/v1/sessions/s/watch?from=2");
  const auto head = client.receive_head();
  EXPECT_EQ(head.header("Content-Type"), "text/event-stream");
  EXPECT_EQ(client.read_line(), "id: 2");
  const auto second = client.read_line();
  EXPECT_EQ(at(*parse_json(second->substr(6)), "/kind"), "epoch_elected");
  propose(world, "s", "box__add", {{"arguments", json::object{{"n", 2}}}});
  int intents = 0;
  while (intents < 2) {
    const auto event = client.read_event();
    ASSERT_TRUE(event);
    if (event->starts_with(':')) continue;
    if (at(*parse_json(*event), "/kind") == "intent") ++intents;
  }
}

TEST(Api, WatchingResumesAfterTheLastEventAndKeepsQuietStreamsOpen) {
  World world;
  propose(world, "s", "box__add");
  auto client = world.person();
  client.send_request("GET", "/v1/sessions/s/watch", {}, {{"Last-Event-ID", "2"}});
  client.receive_head();
  EXPECT_EQ(client.read_line(), "id: 3");
  for (auto event = client.read_event(); event && !event->starts_with(':');) {
    event = client.read_event();
  }
  auto bad = world.person();
  EXPECT_EQ(bad.request("GET", "/v1/sessions/s/watch", {}, {{"Last-Event-ID", "x"}}).status, 400);
  EXPECT_EQ(bad.request("GET", "/v1/sessions/a%20b/watch").status, 400);
}

TEST(Api, WatchingAllTellsWhichLogsGrew) {
  World world;
  auto client = world.person();
  client.send_request("GET", "/v1/watch");
  client.receive_head();
  propose(world, "grows", "box__add");
  std::string seen;
  while (seen != "grows") {
    const auto event = client.read_event();
    ASSERT_TRUE(event);
    if (event->starts_with(':')) continue;
    const auto moved = *parse_json(*event);
    seen = string_or(moved, "session");
  }
}

TEST(Api, AWatcherEndsWhenGavelStops) {
  World world;
  auto one = world.person();
  one.send_request("GET", "/v1/sessions/s/watch");
  one.receive_head();
  auto all = world.person();
  all.send_request("GET", "/v1/watch");
  all.receive_head();
  world.stop();
  while (one.read_event()) {
  }
  while (all.read_event()) {
  }
}

TEST(Api, WakeElectsTheNextEpochAndTellsWhereToDrive) {
  World world;
  const auto woken = world.post("agent", "/v1/sessions/new/wake", {{"client", "c"}});
  EXPECT_EQ(at(woken, "/epoch"), 1);
  EXPECT_EQ(std::string(at(woken, "/mcp_url").as_string()),
            fmt::format("http://{}/mcp?session=new&epoch=1", world.endpoint()));
  const auto again = world.post("operator", "/v1/sessions/new/wake", {});
  EXPECT_EQ(at(again, "/epoch"), 2);
  world.post("agent", "/v1/sessions/a%20b/wake", {}, 400);
  const auto stale = propose(world, "new", "box__add", {{"epoch", 1}}, 409);
  EXPECT_EQ(at(stale, "/error/code"), "stale_epoch");
}

TEST(Api, HaltsAreRaisedListedAndLifted) {
  World world;
  const auto raised = world.post(
      "operator", "/v1/halts", {{"scope", "agent:agent"}, {"mode", "halt"}, {"reason", "stop it"}});
  EXPECT_EQ(at(raised, "/halts/0/scope"), "agent:agent");
  EXPECT_EQ(at(raised, "/halts/0/by"), "operator");
  EXPECT_EQ(at(propose(world, "s", "box__echo"), "/code"), "halted");
  const auto lifted = world.post("operator", "/v1/resume", {{"scope", "agent:agent"}});
  EXPECT_TRUE(at(lifted, "/halts").as_array().empty());
  EXPECT_EQ(
      at(propose(world, "s", "box__echo", {{"arguments", json::object{{"text", "2"}}}}), "/kind"),
      "result");
  world.post("operator", "/v1/halts", {{"scope", "galaxy:x"}}, 400);
  world.post("operator", "/v1/halts", {{"mode", "pause"}}, 400);
}

TEST(Api, ToolsAndUpstreamsAreListed) {
  World world;
  const auto tools = world.get("/v1/tools");
  EXPECT_GT(at(tools, "/tools").as_array().size(), 4U);
  bool found = false;
  for (const auto& tool : at(tools, "/tools").as_array()) {
    if (string_or(tool, "name") != "box__add") continue;
    found = true;
    EXPECT_EQ(at(tool, "/effect"), "write");
    EXPECT_EQ(at(tool, "/verdict"), "allow");
    EXPECT_EQ(at(tool, "/listed"), true);
    EXPECT_EQ(at(tool, "/definition/name"), "box__add");
  }
  EXPECT_TRUE(found);
  const auto upstreams = world.get("/v1/upstreams");
  EXPECT_EQ(at(upstreams, "/upstreams/0/name"), "box");
  EXPECT_EQ(at(upstreams, "/upstreams/0/health"), "ready");
}

TEST(Api, ExplainTellsWhichRuleDecides) {
  World world;
  const auto explained = world.post("operator", "/v1/policy/explain", {{"tool", "box__add"}});
  EXPECT_EQ(at(explained, "/verdict"), "allow");
  EXPECT_EQ(at(explained, "/rule"), "adding is fine");
  EXPECT_FALSE(at(explained, "/rules").as_array().empty());
  world.post("operator", "/v1/policy/explain", {}, 400);
  world.post("operator", "/v1/policy/explain", {{"tool", "box__add"}, {"arguments", 1}}, 400);
}

TEST(Api, BadBodiesAreToldApart) {
  World world;
  auto agent = world.agent();
  for (const auto* body :
       {"{", "[]", R"({"tool":"a","tool":"b"})", "{}", R"({"tool":"box__add","wait_ms":-1})",
        R"({"tool":"box__add","epoch":0})", R"({"tool":"box__add","arguments":[1]})"}) {
    const auto reply = agent.request("POST", "/v1/sessions/s/intents", body);
    EXPECT_EQ(reply.status, 400) << body << reply.body;
  }
  EXPECT_EQ(agent.request("POST", "/v1/sessions/s/intents", R"({"tool":"box__nothing"})").status,
            404);
  EXPECT_EQ(agent.request("GET", "/v1/health").status, 200);
}

}  // namespace
}  // namespace gavel

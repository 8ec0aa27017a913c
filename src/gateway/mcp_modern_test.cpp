// MCP 2026-07-28 over HTTP, against the whole gateway.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/test_world.hpp"

namespace gavel {
namespace {

using namespace std::chrono_literals;
using test::Client;
using test::message_of;
using test::modern;
using test::send_modern;
using test::text_of;
using test::World;
using ::testing::Contains;
using ::testing::HasSubstr;

const json::value& at(const json::value& value, std::string_view pointer) {
  return value.at_pointer(pointer);
}

std::int64_t error_code(const json::value& message) {
  const auto* error = find(message, "error");
  return error == nullptr ? 0 : int_or(*error, "code", 0);
}

std::vector<std::string> names(const json::value& message, std::string_view list) {
  std::vector<std::string> found;
  for (const auto& item : at(message, fmt::format("/result/{}", list)).as_array()) {
    found.emplace_back(string_or(item, "name"));
  }
  return found;
}

json::object call(std::string_view tool, json::object arguments = {}, json::object meta = {}) {
  return {{"name", tool}, {"arguments", std::move(arguments)}, {"_meta", std::move(meta)}};
}

// The body of a modern request whose headers the test chooses.
std::string body_of(std::string_view method, json::object params = {}) {
  params["_meta"] = test::modern_meta();
  return write_json(json::object{
      {"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", std::move(params)}});
}

TEST(McpModern, DiscoverTellsVersionsAndCapabilities) {
  World world;
  auto client = world.agent();
  const auto reply = modern(client, "server/discover", {});
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("Mcp-Session-Id"), "");
  const auto message = message_of(reply);
  EXPECT_EQ(at(message, "/result/supportedVersions/0"), "2026-07-28");
  EXPECT_EQ(at(message, "/result/resultType"), "complete");
  EXPECT_TRUE(at(message, "/result/capabilities/tools").is_object());
  EXPECT_TRUE(at(message, "/result/ttlMs").is_int64());
  EXPECT_EQ(at(message, "/result/_meta/io.modelcontextprotocol~1serverInfo/name"), "gavel");
}

TEST(McpModern, ListsToolsOfAllServersUnderPrefixedNamesWithoutForbiddenOnes) {
  World world;
  auto client = world.agent();
  const auto message = message_of(modern(client, "tools/list", {}));
  const auto all = names(message, "tools");
  EXPECT_THAT(all, Contains("box__echo"));
  EXPECT_THAT(all, Contains("lib__echo"));
  EXPECT_THAT(all, ::testing::Not(Contains("box__forbidden")));
  EXPECT_EQ(at(message, "/result/cacheScope"), "private");
  EXPECT_GE(at(message, "/result/ttlMs").as_int64(), 0);
}

TEST(McpModern, ShowsOneServerAloneWithPlainNames) {
  World world;
  auto client = world.agent();
  EXPECT_THAT(names(message_of(modern(client, "tools/list", {}, "/mcp?server=box")), "tools"),
              Contains("echo"));
  const auto message =
      message_of(modern(client, "tools/call", call("echo", {{"text", "hi"}}), "/mcp?server=box"));
  EXPECT_EQ(text_of(message), R"({"text":"hi"})");
}

TEST(McpModern, WhatTheQueryNamesMustBeThere) {
  World world;
  auto client = world.agent();
  const auto error = [&](const std::string& target) {
    const auto reply = modern(client, "tools/list", {}, target);
    EXPECT_EQ(reply.status, 400) << target;
    return std::string(at(message_of(reply), "/error/message").as_string());
  };
  EXPECT_EQ(error("/mcp?server=bx"),
            "there is no server \"bx\"; did you mean \"box\"? There is: box, lib");
  EXPECT_EQ(error("/mcp?sesion=a"),
            "there is no query parameter \"sesion\"; did you mean \"session\"? There is: session, "
            "epoch, server");
  EXPECT_THAT(error("/mcp?session=%ff"), HasSubstr("UTF-8"));
}

TEST(McpModern, CallsAToolAndSaysWhichIntentItWas) {
  World world;
  auto client = world.agent();
  const auto reply = modern(client, "tools/call", call("box__echo", {{"text", "hi"}}));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("Content-Type"), "application/json");
  const auto message = message_of(reply);
  EXPECT_EQ(text_of(message), R"({"text":"hi"})");
  EXPECT_EQ(at(message, "/result/resultType"), "complete");
  EXPECT_EQ(at(message, "/result/_meta/own"), "box");
  EXPECT_THAT(std::string(at(message, "/result/_meta/com.gavel~1intent").as_string()),
              HasSubstr("agent-tester#"));
}

TEST(McpModern, UsesTheSessionThatTheRequestNames) {
  World world;
  auto client = world.agent();
  modern(client, "tools/call", call("box__add"), "/mcp?session=refund-42");
  EXPECT_EQ(at(world.get("/v1/sessions/refund-42"), "/counters/ok"), 1);
  EXPECT_EQ(at(world.get("/v1/sessions/refund-42"), "/client"), "tester 1");
}

TEST(McpModern, RefusesTheCallsOfAnOldEpoch) {
  World world;
  auto client = world.agent();
  modern(client, "tools/call", call("box__add"), "/mcp?session=s");
  const auto woken = world.post("agent", "/v1/sessions/s/wake", {{"client", "other"}});
  EXPECT_EQ(at(woken, "/epoch"), 2);
  const auto zombie = message_of(modern(client, "tools/call", call("box__add"), "/mcp?session=s"));
  EXPECT_EQ(at(zombie, "/result/isError"), true);
  EXPECT_EQ(at(zombie, "/result/_meta/com.gavel~1code"), "stale_epoch");
  const auto url = std::string(at(woken, "/mcp_url").as_string());
  const auto target = url.substr(url.find("/mcp"));
  // The new driver runs the same steps again: the first is answered from the log.
  const auto again = message_of(modern(client, "tools/call", call("box__add"), target));
  EXPECT_EQ(text_of(again), "add 1");
  EXPECT_EQ(at(again, "/result/_meta/com.gavel~1replayed"), true);
  const auto next = message_of(modern(client, "tools/call", call("box__add"), target));
  EXPECT_EQ(text_of(next), "add 2");
}

TEST(McpModern, TheSameCallIdGetsTheRecordedOutcome) {
  World world;
  auto client = world.agent();
  const json::object meta{{"claudecode/toolUseId", "toolu_1"}};
  const auto first = message_of(modern(client, "tools/call", call("box__add", {}, meta)));
  const auto second = message_of(modern(client, "tools/call", call("box__add", {}, meta)));
  EXPECT_EQ(text_of(first), "add 1");
  EXPECT_EQ(text_of(second), "add 1");
  EXPECT_EQ(at(second, "/result/_meta/com.gavel~1replayed"), true);
  EXPECT_EQ(world.script("box").calls, 1);
}

TEST(McpModern, IdempotencyKeyComesFromMetaOrHeader) {
  World world;
  auto client = world.agent();
  modern(client, "tools/call",
         call("box__add", {}, {{"com.gavel/idempotencyKey", "k1"}, {"callId", "c1"}}));
  std::vector<std::pair<std::string, std::string>> headers{{"MCP-Protocol-Version", "2026-07-28"},
                                                           {"Mcp-Method", "tools/call"},
                                                           {"Mcp-Name", "box__add"},
                                                           {"Idempotency-Key", "\"k1\""}};
  const auto again = client.request(
      "POST", "/mcp", body_of("tools/call", {{"name", "box__add"}, {"arguments", json::object{}}}),
      headers);
  EXPECT_EQ(text_of(message_of(again)), "add 1");
  const auto other = client.request(
      "POST", "/mcp",
      body_of("tools/call", {{"name", "box__add"}, {"arguments", json::object{{"n", 2}}}}),
      headers);
  EXPECT_EQ(at(message_of(other), "/result/_meta/com.gavel~1code"), "key_reused");
}

TEST(McpModern, HeldCallOpensAStreamAtOnceAndEndsWithTheOutcome) {
  World world;
  auto client = world.agent();
  send_modern(client, "tools/call", call("box__held", {}, {{"progressToken", "p1"}}));
  const auto head = client.receive_head();
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.header("Content-Type"), "text/event-stream");
  EXPECT_EQ(head.header("X-Accel-Buffering"), "no");
  const auto pending = world.only_pending();
  EXPECT_EQ(at(pending, "/tool"), "box__held");
  EXPECT_EQ(at(pending, "/hold"), "ask");
  auto event = client.read_event();
  ASSERT_TRUE(event);
  const auto progress = *parse_json(*event);
  EXPECT_EQ(at(progress, "/method"), "notifications/progress");
  EXPECT_EQ(at(progress, "/params/progressToken"), "p1");
  world.decide(pending, "allow");
  std::string last;
  std::vector<std::string> messages;
  while ((event = client.read_event())) {
    if (event->starts_with(':')) continue;
    last = *event;
    messages.push_back(last);
  }
  EXPECT_EQ(text_of(*parse_json(last)), "held 1");
  EXPECT_EQ(world.script("box").calls, 1);
}

TEST(McpModern, WaitingIsToldWithRisingProgressAndTheIntentsName) {
  World world;
  auto client = world.agent();
  send_modern(client, "tools/call", call("box__held", {}, {{"progressToken", 7}}),
              "/mcp?session=s");
  client.receive_head();
  double before = -1;
  std::string message;
  for (int i = 0; i < 3; ++i) {
    const auto event = *parse_json(*client.read_event());
    const auto now = at(event, "/params/progress").to_number<double>();
    EXPECT_GT(now, before);
    before = now;
    EXPECT_EQ(at(event, "/params/progressToken"), 7);
    message = std::string(at(event, "/params/message").as_string());
  }
  const auto pending = world.only_pending();
  EXPECT_EQ(message, fmt::format("waiting for approval of s#{}", int_or(pending, "intent", 0)));
}

TEST(McpModern, WithoutAProgressTokenCommentsKeepTheStreamOpen) {
  World world;
  auto client = world.agent();
  send_modern(client, "tools/call", call("box__held"));
  client.receive_head();
  EXPECT_EQ(client.read_event()->substr(0, 1), ":");
  world.decide(world.only_pending(), "deny");
  std::string last;
  while (const auto event = client.read_event()) {
    if (!event->starts_with(':')) last = *event;
  }
  const auto message = *parse_json(last);
  EXPECT_EQ(at(message, "/result/isError"), true);
  EXPECT_EQ(at(message, "/result/_meta/com.gavel~1code"), "denied");
  EXPECT_THAT(text_of(message), HasSubstr("because"));
}

TEST(McpModern, WhenPatienceEndsTheClientIsToldHowToCollectTheOutcome) {
  auto options = World::quick();
  options.patience = 60ms;
  World world(options);
  auto client = world.agent();
  const auto first = message_of(modern(client, "tools/call", call("box__held")));
  EXPECT_EQ(at(first, "/result/isError"), true);
  EXPECT_EQ(at(first, "/result/_meta/com.gavel~1pending"), true);
  EXPECT_THAT(text_of(first), HasSubstr("held for approval"));
  EXPECT_THAT(text_of(first), HasSubstr("Call the same tool again with the same arguments"));
  EXPECT_THAT(text_of(first), HasSubstr("will not act twice"));
  world.decide(world.only_pending(), "allow");
  const auto second = message_of(modern(client, "tools/call", call("box__held")));
  EXPECT_EQ(text_of(second), "held 1");
  EXPECT_EQ(world.script("box").calls, 1);
}

TEST(McpModern, SlowCallBecomesAStreamAfterTheHoldOff) {
  World world;
  auto client = world.agent();
  send_modern(client, "tools/call", call("box__slow"));
  EXPECT_EQ(client.receive_head().header("Content-Type"), "text/event-stream");
  EXPECT_EQ(client.read_event()->substr(0, 1), ":");
  world.script("box").released = true;
  std::string last;
  while (const auto event = client.read_event()) last = *event;
  EXPECT_EQ(text_of(*parse_json(last)), "slow 1");
}

TEST(McpModern, AClientThatTakesOnlyJsonGetsJson) {
  World world;
  auto client = world.agent();
  client.send_request("POST", "/mcp",
                      body_of("tools/call", {{"name", "box__slow"}, {"arguments", json::object{}}}),
                      {{"Accept", "application/json"},
                       {"MCP-Protocol-Version", "2026-07-28"},
                       {"Mcp-Method", "tools/call"},
                       {"Mcp-Name", "box__slow"}});
  auto other = world.agent();
  EXPECT_EQ(text_of(message_of(modern(other, "tools/call", call("box__add")))), "add 1");
  world.script("box").released = true;
  const auto reply = client.receive();
  EXPECT_EQ(reply.header("Content-Type"), "application/json");
  EXPECT_EQ(text_of(message_of(reply)), "slow 2");
}

TEST(McpModern, ProgressOfTheToolIsPassedOnWithTheClientsToken) {
  World world;
  auto client = world.agent();
  send_modern(client, "tools/call", call("box__steps", {}, {{"progressToken", "mine"}}));
  const auto reply = client.receive();
  EXPECT_THAT(reply.body, HasSubstr(R"("progressToken":"mine","progress":1,"total":2)"));
  EXPECT_THAT(reply.body, HasSubstr(R"("progress":2)"));
  EXPECT_THAT(reply.body, ::testing::Not(HasSubstr("internal")));
  EXPECT_EQ(text_of(message_of(reply)), "steps 1");
}

TEST(McpModern, WhoGotTheAnswerAndHangsUpIsNotGivenItForTheNextCall) {
  World world;
  for (int i = 1; i <= 100; ++i) {
    auto client = world.agent();
    send_modern(client, "tools/call", call("box__steps", {}, {{"progressToken", "mine"}}),
                "/mcp?session=s");
    client.receive_head();
    auto event = client.read_event();
    while (event && event->contains("notifications/progress")) event = client.read_event();
    ASSERT_TRUE(event);
    EXPECT_EQ(text_of(*parse_json(*event)), fmt::format("steps {}", i));
    EXPECT_TRUE(client.end_came()) << "the answer's bytes are the stream's last";
  }
}

TEST(McpModern, TheActionGoesOnWhenTheClientGoesAway) {
  World world;
  {
    auto client = world.agent();
    send_modern(client, "tools/call", call("box__held"), "/mcp?session=s");
    client.receive_head();
  }
  world.decide(world.only_pending(), "allow");
  auto client = world.agent();
  const auto message =
      message_of(modern(client, "tools/call", call("box__held"), "/mcp?session=s"));
  EXPECT_EQ(text_of(message), "held 1");
  EXPECT_EQ(world.script("box").calls, 1);
}

TEST(McpModern, WhenGavelStopsAWaitingClientIsToldToComeBack) {
  World world;
  auto client = world.agent();
  send_modern(client, "tools/call", call("box__held"));
  client.receive_head();
  client.read_event();
  world.stop();
  std::string last;
  while (const auto event = client.read_event()) {
    if (!event->starts_with(':')) last = *event;
  }
  ASSERT_FALSE(last.empty());
  EXPECT_EQ(at(*parse_json(last), "/result/_meta/com.gavel~1pending"), true);
}

TEST(McpModern, AFrozenScopeRefusesWithAReasonTheModelCanRead) {
  World world;
  world.post("operator", "/v1/halts",
             {{"scope", "everything"}, {"mode", "freeze"}, {"reason", "code freeze"}});
  auto client = world.agent();
  const auto message = message_of(modern(client, "tools/call", call("box__add")));
  EXPECT_EQ(at(message, "/result/isError"), true);
  EXPECT_EQ(at(message, "/result/_meta/com.gavel~1code"), "halted");
  EXPECT_THAT(text_of(message), HasSubstr("code freeze"));
  EXPECT_EQ(world.script("box").calls, 0);
}

TEST(McpModern, UnknownToolsAndMalformedCallsAreInvalidParams) {
  World world;
  auto client = world.agent();
  for (const auto& params :
       {call("box__nothing"), call("nowhere__echo"),
        json::object{{"name", "box__echo"}, {"arguments", 1}}, json::object{{"name", ""}}}) {
    EXPECT_EQ(error_code(message_of(modern(client, "tools/call", params))), -32602)
        << write_json(params);
  }
}

TEST(McpModern, HeadersMustMirrorTheBody) {
  World world;
  auto client = world.agent();
  using Headers = std::vector<std::pair<std::string, std::string>>;
  const auto body = body_of("tools/call", {{"name", "box__add"}, {"arguments", json::object{}}});
  for (const Headers& headers :
       {Headers{{"MCP-Protocol-Version", "2026-07-28"}, {"Mcp-Method", "tools/call"}},
        Headers{{"MCP-Protocol-Version", "2026-07-28"}, {"Mcp-Name", "box__add"}},
        Headers{{"Mcp-Method", "tools/call"}, {"Mcp-Name", "box__add"}},
        Headers{{"MCP-Protocol-Version", "2025-11-25"},
                {"Mcp-Method", "tools/call"},
                {"Mcp-Name", "box__add"}},
        Headers{{"MCP-Protocol-Version", "2026-07-28"},
                {"Mcp-Method", "tools/list"},
                {"Mcp-Name", "box__add"}},
        Headers{{"MCP-Protocol-Version", "2026-07-28"},
                {"Mcp-Method", "tools/call"},
                {"Mcp-Name", "box__echo"}}}) {
    const auto reply = client.request("POST", "/mcp", body, headers);
    EXPECT_EQ(reply.status, 400);
    EXPECT_EQ(error_code(message_of(reply)), -32020) << reply.body;
  }
  EXPECT_EQ(world.script("box").calls, 0);
}

TEST(McpModern, ArgumentsThatAreMirroredMustEqualTheirHeaders) {
  World world;
  auto client = world.agent();
  const auto body = body_of(
      "tools/call", {{"name", "box__mirrored"}, {"arguments", json::object{{"region", "eu"}}}});
  const auto send = [&](std::optional<std::string> region) {
    std::vector<std::pair<std::string, std::string>> headers{{"MCP-Protocol-Version", "2026-07-28"},
                                                             {"Mcp-Method", "tools/call"},
                                                             {"Mcp-Name", "box__mirrored"}};
    if (region) headers.emplace_back("Mcp-Param-Region", *region);
    return client.request("POST", "/mcp", body, headers);
  };
  EXPECT_EQ(error_code(message_of(send({}))), -32020);
  EXPECT_EQ(error_code(message_of(send("us"))), -32020);
  EXPECT_EQ(text_of(message_of(send("eu"))), "mirrored 1");
  EXPECT_EQ(text_of(message_of(send("=?base64?ZXU=?="))), "mirrored 2");
}

TEST(McpModern, UnknownVersionsAndMethodsAndMissingMetaAreToldApart) {
  World world;
  auto client = world.agent();
  const auto send = [&](std::string_view method, json::object meta, std::string version) {
    return client.request(
        "POST", "/mcp",
        write_json(json::object{{"jsonrpc", "2.0"},
                                {"id", "x"},
                                {"method", method},
                                {"params", json::object{{"_meta", std::move(meta)}}}}),
        {{"MCP-Protocol-Version", version}, {"Mcp-Method", std::string(method)}});
  };
  auto future = test::modern_meta();
  future["io.modelcontextprotocol/protocolVersion"] = "2099-01-01";
  const auto unsupported = send("tools/list", future, "2099-01-01");
  EXPECT_EQ(unsupported.status, 400);
  EXPECT_EQ(error_code(message_of(unsupported)), -32022);
  EXPECT_EQ(at(message_of(unsupported), "/error/data/requested"), "2099-01-01");
  EXPECT_EQ(at(message_of(unsupported), "/id"), "x");
  EXPECT_EQ(at(message_of(unsupported), "/error/data/supported"),
            at(message_of(modern(client, "server/discover", {})), "/result/supportedVersions"));

  const auto unknown = send("tools/shred", test::modern_meta(), "2026-07-28");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(error_code(message_of(unknown)), -32601);
  // Of the other era only.
  EXPECT_EQ(send("ping", test::modern_meta(), "2026-07-28").status, 404);

  auto incomplete = test::modern_meta();
  incomplete.erase("io.modelcontextprotocol/clientCapabilities");
  const auto missing = send("tools/list", incomplete, "2026-07-28");
  EXPECT_EQ(missing.status, 400);
  EXPECT_EQ(error_code(message_of(missing)), -32602);
  EXPECT_EQ(error_code(message_of(send("tools/list", {}, "2026-07-28"))), -32602);
}

TEST(McpModern, GetAndDeleteAreNotAllowed) {
  World world;
  auto client = world.agent();
  for (const auto* method : {"GET", "DELETE", "PUT"}) {
    const auto reply = client.request(method, "/mcp");
    EXPECT_EQ(reply.status, 405) << method;
    EXPECT_EQ(reply.header("Allow"), "POST");
  }
}

TEST(McpModern, ResourcesOfAllServersAreListedAndReadWhereTheyAre) {
  World world;
  auto client = world.agent();
  const auto listed = message_of(modern(client, "resources/list", {}));
  EXPECT_EQ(at(listed, "/result/resources").as_array().size(), 5U);  // two pages of two servers
  EXPECT_EQ(at(listed, "/result/resultType"), "complete");
  for (const std::string server : {"box", "lib"}) {
    const auto read =
        message_of(modern(client, "resources/read", {{"uri", "test://" + server + "/b"}}));
    EXPECT_EQ(at(read, "/result/contents/0/text"), json::value("from " + server));
    EXPECT_EQ(at(read, "/result/cacheScope"), "private");
  }
  const auto templates = message_of(modern(client, "resources/templates/list", {}));
  EXPECT_EQ(at(templates, "/result/resourceTemplates").as_array().size(), 2U);
}

TEST(McpModern, AUriOfSeveralServersIsTheFirstOnes) {
  World world;
  auto client = world.agent();
  const auto read = [&](const std::string& target) {
    const auto message =
        message_of(modern(client, "resources/read", {{"uri", "shared://readme"}}, target));
    return std::string(at(message, "/result/contents/0/text").as_string());
  };
  // Whoever is listed alone before does not get it.
  const auto alone = message_of(modern(client, "resources/list", {}, "/mcp?server=lib"));
  EXPECT_THAT(names(alone, "resources"), Contains("of lib"));
  EXPECT_EQ(read("/mcp?server=lib"), "from lib");
  EXPECT_EQ(read("/mcp"), "from box");
  const auto all = names(message_of(modern(client, "resources/list", {})), "resources");
  EXPECT_THAT(all, Contains("of box"));
  EXPECT_THAT(all, ::testing::Not(Contains("of lib")));
}

TEST(McpModern, AResourceOfATemplateIsFoundByAsking) {
  World world;
  auto client = world.agent();
  const auto read = message_of(modern(client, "resources/read", {{"uri", "test://lib/t/9"}}));
  EXPECT_EQ(at(read, "/result/contents/0/text"), "from lib");
  const auto missing = message_of(modern(client, "resources/read", {{"uri", "other://x"}}));
  EXPECT_EQ(error_code(missing), -32602);
  EXPECT_EQ(error_code(message_of(modern(client, "resources/read", {}))), -32602);
}

TEST(McpModern, PromptsAndCompletionsGoToTheirServer) {
  World world;
  auto client = world.agent();
  EXPECT_THAT(names(message_of(modern(client, "prompts/list", {})), "prompts"),
              std::vector<std::string>{"box__greet"});
  EXPECT_EQ(at(message_of(modern(client, "prompts/get", {{"name", "box__greet"}})),
               "/result/description"),
            "greet");
  EXPECT_EQ(error_code(message_of(modern(client, "prompts/get", {{"name", "nowhere__greet"}}))),
            -32602);
  const auto completed =
      message_of(modern(client, "completion/complete",
                        {{"ref", json::object{{"type", "ref/prompt"}, {"name", "box__greet"}}},
                         {"argument", json::object{{"name", "who"}, {"value", "w"}}}}));
  EXPECT_EQ(at(completed, "/result/completion/values/0"), "greet");
  const auto resource = message_of(
      modern(client, "completion/complete",
             {{"ref", json::object{{"type", "ref/resource"}, {"uri", "test://lib/t/{x}"}}},
              {"argument", json::object{{"name", "x"}, {"value", "w"}}}}));
  EXPECT_EQ(at(resource, "/result/completion/values/0"), "test://lib/t/{x}");
  EXPECT_EQ(error_code(message_of(modern(client, "completion/complete", {}))), -32602);
}

TEST(McpModern, ListenIsAcknowledgedFirstAndEndsInOrderWhenGavelStops) {
  World world;
  auto client = world.agent();
  send_modern(client, "subscriptions/listen",
              {{"notifications", json::object{{"toolsListChanged", true}}}}, "/mcp", "\"sub\"");
  EXPECT_EQ(client.receive_head().header("Content-Type"), "text/event-stream");
  const auto first = *parse_json(*client.read_event());
  EXPECT_EQ(at(first, "/method"), "notifications/subscriptions/acknowledged");
  EXPECT_EQ(at(first, "/params/_meta/io.modelcontextprotocol~1subscriptionId"), "sub");
  EXPECT_EQ(at(first, "/params/notifications"), (json::object{{"toolsListChanged", true}}));
  EXPECT_EQ(client.read_event()->substr(0, 1), ":");
  world.stop();
  std::string last;
  while (const auto event = client.read_event()) {
    if (!event->starts_with(':')) last = *event;
  }
  EXPECT_EQ(at(*parse_json(last), "/result/_meta/io.modelcontextprotocol~1subscriptionId"), "sub");
}

TEST(McpModern, ALostReadSaysSoInAResult) {
  World world;
  auto client = world.agent();
  const auto message = message_of(modern(client, "tools/call", call("box__broken")));
  EXPECT_EQ(at(message, "/result/isError"), true);
  EXPECT_THAT(text_of(message), HasSubstr("the server went away"));
}

TEST(McpBadInput, IsAnsweredAndTheConnectionSurvives) {
  World world;
  auto client = world.agent();
  const std::string deep = std::string(1000, '[') + std::string(1000, ']');
  struct Case {
    std::string body;
    std::int64_t code;
  };
  for (const auto& bad : {
           Case{"{", -32700},
           Case{"", -32700},
           Case{"not json", -32700},
           Case{"\"text\"", -32600},
           Case{R"({"jsonrpc":"1.0","id":1,"method":"ping"})", -32600},
           Case{R"({"jsonrpc":"2.0","id":1})", -32600},
           Case{R"({"jsonrpc":"2.0","id":1,"id":2,"method":"ping"})", -32700},
           Case{R"({"jsonrpc":"2.0","id":1.5,"method":"ping"})", -32600},
           Case{R"({"jsonrpc":"2.0","id":1,"method":"tools/list","params":[]})", -32602},
           Case{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xFF\"}", -32700},
           Case{R"({"jsonrpc":"2.0","id":1,"method":"x","params":{"a":)" + deep + "}}", -32700},
           Case{R"([{"jsonrpc":"2.0","id":1,"method":"ping"}])", -32600},
       }) {
    const auto reply = client.request("POST", "/mcp", bad.body);
    EXPECT_EQ(reply.status, 400) << bad.body;
    EXPECT_EQ(error_code(message_of(reply)), bad.code) << reply.body;
  }
  EXPECT_EQ(client.request("POST", "/mcp", "{}", {{"Content-Type", "text/plain"}}).status, 415);
  EXPECT_EQ(client.request("POST", "/mcp", "{}", {{"Accept", "text/html"}}).status, 406);
  for (const auto* target :
       {"/mcp?session=control/everything", "/mcp?session=a%20b", "/mcp?epoch=0", "/mcp?epoch=x"}) {
    EXPECT_EQ(modern(client, "tools/list", {}, target).status, 400) << target;
  }
  EXPECT_EQ(modern(client, "tools/list", {}).status, 200);
}

TEST(McpAccess, TakesATokenTheRoleDriverAndALoopbackOrigin) {
  World world;
  Client nobody(world.endpoint());
  const auto refused = nobody.request("POST", "/mcp", "{}");
  EXPECT_EQ(refused.status, 401);
  EXPECT_THAT(refused.header("WWW-Authenticate"), HasSubstr("Bearer"));
  auto person = world.person();
  EXPECT_EQ(modern(person, "tools/list", {}).status, 403);
  auto agent = world.agent();
  EXPECT_EQ(agent.request("POST", "/mcp", "{}", {{"Origin", "https://evil.example"}}).status, 403);
}

}  // namespace
}  // namespace gavel

// The initialize line of MCP over HTTP, against the whole gateway.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/test_world.hpp"

namespace gavel {
namespace {

using namespace std::chrono_literals;
using test::Client;
using test::message_of;
using test::Reply;
using test::text_of;
using test::World;
using ::testing::HasSubstr;
using Headers = std::vector<std::pair<std::string, std::string>>;

const json::value& at(const json::value& value, std::string_view pointer) {
  return value.at_pointer(pointer);
}

// A client of the official kind: it initializes, then sends its session with every message.
class LegacyClient {
public:
  LegacyClient(Client client, std::string version, std::string target = "/mcp")
      : http_(std::move(client)), version_(std::move(version)), target_(std::move(target)) {
    const auto reply = post(message("initialize", initialize_params()));
    first_ = message_of(reply);
    session_ = reply.header("Mcp-Session-Id");
    version_ = at(first_, "/result/protocolVersion").as_string();
    EXPECT_EQ(post(R"({"jsonrpc":"2.0","method":"notifications/initialized"})").status, 202);
  }

  json::object initialize_params() const {
    return {{"protocolVersion", version_},
            {"capabilities", json::object{}},
            {"clientInfo", json::object{{"name", "old client"}, {"version", "1.2"}}}};
  }
  static std::string message(std::string_view method, json::object params, int id = 1) {
    return write_json(json::object{
        {"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", std::move(params)}});
  }
  Headers headers() const {
    Headers all{{"Content-Type", "application/json"},
                {"Accept", "application/json, text/event-stream"}};
    if (!session_.empty()) all.emplace_back("Mcp-Session-Id", session_);
    if (sends_version && !session_.empty()) all.emplace_back("MCP-Protocol-Version", version_);
    return all;
  }
  void send(const std::string& body) { http_.send_request("POST", target_, body, headers()); }
  Reply post(const std::string& body) {
    send(body);
    return http_.receive();
  }
  json::value ask(std::string_view method, json::object params = {}) {
    return message_of(post(message(method, std::move(params))));
  }
  json::value call(std::string_view tool, json::object arguments = {}) {
    return ask("tools/call", {{"name", tool}, {"arguments", std::move(arguments)}});
  }
  const json::value& first() const { return first_; }
  const std::string& session() const { return session_; }
  Client& http() { return http_; }
  // A call whose stream breaks once its first event has come: the id of that.
  std::string lose(std::string_view tool, const json::value& id, World& world) {
    auto lost = world.agent();
    lost.send_request("POST", target_,
                      write_json(json::object{{"jsonrpc", "2.0"},
                                              {"id", id},
                                              {"method", "tools/call"},
                                              {"params", json::object{{"name", tool}}}}),
                      headers());
    EXPECT_EQ(lost.receive_head().header("Content-Type"), "text/event-stream");
    while (lost.last_event_id.empty() && lost.read_event()) {
    }
    lost.close();
    // The gateway has seen the end of that connection before it answers these.
    for (int i = 0; i < 5; ++i) ask("ping");
    return lost.last_event_id;
  }
  // GET, as one whose stream broke there.
  Client come_back(World& world, std::string_view last) const {
    auto stream = world.agent();
    auto all = headers();
    if (!last.empty()) all.emplace_back("Last-Event-ID", last);
    stream.send_request("GET", "/mcp", {}, all);
    return stream;
  }

  bool sends_version = true;

private:
  Client http_;
  std::string version_;
  std::string target_;
  std::string session_;
  json::value first_;
};

TEST(McpLegacy, InitializeAgreesOnAVersionAndMintsASession) {
  World world;
  for (const std::string version : {"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"}) {
    const LegacyClient client(world.agent(), version);
    EXPECT_EQ(at(client.first(), "/result/protocolVersion"), json::value(version));
    EXPECT_EQ(at(client.first(), "/result/serverInfo/name"), "gavel");
    EXPECT_TRUE(at(client.first(), "/result/capabilities/tools").is_object());
    EXPECT_GE(client.session().size(), 32U);
  }
  const LegacyClient unknown(world.agent(), "2031-01-01");
  EXPECT_EQ(at(unknown.first(), "/result/protocolVersion"), "2025-11-25");
}

TEST(McpLegacy, EachInitializeHasASessionOfItsOwnInTheLog) {
  World world;
  LegacyClient one(world.agent(), "2025-11-25");
  LegacyClient other(world.agent(), "2025-11-25");
  const auto intent = [](const json::value& message) {
    const auto text = std::string(at(message, "/result/_meta/com.gavel~1intent").as_string());
    return text.substr(0, text.find('#'));
  };
  const auto first = intent(one.call("box__add"));
  EXPECT_TRUE(first.starts_with("mcp-old-client-")) << first;
  EXPECT_EQ(intent(one.call("box__add", {{"n", 2}})), first);
  EXPECT_NE(intent(other.call("box__add")), first);
  EXPECT_EQ(at(world.get("/v1/sessions/" + first), "/client"), "old client 1.2");
}

TEST(McpLegacy, ListsAndCallsWithoutModernMembers) {
  World world;
  LegacyClient client(world.agent(), "2025-11-25");
  const auto list = client.ask("tools/list");
  EXPECT_FALSE(at(list, "/result").as_object().contains("resultType"));
  EXPECT_FALSE(at(list, "/result").as_object().contains("ttlMs"));
  EXPECT_EQ(text_of(client.call("box__echo", {{"text", "hi"}})), R"({"text":"hi"})");
  EXPECT_EQ(at(client.ask("ping"), "/result"), json::value(json::object{}));
  EXPECT_EQ(at(client.ask("logging/setLevel", {{"level", "info"}}), "/result"),
            json::value(json::object{}));
  EXPECT_EQ(at(client.ask("server/shred"), "/error/code"), -32601);
  const auto missing = client.ask("resources/read", {{"uri", "test://box/none"}});
  EXPECT_EQ(at(missing, "/result/contents/0/text"), "from box");
}

TEST(McpLegacy, AMissingVersionHeaderIsAccepted) {
  World world;
  LegacyClient client(world.agent(), "2025-06-18");
  client.sends_version = false;
  EXPECT_EQ(text_of(client.call("box__add")), "add 1");
}

TEST(McpLegacy, RequestsWithoutOrWithUnknownSessionAreToldToInitialize) {
  World world;
  auto client = world.agent();
  const auto body = LegacyClient::message("tools/list", {});
  const auto without = client.request("POST", "/mcp", body);
  EXPECT_EQ(without.status, 400);
  EXPECT_THAT(without.body, HasSubstr("initialize"));
  const auto unknown =
      client.request("POST", "/mcp", body, {{"Mcp-Session-Id", std::string(32, 'a')}});
  EXPECT_EQ(unknown.status, 404);
  EXPECT_THAT(unknown.body, HasSubstr("initialize"));
}

TEST(McpLegacy, ASessionEndsWithDelete) {
  World world;
  LegacyClient client(world.agent(), "2025-06-18");
  const Headers session{{"Mcp-Session-Id", client.session()}};
  EXPECT_EQ(client.http().request("DELETE", "/mcp", {}, session).status, 204);
  EXPECT_EQ(client.http().request("DELETE", "/mcp", {}, session).status, 404);
  EXPECT_EQ(client.post(LegacyClient::message("tools/list", {})).status, 404);
}

TEST(McpLegacy, TheSessionsStreamShowsSignsOfLife) {
  World world;
  LegacyClient client(world.agent(), "2025-06-18");
  auto stream = world.agent();
  stream.send_request("GET", "/mcp", {},
                      {{"Mcp-Session-Id", client.session()}, {"Accept", "text/event-stream"}});
  const auto head = stream.receive_head();
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.header("Content-Type"), "text/event-stream");
  EXPECT_EQ(stream.read_event()->substr(0, 1), ":");
  EXPECT_EQ(stream.read_event()->substr(0, 1), ":");
  client.http().request("DELETE", "/mcp", {}, {{"Mcp-Session-Id", client.session()}});
  while (stream.read_event()) {
  }
  auto other = world.agent();
  EXPECT_EQ(other.request("GET", "/mcp", {}, {{"Mcp-Session-Id", "nonsense"}}).status, 404);
}

TEST(McpLegacy, CancellingEndsTheWaitButNotTheAction) {
  World world;
  LegacyClient client(world.agent(), "2025-06-18");
  client.send(LegacyClient::message("tools/call", {{"name", "box__held"}}, 5));
  client.http().receive_head();
  const auto pending = world.only_pending();
  auto other = world.agent();
  const auto cancel =
      R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}})";
  EXPECT_EQ(other.request("POST", "/mcp", cancel, client.headers()).status, 202);
  std::vector<std::string> events;
  while (const auto event = client.http().read_event()) {
    if (!event->starts_with(':')) events.push_back(*event);
  }
  EXPECT_TRUE(events.empty()) << events[0];
  world.decide(pending, "allow");
  EXPECT_EQ(text_of(client.call("box__held")), "held 1");
}

TEST(McpLegacy, ACancellationOfWhatIsAnsweredIsIgnored) {
  World world;
  LegacyClient client(world.agent(), "2025-11-25");
  client.call("box__add");
  const auto late = client.post(
      R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}})");
  EXPECT_EQ(late.status, 202);
  EXPECT_EQ(text_of(client.call("box__add", {{"n", 2}})), "add 2");
}

TEST(McpLegacy, ResponsesOfTheClientAreAccepted) {
  World world;
  LegacyClient client(world.agent(), "2025-11-25");
  EXPECT_EQ(client.post(R"({"jsonrpc":"2.0","id":9,"result":{}})").status, 202);
}

TEST(McpLegacy, BatchesBelongTo20250326) {
  World world;
  const std::string batch =
      R"([{"jsonrpc":"2.0","id":1,"method":"ping"},)"
      R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":77}},)"
      R"({"jsonrpc":"2.0","id":"b","method":"tools/call","params":{"name":"box__add"}},)"
      R"({"jsonrpc":"2.0","id":3,"method":"initialize","params":{}},)"
      R"({"jsonrpc":"1.0","id":4,"method":"ping"}])";
  LegacyClient old(world.agent(), "2025-03-26");
  const auto answers = *parse_json(old.post(batch).body);
  ASSERT_EQ(answers.as_array().size(), 4U);
  EXPECT_EQ(at(answers, "/0/id"), 1);
  EXPECT_EQ(at(answers, "/1/id"), "b");
  EXPECT_EQ(text_of(at(answers, "/1")), "add 1");
  EXPECT_EQ(at(answers, "/2/error/code"), -32600);
  EXPECT_EQ(at(answers, "/3/error/code"), -32600);
  EXPECT_EQ(old.post(R"([{"jsonrpc":"2.0","method":"notifications/initialized"}])").status, 202);
  EXPECT_EQ(old.post("[]").status, 400);
  LegacyClient newer(world.agent(), "2025-06-18");
  EXPECT_EQ(newer.post(batch).status, 400);
}

TEST(McpLegacy, BothErasAreServedAtTheSameTime) {
  World world;
  LegacyClient old(world.agent(), "2025-11-25");
  EXPECT_EQ(text_of(old.call("box__add")), "add 1");
  const auto reply = test::modern(old.http(), "tools/call", {{"name", "box__add"}});
  EXPECT_EQ(text_of(message_of(reply)), "add 2");
}

TEST(McpLegacy, TheUrlsSessionWinsOverTheMintedOne) {
  World world;
  LegacyClient client(world.agent(), "2025-11-25", "/mcp?session=mine&server=box");
  EXPECT_EQ(at(client.call("add"), "/result/_meta/com.gavel~1intent").as_string().find("mine#"),
            0U);
}

TEST(McpLegacy, HeldCallsAreStreamedHereToo) {
  World world;
  LegacyClient client(world.agent(), "2025-06-18");
  client.send(LegacyClient::message(
      "tools/call", {{"name", "box__held"}, {"_meta", json::object{{"progressToken", "t"}}}}, 8));
  EXPECT_EQ(client.http().receive_head().header("Content-Type"), "text/event-stream");
  EXPECT_THAT(*client.http().read_event(), HasSubstr(R"("progressToken":"t")"));
  world.decide(world.only_pending(), "allow");
  std::string last;
  while (const auto event = client.http().read_event()) last = *event;
  EXPECT_EQ(text_of(*parse_json(last)), "held 1");
  EXPECT_EQ(at(*parse_json(last), "/id"), 8);
}

// --- resumption ---

// The messages of a stream until its end.
std::vector<json::value> messages(Client& stream) {
  std::vector<json::value> all;
  while (const auto event = stream.read_event()) {
    if (!event->starts_with(':')) all.push_back(*parse_json(*event));
  }
  return all;
}

TEST(McpResumption, ACallWhoseStreamBrokeIsAnsweredOnAnother) {
  for (const std::string version : {"2025-11-25", "2025-06-18"}) {
    World world;
    LegacyClient client(world.agent(), version);
    const auto last = client.lose("box__held", "a \"call\"", world);
    auto stream = client.come_back(world, last);
    EXPECT_EQ(stream.receive_head().header("Content-Type"), "text/event-stream");
    world.decide(world.only_pending(), "allow");
    auto event = stream.read_event();
    while (event && event->starts_with(':')) event = stream.read_event();
    const auto told = *parse_json(event.value_or("null"));
    EXPECT_EQ(at(told, "/id"), "a \"call\"");
    EXPECT_EQ(text_of(told), "held 1");
    EXPECT_TRUE(stream.end_came()) << "the answer and the end are one";
    // It was delivered: the same call is a new one.
    client.send(LegacyClient::message("tools/call", {{"name", "box__held"}}, 2));
    EXPECT_EQ(client.http().receive_head().status, 200);
    world.only_pending();
    EXPECT_EQ(world.script("box").calls, 1);
    // Nothing follows the last event.
    auto over = client.come_back(world, stream.last_event_id);
    EXPECT_EQ(over.receive().status, 405);
  }
}

TEST(McpResumption, AnAnswerThatCameMeanwhileIsGivenAsOftenAsItIsAskedFor) {
  World world;
  LegacyClient client(world.agent(), "2025-11-25");
  const auto last = client.lose("box__held", 7, world);
  world.decide(world.only_pending(), "allow");
  for (int i = 0; i < 2; ++i) {
    auto stream = client.come_back(world, last);
    stream.receive_head();
    const auto told = messages(stream);
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(at(told[0], "/id"), 7);
    EXPECT_EQ(text_of(told[0]), "held 1");
  }
}

TEST(McpResumption, AReadGoesOnWhileItsClientComesBack) {
  World world;
  LegacyClient client(world.agent(), "2025-11-25");
  const auto last = client.lose("box__slow", 7, world);
  EXPECT_EQ(world.script("box").cancelled, 0);
  auto lost_too = client.come_back(world, last);
  lost_too.receive_head();
  lost_too.close();
  for (int i = 0; i < 5; ++i) client.ask("ping");
  EXPECT_EQ(world.script("box").cancelled, 0);
  auto stream = client.come_back(world, last);
  stream.receive_head();
  world.script("box").released = true;
  const auto told = messages(stream);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(text_of(told[0]), "slow 1");
}

TEST(McpResumption, ACancelledCallHasNothingToComeBackFor) {
  World world;
  LegacyClient client(world.agent(), "2025-11-25");
  client.send(LegacyClient::message("tools/call", {{"name", "box__slow"}}, 5));
  client.http().receive_head();
  while (client.http().last_event_id.empty()) ASSERT_TRUE(client.http().read_event());
  auto other = world.agent();
  const auto cancel =
      R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}})";
  EXPECT_EQ(other.request("POST", "/mcp", cancel, client.headers()).status, 202);
  EXPECT_TRUE(messages(client.http()).empty());
  auto stream = client.come_back(world, client.http().last_event_id);
  EXPECT_EQ(stream.receive().status, 405);
}

TEST(McpResumption, AResumedStreamIsCancelledAsTheCallWas) {
  World world;
  LegacyClient client(world.agent(), "2025-11-25");
  auto stream = client.come_back(world, client.lose("box__held", 5, world));
  stream.receive_head();
  stream.read_event();
  const auto cancel =
      R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}})";
  EXPECT_EQ(client.post(cancel).status, 202);
  EXPECT_TRUE(messages(stream).empty());
}

TEST(McpResumption, NobodyElseGetsTheAnswer) {
  World world;
  LegacyClient client(world.agent(), "2025-11-25");
  const auto last = client.lose("box__held", 7, world);
  world.decide(world.only_pending(), "allow");
  const LegacyClient thief(world.agent(), "2025-11-25");
  auto stream = thief.come_back(world, last);
  stream.receive_head();
  const auto told = messages(stream);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(at(told[0], "/error/code"), -32602);
  auto person = world.person();
  const Headers theirs{{"Mcp-Session-Id", client.session()}, {"Last-Event-ID", last}};
  EXPECT_EQ(person.request("GET", "/mcp", {}, theirs).status, 403);
}

TEST(McpResumption, TheSessionsStreamGoesOnBehindTheLastMessageThatArrived) {
  World world;
  LegacyClient client(world.agent(), "2025-11-25");
  const auto next = [](Client& stream) {
    for (;;) {
      const auto event = stream.read_event().value_or("the end");
      if (!event.starts_with(':')) return event;
    }
  };
  auto stream = client.come_back(world, "");
  stream.receive_head();
  stream.read_event();
  const auto opened = stream.last_event_id;
  EXPECT_FALSE(opened.empty()) << "there is an id before the first message";
  world.announce("box", "notifications/tools/list_changed", "");
  EXPECT_THAT(next(stream), HasSubstr("tools/list_changed"));
  const auto last = stream.last_event_id;
  stream.close();
  world.announce("box", "notifications/prompts/list_changed", "");
  for (int i = 0; i < 2; ++i) {
    auto again = client.come_back(world, last);
    again.receive_head();
    EXPECT_THAT(next(again), HasSubstr("prompts/list_changed"));
  }
  auto whole = client.come_back(world, opened);
  whole.receive_head();
  EXPECT_THAT(next(whole), HasSubstr("tools/list_changed"));
  EXPECT_THAT(next(whole), HasSubstr("prompts/list_changed"));
  // Of a place that nobody knows, or none, it goes on from now.
  for (const auto* place : {"", "0011223344556677.1", "nonsense", "call.x.1"}) {
    auto fresh = client.come_back(world, place);
    fresh.receive_head();
    fresh.read_event();
    world.announce("box", "notifications/resources/list_changed", "");
    EXPECT_THAT(next(fresh), HasSubstr("resources/list_changed")) << place;
  }
}

}  // namespace
}  // namespace gavel

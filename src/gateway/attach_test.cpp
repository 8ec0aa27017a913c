// POST /v1/attach, against the whole gateway.
#include "gateway/attach.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/test_world.hpp"

namespace gavel {
namespace {

using test::Client;
using test::text_of;
using test::World;
using ::testing::HasSubstr;
using ::testing::Not;

const json::value& at(const json::value& value, std::string_view pointer) {
  return value.at_pointer(pointer);
}

constexpr std::string_view kBody = R"({"name":"extra","command":["x"],"session":"attached"})";

// An upgraded connection, one JSON-RPC message a line.
class Attached {
public:
  explicit Attached(World& world, std::string_view body = kBody) : client_(world.person()) {
    client_.send_request("POST", "/v1/attach", body,
                         {{"Connection", "Upgrade"}, {"Upgrade", "gavel-stdio"}});
    head = client_.receive_head();
    EXPECT_EQ(head.status, 101);
  }
  void send(const std::string& line) { client_.send(line + "\n"); }
  json::value receive() {
    const auto line = client_.read_line();
    EXPECT_TRUE(line);
    return line ? parse_json(*line).value_or(nullptr) : nullptr;
  }
  json::value ask(std::string_view method, json::object params = {}, int id = 1) {
    send(write_json(json::object{
        {"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", std::move(params)}}));
    return receive();
  }
  std::string session() const { return head.header("Gavel-Session"); }
  void initialize(std::string_view version = "2025-11-25", json::object capabilities = {}) {
    const auto answer =
        ask("initialize", {{"protocolVersion", version},
                           {"capabilities", std::move(capabilities)},
                           {"clientInfo", json::object{{"name", "c"}, {"version", "1"}}}});
    EXPECT_EQ(at(answer, "/result/protocolVersion"), json::value(version));
    send(R"({"jsonrpc":"2.0","method":"notifications/initialized"})");
  }
  Client& client() { return client_; }

  test::Reply head;

private:
  Client client_;
};

TEST(Attach, CarriesALegacyConversationWithPlainToolNames) {
  auto options = World::quick();
  options.patience = std::chrono::milliseconds(50);
  World world(options);
  Attached attached(world);
  EXPECT_EQ(attached.head.header("Gavel-Session"), "attached");
  EXPECT_EQ(attached.head.header("Gavel-Epoch"), "1");
  attached.initialize();
  const auto tools = attached.ask("tools/list");
  EXPECT_EQ(at(tools, "/result/tools/0/name"), "add");
  const auto called =
      attached.ask("tools/call", {{"name", "add"}, {"arguments", json::object{}}}, 2);
  EXPECT_EQ(at(called, "/id"), 2);
  // The policy lists no tool of this server, so it counts as destructive.
  EXPECT_EQ(at(called, "/result/_meta/com.gavel~1pending"), true);
}

TEST(Attach, QuestionsAndChangesComeAsLinesToo) {
  World world;
  Attached attached(world);
  attached.initialize("2025-11-25", {{"elicitation", json::object{}}});
  world.announce("extra", "notifications/tools/list_changed", "");
  EXPECT_EQ(at(attached.receive(), "/method"), "notifications/tools/list_changed");
  const auto question = attached.ask("tools/call", {{"name", "wonder"}}, 4);
  EXPECT_EQ(at(question, "/method"), "elicitation/create");
  attached.send(write_json(json::object{{"jsonrpc", "2.0"},
                                        {"id", at(question, "/id")},
                                        {"result", json::object{{"action", "decline"}}}}));
  const auto done = attached.receive();
  EXPECT_EQ(at(done, "/id"), 4);
  EXPECT_EQ(test::text_of(done), R"({"action":"decline"})");
}

TEST(Attach, AnswersTheModernProbeToo) {
  World world;
  Attached attached(world);
  const auto discovered = attached.ask("server/discover", {{"_meta", test::modern_meta()}});
  EXPECT_EQ(at(discovered, "/result/supportedVersions/0"), "2026-07-28");
  const auto incomplete = attached.ask("server/discover");
  EXPECT_EQ(at(incomplete, "/error/code"), -32602);
  const auto early = attached.ask("tools/list");
  EXPECT_EQ(at(early, "/error/code"), -32600);
  const auto modern = attached.ask("tools/list", {{"_meta", test::modern_meta()}});
  EXPECT_EQ(at(modern, "/result/resultType"), "complete");
}

TEST(Attach, TheCallsAreTheAgentsSoThatThePersonCanApprove) {
  World world;
  Attached attached(world);
  attached.initialize();
  attached.send(
      R"({"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"held","_meta":{"progressToken":1}}})");
  const auto progress = attached.receive();
  EXPECT_EQ(at(progress, "/method"), "notifications/progress");
  const auto pending = world.only_pending();
  EXPECT_EQ(at(pending, "/tool"), "extra__held");
  EXPECT_EQ(at(pending, "/requester"), "agent");
  EXPECT_EQ(at(pending, "/session"), "attached");
}

TEST(Attach, RequestsAreAnsweredAsTheyGetReady) {
  World world;
  Attached attached(world);
  attached.initialize();
  attached.send(R"({"jsonrpc":"2.0","id":"waits","method":"tools/call","params":{"name":"held"}})");
  EXPECT_EQ(at(attached.ask("ping", {}, 5), "/id"), 5);
  world.only_pending();
  attached.send(
      R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"waits"}})");
  EXPECT_EQ(at(attached.ask("ping", {}, 6), "/id"), 6);
}

TEST(Attach, BadLinesAreAnsweredAndTheConversationGoesOn) {
  World world;
  Attached attached(world);
  attached.send("nonsense");
  EXPECT_EQ(at(attached.receive(), "/error/code"), -32700);
  attached.send(R"([{"jsonrpc":"2.0","id":1,"method":"ping"}])");
  EXPECT_EQ(at(attached.receive(), "/error/code"), -32600);
  attached.send(std::string(17 << 20, 'x'));
  EXPECT_EQ(at(attached.receive(), "/error/code"), -32700);
  attached.initialize("2025-03-26");
  attached.send(R"([{"jsonrpc":"2.0","id":1,"method":"ping"}])");
  EXPECT_EQ(at(attached.receive(), "/0/id"), 1);
}

TEST(Attach, TheServerLivesAsLongAsTheConnection) {
  World world;
  {
    Attached attached(world);
    EXPECT_EQ(at(world.get("/v1/upstreams"), "/upstreams").as_array().size(), 3U);
    EXPECT_EQ(at(world.get("/v1/upstreams"), "/upstreams/2/name"), "extra@attached");
    // A second of the same name for the same session is refused meanwhile.
    auto second = world.person();
    const auto refused = second.request("POST", "/v1/attach", kBody, {{"Upgrade", "gavel-stdio"}});
    EXPECT_EQ(refused.status, 409);
    EXPECT_THAT(refused.body, HasSubstr("leave out --session"));
  }
  std::size_t left = 3;
  for (int tries = 0; tries < 1000 && left == 3; ++tries) {
    left = at(world.get("/v1/upstreams"), "/upstreams").as_array().size();
  }
  EXPECT_EQ(left, 2U);
  Attached again(world);
  EXPECT_EQ(again.head.header("Gavel-Epoch"), "2");
}

TEST(Attach, ANameOfThePolicyIsNotTakenOver) {
  World world;
  auto person = world.person();
  const auto refused = person.request("POST", "/v1/attach", R"({"name":"box","command":["x"]})",
                                      {{"Upgrade", "gavel-stdio"}});
  EXPECT_EQ(refused.status, 409);
  EXPECT_THAT(refused.body, HasSubstr("the policy has a server"));
}

TEST(Attach, TheSameNameServesEachConversationByItself) {
  World world;
  Attached first(world);
  first.initialize();
  {
    Attached second(world, R"({"name":"extra","command":["y"],"session":"beside"})");
    second.initialize();
    for (auto* window : {&first, &second}) {
      const auto tools = window->ask("tools/list");
      EXPECT_THAT(write_json(tools), HasSubstr(R"("name":"add")"));
      EXPECT_THAT(test::text_of(window->ask("tools/call", {{"name", "mirrored"}})),
                  HasSubstr("mirrored "));
      EXPECT_EQ(
          at(window->ask("resources/read", {{"uri", "test://extra"}}), "/result/contents/0/text"),
          json::value("from extra@" + window->session()));
    }
    EXPECT_EQ(at(world.get("/v1/upstreams"), "/upstreams").as_array().size(), 4U);
  }
  // The other's end leaves this one be.
  for (int tries = 0; tries < 1000; ++tries) {
    if (at(world.get("/v1/upstreams"), "/upstreams").as_array().size() == 3U) break;
  }
  EXPECT_THAT(test::text_of(first.ask(
                  "tools/call", {{"name", "mirrored"}, {"arguments", json::object{{"n", 2}}}})),
              HasSubstr("mirrored "));
}

TEST(Attach, NobodyElseSeesOrCallsTheServer) {
  World world;
  Attached attached(world);
  attached.initialize();
  auto agent = world.agent();
  const auto tools = test::modern(agent, "tools/list", {});
  EXPECT_THAT(tools.body, HasSubstr("box__add"));
  EXPECT_THAT(tools.body, Not(HasSubstr("extra__add")));
  const auto called = test::modern(agent, "tools/call", {{"name", "extra__add"}});
  EXPECT_THAT(called.body, HasSubstr("no server"));
  // People see what there is.
  EXPECT_THAT(write_json(world.get("/v1/tools")), HasSubstr("extra__add"));
}

TEST(Attach, ASessionIsMadeWhereNoneIsNamed) {
  World world;
  const Attached attached(world, R"({"name":"extra","command":["x"]})");
  EXPECT_THAT(attached.head.header("Gavel-Session"), HasSubstr("mcp-extra-"));
}

TEST(Attach, TakesTheRoleAdminAndTheUpgrade) {
  World world;
  auto agent = world.agent();
  EXPECT_EQ(agent.request("POST", "/v1/attach", kBody, {{"Upgrade", "gavel-stdio"}}).status, 403);
  auto person = world.person();
  const auto plain = person.request("POST", "/v1/attach", kBody);
  EXPECT_EQ(plain.status, 426);
  EXPECT_EQ(plain.header("Upgrade"), "gavel-stdio");
}

TEST(Attach, TheBodyMustNameAServerAndItsCommand) {
  const auto error = [](std::string_view body) { return parse_attach(body).error().message; };
  EXPECT_THAT(error("{"), HasSubstr("JSON"));
  EXPECT_THAT(error(R"({"name":"A b","command":["x"]})"), HasSubstr("\"name\""));
  EXPECT_THAT(error(R"({"name":"a"})"), HasSubstr("\"command\""));
  EXPECT_THAT(error(R"({"name":"a","command":[]})"), HasSubstr("\"command\""));
  EXPECT_THAT(error(R"({"name":"a","command":[1]})"), HasSubstr("\"command\""));
  EXPECT_THAT(error(R"({"name":"a","command":["x"],"environment":{"A":1}})"),
              HasSubstr("\"environment\""));
  EXPECT_THAT(error(R"({"name":"a","command":["x"],"session":"control/x"})"),
              HasSubstr("control/"));
  const auto parsed = parse_attach(
      R"({"name":"a","command":["x","-y"],"environment":{"A":"1"},"directory":"/d","agent":"bob"})");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->server.command, (std::vector<std::string>{"x", "-y"}));
  EXPECT_EQ(parsed->server.environment.at("A"), "1");
  EXPECT_EQ(parsed->server.directory, "/d");
  EXPECT_EQ(parsed->agent.value, "bob");
}

}  // namespace
}  // namespace gavel

// Servers that ask while they work, and what changes at them, against the whole gateway. "lib" is a
// legacy server here, "box" a modern one.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/test_world.hpp"

namespace gavel {
namespace {

using test::Client;
using test::message_of;
using test::modern;
using test::send_modern;
using test::text_of;
using test::World;
using ::testing::HasSubstr;

const json::value& at(const json::value& value, std::string_view pointer) {
  return value.at_pointer(pointer);
}

const json::object kAskable{{"elicitation", json::object{}}};

// --- legacy clients ---

class LegacyPeer {
public:
  explicit LegacyPeer(World& world, json::object capabilities = kAskable)
      : world_(world), calls_(world.agent()) {
    const auto reply = post(calls_, "initialize",
                            {{"protocolVersion", "2025-11-25"},
                             {"capabilities", std::move(capabilities)},
                             {"clientInfo", json::object{{"name", "old"}, {"version", "1"}}}});
    headers_.emplace_back("Mcp-Session-Id", reply.header("Mcp-Session-Id"));
  }

  void send(std::string_view method, json::object params) {
    calls_.send_request("POST", "/mcp", body(method, std::move(params)), headers_);
  }
  // The next message on the stream of the request that was sent.
  json::value next(bool first) {
    if (first) calls_.receive_head();
    while (const auto event = calls_.read_event()) {
      if (!event->starts_with(':')) return parse_json(*event).value_or(nullptr);
    }
    return nullptr;
  }
  bool sign_of_life() { return calls_.read_event().value_or("").starts_with(':'); }
  json::value ask(std::string_view method, json::object params) {
    return message_of(post(calls_, method, std::move(params)));
  }
  void answer(const json::value& question, std::string_view member, json::object said) {
    auto other = world_.agent();
    json::object message{{"jsonrpc", "2.0"}, {"id", at(question, "/id")}};
    message[member] = std::move(said);
    const auto reply = other.request("POST", "/mcp", write_json(message), headers_);
    EXPECT_EQ(reply.status, 202);
  }
  Client listen() {
    auto stream = world_.agent();
    stream.send_request("GET", "/mcp", {}, headers_);
    EXPECT_EQ(stream.receive_head().status, 200);
    EXPECT_THAT(stream.read_event().value_or(""), HasSubstr("gavel"));
    return stream;
  }

private:
  static std::string body(std::string_view method, json::object params) {
    return write_json(json::object{
        {"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", std::move(params)}});
  }
  test::Reply post(Client& from, std::string_view method, json::object params) {
    return from.request("POST", "/mcp", body(method, std::move(params)), headers_);
  }

  World& world_;
  Client calls_;
  std::vector<std::pair<std::string, std::string>> headers_{
      {"Content-Type", "application/json"}, {"Accept", "application/json, text/event-stream"}};
};

TEST(McpQuestions, ALegacyServersQuestionReachesALegacyClient) {
  World world;
  LegacyPeer client(world);
  client.send("tools/call", {{"name", "lib__wonder"}});
  const auto question = client.next(true);
  EXPECT_EQ(at(question, "/method"), "elicitation/create");
  EXPECT_EQ(at(question, "/params/message"), "why?");
  client.answer(question, "result", {{"action", "accept"}});
  EXPECT_EQ(text_of(client.next(false)), R"({"action":"accept"})");
}

TEST(McpQuestions, PatienceDoesNotEndACallWhoseClientIsAsked) {
  auto options = World::quick();
  options.patience = std::chrono::milliseconds(500);
  World world(options);
  LegacyPeer client(world);
  client.send("tools/call", {{"name", "lib__wonder"}});
  const auto question = client.next(true);
  const auto asked_at = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() < asked_at + 2 * options.patience) {
    ASSERT_TRUE(client.sign_of_life());
  }
  client.answer(question, "result", {{"action", "accept"}});
  EXPECT_EQ(text_of(client.next(false)), R"({"action":"accept"})");
}

TEST(McpQuestions, AModernServersQuestionReachesALegacyClientAsARequest) {
  World world;
  LegacyPeer client(world);
  client.send("tools/call", {{"name", "box__asks"}, {"arguments", json::object{{"n", 1}}}});
  const auto question = client.next(true);
  EXPECT_EQ(at(question, "/method"), "elicitation/create");
  client.answer(question, "result", {{"action", "accept"}});
  const auto seen = parse_json(text_of(client.next(false)));
  ASSERT_TRUE(seen);
  EXPECT_EQ(at(*seen, "/inputResponses/sure/action"), "accept");
  EXPECT_EQ(at(*seen, "/requestState"), "state 1");
}

TEST(McpQuestions, AClientThatRefusesOrCannotBeAskedIsToldThatNothingWasDone) {
  World world;
  LegacyPeer client(world);
  client.send("tools/call", {{"name", "box__asks"}});
  client.answer(client.next(true), "error", {{"code", -1}, {"message", "not now"}});
  EXPECT_THAT(text_of(client.next(false)), HasSubstr("not now"));
  LegacyPeer mute(world, {});
  const auto message = mute.ask("tools/call", {{"name", "box__asks"}});
  EXPECT_EQ(at(message, "/result/isError"), true);
  EXPECT_THAT(text_of(message), HasSubstr("nothing was done"));
  EXPECT_EQ(text_of(mute.ask("tools/call", {{"name", "lib__wonder"}})), "nobody to ask");
  EXPECT_EQ(world.script("box").calls, 0);
}

// --- modern clients of a legacy server ---

json::object wonder(json::object arguments = {}) {
  return {{"name", "lib__wonder"},
          {"arguments", std::move(arguments)},
          {"_meta", json::object{{"io.modelcontextprotocol/clientCapabilities", kAskable}}}};
}

json::object answered(json::object params, const json::value& asked) {
  params["requestState"] = at(asked, "/result/requestState");
  for (const auto& question : at(asked, "/result/inputRequests").as_object()) {
    params["inputResponses"] = json::object{{question.key(), json::object{{"action", "accept"}}}};
  }
  return params;
}

TEST(McpQuestions, ALegacyServerWaitsWhileAModernClientIsAsked) {
  World world;
  auto client = world.agent();
  const auto asked = message_of(modern(client, "tools/call", wonder()));
  EXPECT_EQ(at(asked, "/result/resultType"), "input_required");
  const auto& questions = at(asked, "/result/inputRequests").as_object();
  ASSERT_EQ(questions.size(), 1U);
  EXPECT_EQ(at(questions.begin()->value(), "/method"), "elicitation/create");
  // Without the answer it is asked again, under another state.
  auto unanswered = wonder();
  unanswered["requestState"] = at(asked, "/result/requestState");
  const auto again = message_of(modern(client, "tools/call", unanswered));
  EXPECT_EQ(at(again, "/result/resultType"), "input_required");
  const auto done = message_of(modern(client, "tools/call", answered(wonder(), again)));
  EXPECT_EQ(text_of(done), R"({"action":"accept"})");
  EXPECT_EQ(at(world.get("/v1/sessions/agent-tester"), "/counters/intents"), 1);
}

TEST(McpQuestions, ACallThatLostItsTicketIsAskedAgainAndTheOldTicketIsVoid) {
  World world;
  auto client = world.agent();
  const auto lost = message_of(modern(client, "tools/call", wonder()));
  const auto asked = message_of(modern(client, "tools/call", wonder()));
  EXPECT_EQ(at(asked, "/result/resultType"), "input_required");
  const auto late = message_of(modern(client, "tools/call", answered(wonder(), lost)));
  EXPECT_EQ(at(late, "/error/code"), -32602);
  const auto done = message_of(modern(client, "tools/call", answered(wonder(), asked)));
  EXPECT_EQ(text_of(done), R"({"action":"accept"})");
  EXPECT_EQ(at(world.get("/v1/sessions/agent-tester"), "/counters/intents"), 1);
}

TEST(McpQuestions, ATicketIsGoodOnceAndForNothingElse) {
  World world;
  auto client = world.agent();
  const auto asked = message_of(modern(client, "tools/call", wonder()));
  const auto refuse = [&](json::object params) {
    const auto message = message_of(modern(client, "tools/call", std::move(params)));
    EXPECT_EQ(at(message, "/error/code"), -32602) << write_json(message);
  };
  refuse(answered(wonder({{"other", 1}}), asked));
  auto tampered = answered(wonder(), asked);
  auto state = std::string(tampered["requestState"].as_string());
  state.back() = state.back() == '0' ? '1' : '0';
  tampered["requestState"] = state;
  refuse(tampered);
  tampered["requestState"] = "nonsense";
  refuse(tampered);
  EXPECT_NE(
      at(message_of(modern(client, "tools/call", answered(wonder(), asked))), "/result/resultType"),
      "input_required");
  refuse(answered(wonder(), asked));
}

TEST(McpQuestions, ALegacyServerThatNeedsMoreThanTheClientDeclaredIsACapabilityError) {
  World world;
  auto client = world.agent();
  auto params = wonder();
  params.erase("_meta");
  const auto reply = modern(client, "tools/call", params);
  EXPECT_EQ(reply.status, 400);
  const auto message = message_of(reply);
  EXPECT_EQ(at(message, "/error/code"), -32021);
  EXPECT_TRUE(at(message, "/error/data/requiredCapabilities/elicitation").is_object());
}

TEST(McpQuestions, ATaskAsksNothingThatItsClientDidNotDeclare) {
  World world;
  auto client = world.agent();
  const json::object extensions{{"io.modelcontextprotocol/tasks", json::object{}}};
  const json::object meta{
      {"io.modelcontextprotocol/clientCapabilities", json::object{{"extensions", extensions}}}};
  const auto task =
      message_of(modern(client, "tools/call", {{"name", "lib__wonder"}, {"_meta", meta}}));
  ASSERT_EQ(at(task, "/result/resultType"), "task");
  json::value state;
  do {
    state = message_of(
        modern(client, "tasks/get", {{"taskId", at(task, "/result/taskId")}, {"_meta", meta}}));
  } while (at(state, "/result/status") == "working");
  EXPECT_EQ(at(state, "/result/status"), "completed");
}

// --- changes ---

TEST(McpChanges, ASessionHearsOfItsSubscriptionsAndOfChangedLists) {
  World world;
  LegacyPeer client(world);
  auto stream = client.listen();
  const auto next = [&] {
    for (;;) {
      const auto event = stream.read_event();
      if (!event || !event->starts_with(':')) return event.value_or("");
    }
  };
  const json::object uri{{"uri", "test://lib/a"}};
  EXPECT_TRUE(at(client.ask("resources/subscribe", uri), "/result").is_object());
  EXPECT_TRUE(world.script("lib").subscribed);
  world.announce("lib", "notifications/resources/updated", R"({"uri":"test://lib/b"})");
  world.announce("lib", "notifications/resources/updated", R"({"uri":"test://lib/a"})");
  EXPECT_THAT(next(), HasSubstr(R"("uri":"test://lib/a")"));
  world.announce("box", "notifications/tools/list_changed", "");
  EXPECT_THAT(next(), HasSubstr("notifications/tools/list_changed"));
  EXPECT_TRUE(at(client.ask("resources/unsubscribe", uri), "/result").is_object());
  EXPECT_FALSE(world.script("lib").subscribed);
  EXPECT_EQ(at(client.ask("resources/subscribe", {}), "/error/code"), -32602);
}

TEST(McpChanges, AModernClientHearsWhatItListensFor) {
  World world;
  auto stream = world.agent();
  const json::object wanted{{"toolsListChanged", true},
                            {"resourceSubscriptions", json::array{"test://lib/a"}}};
  send_modern(stream, "subscriptions/listen", {{"notifications", wanted}}, "/mcp", "7");
  stream.receive_head();
  const auto next = [&] {
    for (;;) {
      const auto event = stream.read_event();
      if (!event || !event->starts_with(':')) return parse_json(event.value_or("null")).value();
    }
  };
  EXPECT_EQ(at(next(), "/params/notifications"), wanted);
  world.announce("box", "notifications/prompts/list_changed", "");
  world.announce("lib", "notifications/resources/updated", R"({"uri":"test://lib/a"})");
  const auto updated = next();
  EXPECT_EQ(at(updated, "/params/uri"), "test://lib/a");
  EXPECT_EQ(at(updated, "/params/_meta/io.modelcontextprotocol~1subscriptionId"), 7);
  world.announce("box", "notifications/tools/list_changed", "");
  EXPECT_EQ(at(next(), "/method"), "notifications/tools/list_changed");
}

}  // namespace
}  // namespace gavel

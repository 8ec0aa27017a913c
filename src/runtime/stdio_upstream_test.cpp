#include "runtime/stdio_upstream.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <signal.h>

#include <fstream>

#include "protocol/mcp.hpp"
#include "runtime/upstream_world_test.hpp"

namespace gavel {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class StdioUpstreamTest : public testing::Test {
protected:
  void SetUp() override {
    directory_ = testing::TempDir() + "gavel-stdio-" + std::to_string(::getpid());
    std::filesystem::create_directories(directory_);
  }
  void TearDown() override {
    upstream_.reset();
    world_.io.poll();
    std::filesystem::remove_all(directory_);
  }

  ServerSpec spec(std::vector<std::string> arguments) {
    ServerSpec made;
    made.name = "fixture";
    made.command = {"python3", fixture_server("stdio_server.py")};
    made.command.insert(made.command.end(), arguments.begin(), arguments.end());
    return made;
  }
  void open(std::vector<std::string> arguments) { open_spec(spec(std::move(arguments))); }
  void open_spec(const ServerSpec& of) { open_spec(of, world_.options()); }
  void open_spec(const ServerSpec& of, UpstreamOptions options) {
    upstream_ = make_upstream(world_.io.get_executor(), of, std::move(options));
  }

  std::shared_ptr<Running<UpstreamReply>> start(std::string_view tool,
                                                std::string_view arguments = "{}",
                                                std::chrono::milliseconds patience = 60s) {
    return world_.start(upstream_->request(tool_call(world_.in(patience), tool, arguments)));
  }
  UpstreamReply call(std::string_view tool, std::string_view arguments = "{}",
                     std::chrono::milliseconds patience = 60s) {
    return world_.wait(start(tool, arguments, patience));
  }
  std::string said(std::string_view tool, std::string_view arguments = "{}") {
    return text_of(call(tool, arguments));
  }
  void close() { world_.wait(upstream_->close()); }
  bool echoes() { return said("echo", R"({"text":"hi"})") == "hi"; }

  UpstreamWorld world_;
  std::unique_ptr<Upstream> upstream_;
  std::string directory_;
};

TEST_F(StdioUpstreamTest, NothingIsStartedBeforeTheFirstRequest) {
  open({"dual"});
  world_.io.poll();
  EXPECT_EQ(upstream_->status().health, UpstreamHealth::idle);
  EXPECT_EQ(upstream_->status().pid, 0);
}

TEST_F(StdioUpstreamTest, SpeaksTheModernEraWhereTheServerDoes) {
  for (const char* era : {"modern", "dual"}) {
    open({era});
    EXPECT_TRUE(echoes()) << era;
    const auto status = upstream_->status();
    EXPECT_EQ(status.health, UpstreamHealth::ready);
    EXPECT_EQ(status.era, "2026-07-28");
    EXPECT_EQ(status.server_name, "fixture");
    EXPECT_EQ(status.server_version, "1.2");
    EXPECT_GT(status.pid, 0);
    close();
  }
}

TEST_F(StdioUpstreamTest, AsksOnceMoreWhereTheRefusalOffersTheRevisionThatWasSpoken) {
  open({"modern", "fussy"});
  EXPECT_TRUE(echoes());
  EXPECT_EQ(upstream_->status().era, "2026-07-28");
}

TEST_F(StdioUpstreamTest, FallsBackToTheHandshakeOfAnOlderServer) {
  open({"legacy"});
  EXPECT_TRUE(echoes());
  EXPECT_EQ(upstream_->status().era, "2025-11-25");
  const auto capabilities = world_.wait(upstream_->capabilities(world_.in(60s)));
  ASSERT_TRUE(capabilities);
  EXPECT_TRUE(capabilities->contains("tools"));
  EXPECT_THAT(said("notes"), HasSubstr("notifications/initialized"));
}

TEST_F(StdioUpstreamTest, FallsBackWhereTheProbeIsIgnored) {
  auto options = world_.options();
  options.timing.probe = 300ms;
  open_spec(spec({"legacy", "ignore-unknown"}), std::move(options));
  EXPECT_TRUE(echoes());
  EXPECT_EQ(upstream_->status().era, "2025-11-25");
}

TEST_F(StdioUpstreamTest, IsModernWhereTheProbeWasTakenUpTooLate) {
  auto options = world_.options();
  options.timing.probe = 300ms;
  open_spec(spec({"modern", "slow"}), std::move(options));
  EXPECT_TRUE(echoes());
  EXPECT_EQ(upstream_->status().era, "2026-07-28");
}

TEST_F(StdioUpstreamTest, FallsBackWhereTheProbeKillsTheServer) {
  open({"legacy", "die-on-probe"});
  EXPECT_TRUE(echoes());
  EXPECT_EQ(upstream_->status().era, "2025-11-25");
}

TEST_F(StdioUpstreamTest, ARevisionThatNobodySharesIsAnError) {
  open({"modern", "only=2031-01-01"});
  const auto reply = call("echo");
  EXPECT_EQ(reply.delivery, Delivery::not_sent);
  EXPECT_EQ(reply.error.code, ErrorCode::unsupported);
  EXPECT_THAT(reply.error.message, HasSubstr("2031-01-01"));
}

TEST_F(StdioUpstreamTest, LinesThatAreNoMessagesDoNoHarm) {
  open({"dual", "banner"});
  EXPECT_TRUE(echoes());
  EXPECT_EQ(said("garbage", R"({"lines":50})"), "after garbage");
}

TEST_F(StdioUpstreamTest, MetadataReachesTheServerWithTheErasOwn) {
  open({"modern"});
  auto request = tool_call(world_.in(60s), "meta");
  request.meta["com.gavel/idempotencyKey"] = "s/7";
  const auto reply = world_.wait(upstream_->request(std::move(request)));
  const auto meta = parse_json(text_of(reply));
  ASSERT_TRUE(meta) << text_of(reply);
  EXPECT_EQ(string_or(*meta, "com.gavel/idempotencyKey"), "s/7");
  EXPECT_EQ(string_or(*meta, "io.modelcontextprotocol/protocolVersion"), "2026-07-28");
  EXPECT_NE(find_object(*meta, "io.modelcontextprotocol/clientCapabilities"), nullptr);
  EXPECT_EQ(find(*meta, "progressToken"), nullptr);
}

TEST_F(StdioUpstreamTest, AnOlderServerGetsNoModernMetadata) {
  open({"legacy"});
  EXPECT_EQ(said("meta"), "{}");
}

TEST_F(StdioUpstreamTest, ProgressReachesTheRequestThatItBelongsTo) {
  open({"dual"});
  std::vector<std::string> seen;
  auto request = tool_call(world_.in(60s), "progress");
  request.caller.on_progress = [&](std::string_view params) { seen.emplace_back(params); };
  EXPECT_EQ(text_of(world_.wait(upstream_->request(std::move(request)))), "done");
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(int_or(*parse_json(seen[2]), "progress", 0), 3);
}

TEST_F(StdioUpstreamTest, ManyRequestsAreAnsweredInAnyOrder) {
  open({"dual"});
  const auto first = start("hold");
  const auto second = start("hold");
  EXPECT_EQ(said("release"), "done");
  EXPECT_THAT(text_of(world_.wait(first)), HasSubstr("released"));
  EXPECT_THAT(text_of(world_.wait(second)), HasSubstr("released"));
}

TEST_F(StdioUpstreamTest, AnswersThatNobodyAskedForAreIgnored) {
  open({"dual"});
  EXPECT_EQ(said("strangers"), "yours");
  EXPECT_EQ(said("twice"), "first");
  EXPECT_TRUE(echoes());
}

TEST_F(StdioUpstreamTest, AnErrorOfTheServerIsAnAnswer) {
  open({"dual"});
  const auto reply = call("no such tool");
  EXPECT_EQ(reply.delivery, Delivery::answered);
  EXPECT_TRUE(reply.result.empty());
  EXPECT_THAT(reply.rpc_error, HasSubstr("-32602"));
}

TEST_F(StdioUpstreamTest, RequestsOfTheServerAreAnswered) {
  open({"legacy"});
  const auto answers = parse_json(said("ask"));
  ASSERT_TRUE(answers && answers->is_array());
  EXPECT_EQ(write_json(answers->at(0).at("result")), "{}");
  EXPECT_EQ(int_or(answers->at(1).at("error"), "code", 0), -32601);
}

// --- questions of a legacy server ---

// A caller that answers what it is asked with {"said":METHOD}.
CallerSide askable(json::object capabilities, std::string identity = "one") {
  CallerSide side;
  side.capabilities = std::move(capabilities);
  side.identity = std::move(identity);
  side.on_question = [](UpstreamQuestion question) {
    question.answer(write_json(json::object{{"said", question.method}}), {});
  };
  return side;
}
const json::object kForms{{"elicitation", json::object{}}};

class StdioQuestions : public StdioUpstreamTest {
protected:
  std::string ask(CallerSide side, std::string_view method, json::object params = {}) {
    const json::object arguments{{"method", method}, {"params", std::move(params)}};
    auto request = tool_call(world_.in(60s), "question", write_json(arguments));
    request.caller = std::move(side);
    return text_of(world_.wait(upstream_->request(std::move(request))));
  }
  static int code_in(const std::string& text) {
    const auto said = parse_json(text);
    const auto* error = said ? find(*said, "error") : nullptr;
    return error == nullptr ? 0 : static_cast<int>(int_or(*error, "code", 0));
  }
};

TEST_F(StdioQuestions, ALegacyServerIsToldAllThatAClientMayBeAsked) {
  open({"legacy"});
  EXPECT_EQ(*parse_json(said("declared")), json::value(every_question()));
}

TEST_F(StdioQuestions, AQuestionGoesToTheCallAndItsAnswerToTheServer) {
  open({"legacy"});
  const json::object all = every_question();
  for (const char* method : {"elicitation/create", "sampling/createMessage", "roots/list"}) {
    EXPECT_EQ(ask(askable(all), method), fmt::format(R"({{"result": {{"said": "{}"}}}})", method));
  }
  EXPECT_EQ(ask(askable(all), "elicitation/create", {{"mode", "url"}}),
            R"({"result": {"said": "elicitation/create"}})");
}

TEST_F(StdioQuestions, WhatTheClientDidNotDeclareIsRefusedAndTheCallGoesOn) {
  open({"legacy"});
  EXPECT_EQ(code_in(ask({}, "roots/list")), -32601);
  EXPECT_EQ(code_in(ask(askable({}), "roots/list")), -32601);
  EXPECT_EQ(code_in(ask(askable(kForms), "sampling/createMessage")), -32601);
  EXPECT_EQ(code_in(ask(askable(kForms), "elicitation/create", {{"mode", "url"}})), -32602);
  EXPECT_EQ(code_in(ask(askable({{"sampling", json::object{}}}), "sampling/createMessage",
                        {{"tools", json::array{}}})),
            -32602);
  EXPECT_EQ(code_in(ask(askable(kForms), "somebody/else")), -32601);
  EXPECT_TRUE(echoes());
}

TEST_F(StdioQuestions, WhileSeveralClientsWaitNobodyIsAskedForAnother) {
  open({"legacy"});
  auto other = tool_call(world_.in(60s), "hold");
  other.caller = askable(kForms, "another");
  const auto waiting = world_.start(upstream_->request(std::move(other)));
  EXPECT_TRUE(echoes());  // it was read
  EXPECT_EQ(code_in(ask(askable(kForms), "elicitation/create")), -32603);
  // Of one client's calls any will do.
  EXPECT_EQ(code_in(ask(askable(kForms, "another"), "elicitation/create")), 0);
  EXPECT_EQ(said("release"), "done");
  EXPECT_EQ(code_in(ask(askable(kForms), "elicitation/create")), 0);
}

TEST_F(StdioQuestions, AModernServerSendsNoRequests) {
  open({"modern"});
  EXPECT_EQ(code_in(ask(askable(kForms), "elicitation/create")), -32601);
}

// --- changes at a modern server ---

class StdioChanges : public StdioUpstreamTest {
protected:
  void SetUp() override {
    StdioUpstreamTest::SetUp();
    auto options = world_.options();
    options.on_notification = [this](std::string_view method, std::string_view params) {
      heard_.push_back(fmt::format("{} {}", method, params));
    };
    open_spec(spec({"modern", "changes"}), std::move(options));
    EXPECT_TRUE(echoes());
  }
  void subscribe(std::string_view method, std::string_view uri) {
    UpstreamRequest request;
    request.method = method;
    request.params = write_json(json::object{{"uri", uri}});
    request.deadline = world_.in(60s);
    EXPECT_EQ(world_.wait(upstream_->request(std::move(request))).result, "{}");
  }
  // The one that is open, once it says this.
  bool listens_to(std::string_view wanted) {
    return world_.until([&] { return said("listens") == wanted; });
  }
  std::vector<std::string> heard_;
};

TEST_F(StdioChanges, OneStreamNamesWhatIsWanted) {
  EXPECT_TRUE(listens_to(R"([{"toolsListChanged": true}])"));
  subscribe("resources/subscribe", "test://a");
  EXPECT_TRUE(listens_to(R"([{"toolsListChanged": true, "resourceSubscriptions": ["test://a"]}])"));
  EXPECT_EQ(said("update", R"({"uri":"test://a"})"), "updated");
  ASSERT_FALSE(heard_.empty());
  EXPECT_THAT(heard_.back(), HasSubstr("notifications/resources/updated"));
  EXPECT_THAT(heard_.back(), HasSubstr("test://a"));
  subscribe("resources/unsubscribe", "test://a");
  EXPECT_TRUE(listens_to(R"([{"toolsListChanged": true}])"));
}

TEST_F(StdioChanges, AStreamThatEndsIsOpenedAgainAndSoIsThatOfTheNextChild) {
  EXPECT_TRUE(listens_to(R"([{"toolsListChanged": true}])"));
  EXPECT_EQ(said("end_listening"), "ended");
  EXPECT_TRUE(listens_to(R"([{"toolsListChanged": true}])"));
  call("die");
  EXPECT_TRUE(listens_to(R"([{"toolsListChanged": true}])"));
}

TEST_F(StdioUpstreamTest, TheNextChildOfALegacyServerIsSubscribedAgain) {
  open({"legacy"});
  UpstreamRequest request;
  request.method = "resources/subscribe";
  request.params = R"({"uri":"test://a"})";
  request.deadline = world_.in(60s);
  EXPECT_EQ(world_.wait(upstream_->request(std::move(request))).result, "{}");
  EXPECT_EQ(said("subscribed"), R"(["test://a"])");
  call("die");
  EXPECT_TRUE(world_.until([&] { return said("subscribed") == R"(["test://a"])"; }));
}

TEST_F(StdioUpstreamTest, SaysThatTheToolsChanged) {
  int changes = 0;
  auto options = world_.options();
  options.on_tools_changed = [&] { ++changes; };
  open_spec(spec({"legacy"}), std::move(options));
  EXPECT_EQ(said("change"), "changed");
  EXPECT_EQ(changes, 1);
}

TEST_F(StdioUpstreamTest, ADeadlineLosesTheCallAndTellsTheServer) {
  open({"dual"});
  EXPECT_TRUE(echoes());
  const auto reply = call("never", "{}", 100ms);
  EXPECT_EQ(reply.delivery, Delivery::lost);
  EXPECT_EQ(reply.error.code, ErrorCode::timeout);
  EXPECT_THAT(said("notes"), HasSubstr("notifications/cancelled"));
}

TEST_F(StdioUpstreamTest, ACancelledRequestTellsTheServer) {
  open({"dual"});
  EXPECT_TRUE(echoes());
  const auto waiting = start("hold");
  // Once the second call is answered, the first has been read.
  EXPECT_TRUE(echoes());
  waiting->cancel.emit(asio::cancellation_type::terminal);
  ASSERT_TRUE(world_.until([&] { return waiting->done(); }));
  EXPECT_THAT(said("notes"), HasSubstr("notifications/cancelled"));
  EXPECT_EQ(upstream_->status().in_flight, 0u);
}

TEST_F(StdioUpstreamTest, ACallThatTheServerDiesOnIsLostAndTheServerComesBack) {
  open({"dual", "starts=" + directory_ + "/starts"});
  const auto reply = call("die");
  EXPECT_EQ(reply.delivery, Delivery::lost);
  EXPECT_THAT(reply.error.message, HasSubstr("exit code 3"));
  EXPECT_THAT(upstream_->status().stderr_tail, HasSubstr("its last words"));
  EXPECT_TRUE(echoes());
  EXPECT_EQ(upstream_->status().restarts, 1u);
  std::ifstream starts(directory_ + "/starts");
  const std::string lines{std::istreambuf_iterator<char>(starts), {}};
  EXPECT_EQ(lines, "started\nstarted\n");
  EXPECT_THAT(text_of(call("kill")), HasSubstr("killed by signal 9"));
}

TEST_F(StdioUpstreamTest, AnAnswerRightBeforeTheEndCounts) {
  open({"dual"});
  EXPECT_EQ(said("answer_and_die"), "just in time");
}

TEST_F(StdioUpstreamTest, AServerThatClosesItsOutputIsRestarted) {
  open({"dual"});
  const auto reply = call("close_output");
  EXPECT_EQ(reply.delivery, Delivery::lost);
  EXPECT_TRUE(echoes());
}

TEST_F(StdioUpstreamTest, AnAnswerThatIsNoMessageLosesTheCallAtOnce) {
  open({"dual"});
  const auto reply = call("broken");
  EXPECT_EQ(reply.delivery, Delivery::lost);
  EXPECT_THAT(reply.error.message, HasSubstr("no valid message"));
  EXPECT_TRUE(echoes());
}

TEST_F(StdioUpstreamTest, AFloodOfGarbageRestartsTheServer) {
  open({"dual"});
  const auto reply = call("garbage", R"({"lines":100000})");
  EXPECT_EQ(reply.delivery, Delivery::lost);
  EXPECT_THAT(reply.error.message, HasSubstr("no MCP messages"));
  EXPECT_TRUE(echoes());
}

TEST_F(StdioUpstreamTest, ALineWithoutEndRestartsTheServer) {
  open({"dual"});
  const auto reply = call("long_line", R"({"bytes":40000000})");
  EXPECT_EQ(reply.delivery, Delivery::lost);
  EXPECT_THAT(reply.error.message, HasSubstr("a line of over"));
  EXPECT_TRUE(echoes());
}

TEST_F(StdioUpstreamTest, AServerThatCannotStartSaysWhy) {
  open({"dual", "exit=5"});
  const auto reply = call("echo");
  EXPECT_EQ(reply.delivery, Delivery::not_sent);
  EXPECT_THAT(reply.error.message, HasSubstr("exit code 5"));
  EXPECT_THAT(reply.error.message, HasSubstr("the disk is made of cheese"));
}

TEST_F(StdioUpstreamTest, AProgramThatIsMissingIsNamed) {
  auto missing = spec({});
  missing.command = {"gavel-no-such-program"};
  open_spec(missing);
  const auto reply = call("echo");
  EXPECT_EQ(reply.delivery, Delivery::not_sent);
  EXPECT_EQ(reply.error.code, ErrorCode::not_found);
  EXPECT_THAT(reply.error.message, HasSubstr("gavel-no-such-program"));
}

TEST_F(StdioUpstreamTest, AServerThatKeepsFailingIsLeftAloneForAWhile) {
  auto options = world_.options();
  options.timing.backoff_first = 60s;
  options.timing.backoff_max = 60s;
  open_spec(spec({"dual", "exit=5", "starts=" + directory_ + "/starts"}), std::move(options));
  EXPECT_EQ(call("echo").delivery, Delivery::not_sent);
  const auto reply = call("echo");
  EXPECT_EQ(reply.delivery, Delivery::not_sent);
  EXPECT_GT(reply.retry_after, 2s);
  EXPECT_EQ(upstream_->status().health, UpstreamHealth::backing_off);
}

TEST_F(StdioUpstreamTest, AfterManyFailuresOnlyARequestStartsItAgain) {
  auto options = world_.options();
  options.timing.backoff_first = 2ms;
  options.timing.backoff_max = 2ms;
  options.timing.eager_restarts = 3;
  open_spec(spec({"dual", "exit=5"}), std::move(options));
  EXPECT_EQ(call("echo").delivery, Delivery::not_sent);
  ASSERT_TRUE(world_.until([&] { return upstream_->status().health == UpstreamHealth::failed; }));
  const auto restarts = upstream_->status().restarts;
  EXPECT_EQ(call("echo").delivery, Delivery::not_sent);
  EXPECT_EQ(upstream_->status().restarts, restarts + 1);
}

TEST_F(StdioUpstreamTest, ADeadlineBeforeTheServerIsReadyMeansNotSent) {
  auto options = world_.options();
  options.timing.probe = 60s;
  open_spec(spec({"legacy", "ignore-unknown"}), std::move(options));
  const auto reply = call("echo", "{}", 50ms);
  EXPECT_EQ(reply.delivery, Delivery::not_sent);
  EXPECT_EQ(reply.error.code, ErrorCode::timeout);
}

TEST_F(StdioUpstreamTest, ARequestThatTheServerDoesNotReadIsNotSent) {
  open({"dual"});
  EXPECT_EQ(said("stop_reading"), "no longer listening");
  // More than a pipe holds, so that the second cannot even begin.
  const std::string big = R"({"text":")" + std::string(1 << 20, 'x') + "\"}";
  const auto begun = start("echo", big, 500ms);
  const auto reply = call("echo", big, 300ms);
  EXPECT_EQ(reply.delivery, Delivery::not_sent);
  EXPECT_EQ(world_.wait(begun).delivery, Delivery::lost);
}

TEST_F(StdioUpstreamTest, NoMoreThanItsLimitIsInFlight) {
  auto limited = spec({"dual"});
  limited.concurrency_max = 2;
  limited.queue_max = 1;
  open_spec(limited);
  EXPECT_TRUE(echoes());
  const auto one = start("hold", "{}", 300ms);
  const auto two = start("hold", "{}", 300ms);
  const auto queued = start("echo", R"({"text":"at last"})");
  world_.io.poll();
  EXPECT_EQ(upstream_->status().in_flight, 2u);
  EXPECT_EQ(upstream_->status().queued, 1u);
  const auto reply = call("echo");
  EXPECT_EQ(reply.delivery, Delivery::not_sent);
  EXPECT_EQ(reply.error.code, ErrorCode::busy);
  EXPECT_GT(reply.retry_after, 0ms);
  EXPECT_EQ(text_of(world_.wait(queued)), "at last");
  EXPECT_EQ(world_.wait(one).delivery, Delivery::lost);
  EXPECT_EQ(world_.wait(two).delivery, Delivery::lost);
}

TEST_F(StdioUpstreamTest, WhatMayNotBeSentAnyMoreIsNotSent) {
  auto limited = spec({"dual"});
  limited.concurrency_max = 1;
  open_spec(limited);
  EXPECT_TRUE(echoes());
  const auto before = start("hold");
  Status allowed;
  auto request = tool_call(world_.in(60s), "complain", R"({"text":"late"})");
  request.may_send = [&] { return allowed; };
  const auto queued = world_.start(upstream_->request(std::move(request)));
  ASSERT_TRUE(world_.until([&] { return upstream_->status().queued == 1; }));
  // While it waits for its turn.
  allowed = fail(ErrorCode::halted, "everything is halted");
  before->cancel.emit(asio::cancellation_type::terminal);
  const auto reply = world_.wait(queued);
  EXPECT_EQ(reply.delivery, Delivery::not_sent);
  EXPECT_EQ(reply.error.code, ErrorCode::halted);
  EXPECT_TRUE(echoes());
  EXPECT_EQ(upstream_->status().stderr_tail, "");
}

TEST_F(StdioUpstreamTest, TheServerSeesOnlyTheEnvironmentItIsGiven) {
  const std::string secret = directory_ + "/secret";
  std::ofstream(secret) << "hunter2\n";
  auto given = spec({"dual"});
  given.environment["MODE"] = "test";
  given.environment_files["TOKEN"] = secret;
  // allow(process): a variable that must not reach the child
  ::setenv("GAVEL_TEST_SECRET", "leaked", 1);
  open_spec(given);
  const auto environment = parse_json(said("environment"));
  ASSERT_TRUE(environment);
  EXPECT_EQ(string_or(*environment, "MODE"), "test");
  EXPECT_EQ(string_or(*environment, "TOKEN"), "[secret]") << "it was given; its callers are not";
  EXPECT_EQ(find(*environment, "GAVEL_TEST_SECRET"), nullptr);
  for (const auto& line : world_.log) EXPECT_EQ(line.find("hunter2"), std::string::npos);
  EXPECT_EQ(said("complain", R"({"text":"my token is hunter2"})"), "complained");
  ASSERT_TRUE(world_.until([&] { return !upstream_->status().stderr_tail.empty(); }));
  EXPECT_EQ(upstream_->status().stderr_tail, "my token is [secret]");
}

TEST_F(StdioUpstreamTest, AMissingSecretIsNamed) {
  auto given = spec({"dual"});
  given.environment_files["TOKEN"] = directory_ + "/no-such-file";
  open_spec(given);
  const auto reply = call("echo");
  EXPECT_EQ(reply.delivery, Delivery::not_sent);
  EXPECT_THAT(reply.error.message, HasSubstr("no-such-file"));
}

TEST_F(StdioUpstreamTest, CloseEndsTheServerAndRefusesRequests) {
  open({"dual"});
  EXPECT_TRUE(echoes());
  const pid_t pid = static_cast<pid_t>(upstream_->status().pid);
  close();
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(call("echo").delivery, Delivery::not_sent);
}

TEST_F(StdioUpstreamTest, CloseKillsAServerThatWillNotGo) {
  auto options = world_.options();
  options.timing.close = {50ms, 50ms, 10s};
  open_spec(spec({"dual"}), std::move(options));
  EXPECT_EQ(said("stay"), "staying");
  const pid_t pid = static_cast<pid_t>(upstream_->status().pid);
  const auto waiting = start("echo");
  close();
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_NE(world_.wait(waiting).delivery, Delivery::answered);
}

TEST_F(StdioUpstreamTest, DestroyingItKillsTheServerAndEndsItsCalls) {
  open({"dual"});
  EXPECT_TRUE(echoes());
  const pid_t pid = static_cast<pid_t>(upstream_->status().pid);
  const auto waiting = start("hold");
  EXPECT_TRUE(echoes());
  upstream_.reset();
  EXPECT_EQ(world_.wait(waiting).delivery, Delivery::lost);
  ASSERT_TRUE(world_.until([&] { return ::kill(pid, 0) == -1; }));
}

}  // namespace
}  // namespace gavel

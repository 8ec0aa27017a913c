#include "runtime/http_upstream.hpp"

#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/asio/read_until.hpp>
#include <boost/asio/use_future.hpp>
#include <fstream>

#include "runtime/http_exchange.hpp"
#include "runtime/upstream_world_test.hpp"

namespace gavel {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

// The fixture server as a child; ends with this object.
class FixtureServer {
public:
  FixtureServer(UpstreamWorld& world, const std::vector<std::string>& arguments) {
    ChildCommand command;
    command.words = {"python3", fixture_server("http_server.py")};
    command.words.insert(command.words.end(), arguments.begin(), arguments.end());
    command.environment = child_environment({});
    auto child = ChildProcess::spawn(world.io.get_executor(), command);
    if (!child) throw std::runtime_error(child.error().message);
    child_ = std::move(*child);
    port_ = read_line(world);
  }

  const std::string& port() const { return port_; }
  std::string read_line(UpstreamWorld& world) {
    std::optional<std::size_t> end;
    asio::async_read_until(
        child_->output(), asio::dynamic_buffer(said_), '\n',
        [&](const boost::system::error_code& error, std::size_t size) { end = error ? 0 : size; });
    if (!world.until([&] { return end.has_value(); }) || *end == 0) {
      throw std::runtime_error("the fixture said nothing: " + child_->stderr_tail());
    }
    std::string line = said_.substr(0, *end - 1);
    said_.erase(0, *end);
    return line;
  }

private:
  std::unique_ptr<ChildProcess> child_;
  std::string said_;
  std::string port_;
};

class HttpUpstreamTest : public testing::Test {
protected:
  void SetUp() override {
    directory_ = testing::TempDir() + "gavel-http-" + std::to_string(::getpid());
    std::filesystem::create_directories(directory_);
  }
  void TearDown() override {
    upstream_.reset();
    server_.reset();
    world_.io.restart();
    world_.io.poll();
    std::filesystem::remove_all(directory_);
  }

  ServerSpec serve(const std::vector<std::string>& arguments) {
    server_ = std::make_unique<FixtureServer>(world_, arguments);
    ServerSpec spec;
    spec.name = "fixture";
    spec.url = "http://127.0.0.1:" + server_->port() + "/mcp";
    return spec;
  }
  void open(const ServerSpec& spec) { open(spec, world_.options()); }
  void open(const ServerSpec& spec, UpstreamOptions options) {
    upstream_ = make_upstream(world_.io.get_executor(), spec, std::move(options));
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
  bool echoes() { return said("echo", R"({"text":"hi"})") == "hi"; }
  void close() { world_.wait(upstream_->close()); }

  UpstreamWorld world_;
  std::unique_ptr<FixtureServer> server_;
  std::unique_ptr<Upstream> upstream_;
  std::string directory_;
};

TEST_F(HttpUpstreamTest, SpeaksTheModernEraWhereTheServerDoes) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"modern"}, {"dual"}, {"modern", "sse"}}) {
    open(serve(arguments));
    EXPECT_EQ(upstream_->status().health, UpstreamHealth::idle);
    EXPECT_TRUE(echoes());
    EXPECT_EQ(upstream_->status().era, "2026-07-28");
    EXPECT_EQ(upstream_->status().server_name, "fixture");
    EXPECT_EQ(upstream_->status().health, UpstreamHealth::ready);
  }
}

TEST_F(HttpUpstreamTest, FallsBackToTheHandshakeOfAnOlderServer) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"legacy"}, {"legacy", "sse"}, {"legacy", "stateless"}}) {
    open(serve(arguments));
    EXPECT_TRUE(echoes());
    EXPECT_EQ(upstream_->status().era, "2025-11-25");
    EXPECT_THAT(said("notes"), HasSubstr("notifications/initialized"));
    const auto capabilities = world_.wait(upstream_->capabilities(world_.in(60s)));
    ASSERT_TRUE(capabilities);
    EXPECT_TRUE(capabilities->contains("tools"));
  }
}

TEST_F(HttpUpstreamTest, WhatMayNotBeSentAnyMoreIsNotSent) {
  auto limited = serve({"modern"});
  limited.concurrency_max = 1;
  open(limited);
  EXPECT_TRUE(echoes());
  const auto before = start("hold");
  Status allowed;
  auto request = tool_call(world_.in(60s), "echo", R"({"text":"late"})");
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
}

TEST_F(HttpUpstreamTest, AsksOnceMoreWhereTheRefusalOffersTheRevisionThatWasSpoken) {
  open(serve({"modern", "fussy"}));
  EXPECT_TRUE(echoes());
  EXPECT_EQ(upstream_->status().era, "2026-07-28");
}

TEST_F(HttpUpstreamTest, AStreamThatEndsEarlyIsTakenUpWhereItNamedAnEvent) {
  open(serve({"legacy"}));
  EXPECT_EQ(said("resumed"), "resumed");
  const auto reply = call("empty_stream");
  EXPECT_EQ(reply.delivery, Delivery::lost) << "no event, nothing to take up";
}

TEST_F(HttpUpstreamTest, ACallerThatCanBeAskedHasASessionWhoseServerKnows) {
  open(serve({"legacy"}));
  EXPECT_THAT(said("ask"), HasSubstr("asked"));
  auto request = tool_call(world_.in(60s), "capabilities");
  request.caller.capabilities = {{"roots", json::object{}}};
  EXPECT_EQ(text_of(world_.wait(upstream_->request(request))), R"({"roots": {}})");
  EXPECT_EQ(said("capabilities"), "{}");
  auto asking = tool_call(world_.in(60s), "roots");
  asking.caller.capabilities = request.caller.capabilities;
  std::string asked;
  asking.caller.on_question = [&](UpstreamQuestion question) {
    asked = question.method;
    question.answer(R"({"roots":[]})", {});
    question.answer("{}", {});  // the first counts
  };
  EXPECT_EQ(text_of(world_.wait(upstream_->request(asking))), R"({"roots": []})");
  EXPECT_EQ(asked, "roots/list");
}

TEST_F(HttpUpstreamTest, AConnectionIsUsedAgain) {
  open(serve({"modern"}));
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(echoes());
  EXPECT_EQ(said("connections"), "1");
}

TEST_F(HttpUpstreamTest, AConnectionIsUsedAgainAfterAStream) {
  open(serve({"modern", "sse"}));
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(echoes());
    // The end of the stream is read beside; the next call must not race it.
    world_.io.run_for(20ms);
  }
  // One for server/discover, whose stream may not have ended when the first call went out.
  EXPECT_THAT(said("connections"), testing::AnyOf("1", "2"));
}

TEST_F(HttpUpstreamTest, AConnectionThatTheServerClosedIsNotUsedAgain) {
  open(serve({"modern", "close"}));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(echoes());
}

TEST_F(HttpUpstreamTest, HeadersCarryTheCallsKeyAndFence) {
  open(serve({"modern"}));
  auto request = tool_call(world_.in(60s), "headers");
  request.meta["com.gavel/idempotencyKey"] = "s/7";
  request.meta["com.gavel/fencingToken"] = 12;
  const auto headers = parse_json(text_of(world_.wait(upstream_->request(std::move(request)))));
  ASSERT_TRUE(headers);
  EXPECT_EQ(string_or(*headers, "idempotency-key"), "\"s/7\"");
  EXPECT_EQ(string_or(*headers, "gavel-fencing-token"), "12");
  EXPECT_EQ(string_or(*headers, "mcp-method"), "tools/call");
  EXPECT_EQ(string_or(*headers, "mcp-name"), "headers");
}

TEST_F(HttpUpstreamTest, AnnotatedArgumentsAreMirroredOnceTheToolsAreKnown) {
  open(serve({"modern"}));
  UpstreamRequest list;
  list.method = "tools/list";
  list.params = "{}";
  list.deadline = world_.in(60s);
  const auto listed = world_.wait(upstream_->request(std::move(list)));
  EXPECT_THAT(listed.result, HasSubstr("\"headers\""));
  EXPECT_THAT(listed.result, testing::Not(HasSubstr("\"broken\"")));
  const auto headers = parse_json(said("headers", R"({"region":"Zürich","size":42})"));
  ASSERT_TRUE(headers);
  EXPECT_EQ(string_or(*headers, "mcp-param-region"), "=?base64?WsO8cmljaA==?=");
  EXPECT_EQ(string_or(*headers, "mcp-param-size"), "42");
  EXPECT_THAT(said("headers", R"({"size":null})"), testing::Not(HasSubstr("mcp-param")));
}

TEST_F(HttpUpstreamTest, CredentialsComeFromFilesAndAreNeverPrinted) {
  const std::string secret = directory_ + "/token";
  std::ofstream(secret) << "Bearer hunter2\n";
  auto spec = serve({"modern", "token=hunter2"});
  spec.header_files["Authorization"] = secret;
  spec.headers["X-Team"] = "blue";
  spec.headers["Mcp-Method"] = "smuggled";
  open(spec);
  EXPECT_TRUE(echoes());
  const auto headers = parse_json(said("headers"));
  EXPECT_EQ(string_or(*headers, "x-team"), "blue");
  // A server that repeats what it was given.
  const auto repeated = call("status", R"({"status":422,"say":"bad token hunter2"})");
  EXPECT_THAT(repeated.error.message, HasSubstr("bad token [secret]"));
  std::ofstream(secret) << "Bearer wrong1\n";
  open(spec);
  const auto reply = call("echo");
  EXPECT_EQ(reply.delivery, Delivery::not_sent);
  EXPECT_EQ(reply.error.code, ErrorCode::unavailable);
  for (const auto& line : world_.log) {
    EXPECT_EQ(line.find("hunter2"), std::string::npos) << line;
    EXPECT_EQ(line.find("wrong1"), std::string::npos) << line;
  }
}

TEST_F(HttpUpstreamTest, AHeaderWithALineBreakIsRefused) {
  auto spec = serve({"modern"});
  spec.headers["X-Team"] = "blue\r\nX-Admin: yes";
  open(spec);
  const auto reply = call("echo");
  EXPECT_EQ(reply.delivery, Delivery::not_sent);
  EXPECT_EQ(reply.error.code, ErrorCode::invalid_argument);
}

TEST_F(HttpUpstreamTest, WhatAStatusMeansForTheCall) {
  struct Row {
    const char* tool;
    const char* arguments;
    Delivery delivery;
    ErrorCode code;
  };
  const Row rows[] = {
      {"status", R"({"status":401})", Delivery::not_sent, ErrorCode::unavailable},
      {"status", R"({"status":403})", Delivery::not_sent, ErrorCode::permission_denied},
      {"status", R"({"status":413})", Delivery::not_sent, ErrorCode::too_large},
      {"status", R"({"status":422})", Delivery::not_sent, ErrorCode::unavailable},
      {"status", R"({"status":307})", Delivery::not_sent, ErrorCode::unavailable},
      {"status", R"({"status":429})", Delivery::not_sent, ErrorCode::busy},
      {"status", R"({"status":503,"retry_after":"7"})", Delivery::lost, ErrorCode::unavailable},
      {"status", R"({"status":503})", Delivery::lost, ErrorCode::unavailable},
      {"status", R"({"status":408})", Delivery::lost, ErrorCode::unavailable},
      {"status", R"({"status":500})", Delivery::lost, ErrorCode::unavailable},
      {"status", R"({"status":504})", Delivery::lost, ErrorCode::unavailable},
      {"error", R"({"status":500})", Delivery::lost, ErrorCode::unavailable},
      {"hang_up", "{}", Delivery::lost, ErrorCode::unavailable},
      {"cut_stream", "{}", Delivery::lost, ErrorCode::unavailable},
      {"empty_stream", "{}", Delivery::lost, ErrorCode::unavailable},
      {"garbage", "{}", Delivery::lost, ErrorCode::unavailable},
      {"no_http", "{}", Delivery::lost, ErrorCode::unavailable},
      {"stranger", "{}", Delivery::lost, ErrorCode::unavailable},
      {"accepted", "{}", Delivery::lost, ErrorCode::unavailable},
      {"huge", R"({"bytes":20000000})", Delivery::lost, ErrorCode::too_large},
  };
  open(serve({"modern"}));
  for (const auto& row : rows) {
    const auto reply = call(row.tool, row.arguments);
    EXPECT_EQ(reply.delivery, row.delivery) << row.tool << row.arguments << text_of(reply);
    EXPECT_EQ(reply.error.code, row.code) << row.tool << row.arguments << text_of(reply);
  }
  EXPECT_EQ(call("status", R"({"status":429,"retry_after":"7"})").retry_after, 7s);
  EXPECT_TRUE(echoes());
}

TEST_F(HttpUpstreamTest, AnErrorThatNamesTheRequestIsAnAnswer) {
  open(serve({"modern"}));
  for (const char* arguments :
       {R"({"status":500,"mine":true})", R"({"status":400,"mine":true})", R"({"status":400})"}) {
    const auto reply = call("error", arguments);
    EXPECT_EQ(reply.delivery, Delivery::answered) << arguments;
    EXPECT_THAT(reply.rpc_error, HasSubstr("-32603"));
  }
}

TEST_F(HttpUpstreamTest, ProgressReachesTheRequest) {
  for (const char* era : {"modern", "legacy"}) {
    open(serve({era}));
    std::vector<std::string> seen;
    auto request = tool_call(world_.in(60s), "progress");
    request.caller.on_progress = [&](std::string_view params) { seen.emplace_back(params); };
    EXPECT_EQ(text_of(world_.wait(upstream_->request(std::move(request)))), "done");
    EXPECT_EQ(seen.size(), 3u);
  }
}

TEST_F(HttpUpstreamTest, NobodyListeningMeansNotSent) {
  // A port that was free a moment ago and that nobody else is given.
  const int held = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(held, reinterpret_cast<sockaddr*>(&address), size), 0);
  ::getsockname(held, reinterpret_cast<sockaddr*>(&address), &size);
  ServerSpec spec;
  spec.name = "nobody";
  spec.url = "http://localhost:" + std::to_string(ntohs(address.sin_port)) + "/mcp";
  open(spec);
  const auto reply = call("echo");
  EXPECT_EQ(reply.delivery, Delivery::not_sent);
  EXPECT_EQ(reply.error.code, ErrorCode::unavailable);
  EXPECT_EQ(upstream_->status().health, UpstreamHealth::failed);
  ::close(held);
}

TEST_F(HttpUpstreamTest, ANameThatDoesNotExistMeansNotSent) {
  ServerSpec spec;
  spec.name = "nowhere";
  spec.url = "http://no-such-host.invalid/mcp";
  open(spec);
  EXPECT_EQ(call("echo").delivery, Delivery::not_sent);
}

TEST_F(HttpUpstreamTest, ADeadlineLosesTheCallAndTellsAnOlderServer) {
  open(serve({"legacy"}));
  EXPECT_TRUE(echoes());
  const auto reply = call("never", "{}", 200ms);
  EXPECT_EQ(reply.delivery, Delivery::lost);
  EXPECT_EQ(reply.error.code, ErrorCode::timeout);
  ASSERT_TRUE(world_.until(
      [&] { return said("notes").find("notifications/cancelled") != std::string::npos; }));
}

TEST_F(HttpUpstreamTest, ADeadlineClosesTheConnectionToAModernServer) {
  open(serve({"modern"}));
  EXPECT_TRUE(echoes());
  const auto reply = call("never", "{}", 200ms);
  EXPECT_EQ(reply.delivery, Delivery::lost);
  EXPECT_EQ(reply.error.code, ErrorCode::timeout);
  EXPECT_EQ(said("connections"), "2");
  EXPECT_THAT(said("requests"), testing::Not(HasSubstr("notifications/cancelled")));
}

TEST_F(HttpUpstreamTest, ACancelledRequestTellsAnOlderServer) {
  open(serve({"legacy"}));
  EXPECT_TRUE(echoes());
  const auto waiting = start("never");
  ASSERT_TRUE(world_.until([&] { return said("held") == "1"; }));
  waiting->cancel.emit(asio::cancellation_type::terminal);
  ASSERT_TRUE(world_.until([&] { return waiting->done(); }));
  ASSERT_TRUE(world_.until(
      [&] { return said("notes").find("notifications/cancelled") != std::string::npos; }));
}

TEST_F(HttpUpstreamTest, AForgottenSessionIsOpenedAnewAndTheCallSentAgain) {
  for (const char* unknown : {"unknown=404", "unknown=400"}) {
    open(serve({"legacy", unknown}));
    EXPECT_EQ(said("forget"), "forgotten");
    EXPECT_TRUE(echoes());
    EXPECT_EQ(upstream_->status().restarts, 1u);
  }
}

TEST_F(HttpUpstreamTest, AnUnknownMethodIsAnAnswer) {
  for (const char* era : {"modern", "legacy"}) {
    open(serve({era}));
    UpstreamRequest request;
    request.method = "prompts/list";
    request.params = "{}";
    request.deadline = world_.in(60s);
    const auto reply = world_.wait(upstream_->request(std::move(request)));
    EXPECT_EQ(reply.delivery, Delivery::answered) << era << reply.error.message;
    EXPECT_THAT(reply.rpc_error, HasSubstr("-32601"));
  }
}

TEST_F(HttpUpstreamTest, RequestsOfAnOlderServerAreAnswered) {
  open(serve({"legacy"}));
  EXPECT_EQ(said("ask"), "asked");
  ASSERT_TRUE(world_.until([&] {
    const auto notes = said("notes");
    return notes.find("server-1") != std::string::npos &&
           notes.find("server-2") != std::string::npos;
  }));
  EXPECT_THAT(said("notes"), HasSubstr("-32601"));
}

TEST_F(HttpUpstreamTest, SaysThatTheToolsOfAnOlderServerChanged) {
  int changes = 0;
  auto options = world_.options();
  options.on_tools_changed = [&] { ++changes; };
  open(serve({"legacy"}), std::move(options));
  ASSERT_TRUE(world_.until([&] { return said("listeners") == "1"; }));
  EXPECT_EQ(said("change"), "changed");
  EXPECT_TRUE(world_.until([&] { return changes == 1; }));
}

TEST_F(HttpUpstreamTest, CloseEndsTheSession) {
  open(serve({"legacy"}));
  EXPECT_TRUE(echoes());
  close();
  EXPECT_EQ(server_->read_line(world_), "deleted session-1");
  EXPECT_EQ(call("echo").delivery, Delivery::not_sent);
}

TEST_F(HttpUpstreamTest, TlsIsVerified) {
  const auto tls = std::filesystem::path(fixture_server("")).parent_path().parent_path() / "tls";
  const std::string certificate = (tls / "localhost.pem").string();
  auto spec = serve({"modern", "tls=" + certificate + "," + (tls / "localhost.key").string()});
  spec.url = "https://localhost:" + server_->port() + "/mcp";
  open(spec);
  const auto distrusted = call("echo");
  EXPECT_EQ(distrusted.delivery, Delivery::not_sent);
  EXPECT_THAT(distrusted.error.message, HasSubstr("TLS"));
  auto options = world_.options();
  options.trusted_ca_file = certificate;
  open(spec, options);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(echoes());
  spec.url = "https://127.0.0.2:" + server_->port() + "/mcp";
  open(spec, options);
  EXPECT_EQ(call("echo").delivery, Delivery::not_sent);
}

TEST_F(HttpUpstreamTest, ManyRequestsRunBesideEachOther) {
  open(serve({"modern"}));
  std::vector<std::shared_ptr<Running<UpstreamReply>>> running;
  for (int i = 0; i < 12; ++i) {
    running.push_back(start("echo", R"({"text":")" + std::to_string(i) + "\"}"));
  }
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(text_of(world_.wait(running[static_cast<std::size_t>(i)])), std::to_string(i));
  }
}

TEST(OutboundUrl, TakesUrlsApart) {
  const auto url = parse_outbound_url("https://Example.com:8443/mcp?team=blue");
  ASSERT_TRUE(url);
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->port, "8443");
  EXPECT_EQ(url->target, "/mcp?team=blue");
  EXPECT_EQ(url->authority, "Example.com:8443");
  const auto plain = parse_outbound_url("http://[::1]");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->host, "::1");
  EXPECT_EQ(plain->port, "80");
  EXPECT_EQ(plain->target, "/");
  for (const char* bad : {"", "mcp", "ftp://x/", "http://", "http://user:pw@x/", "http://x:0/",
                          "http://x:99999/", "http://a b/"}) {
    EXPECT_FALSE(parse_outbound_url(bad)) << bad;
  }
}

TEST(RetryAfter, IsSecondsOrADefault) {
  EXPECT_EQ(retry_after_of("7"), 7s);
  EXPECT_EQ(retry_after_of("999999999"), 1h);
  for (const char* other : {"", "-1", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"}) {
    EXPECT_EQ(retry_after_of(other), 1s) << other;
  }
}

}  // namespace
}  // namespace gavel

#include "gateway/http_server.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <future>
#include <stdexcept>

#include "gateway/test_client.hpp"

namespace gavel {
namespace {

using namespace std::chrono_literals;
using test::Client;
using test::EventLoop;
using test::TlsFixture;
using test::Wire;

// What the handler of these tests saw, told to the test's thread.
struct Seen {
  std::atomic<int> requests{0};
  std::promise<void> waiting;
  std::promise<bool> ended;  // whether the client was gone
};

asio::awaitable<void> wait_for_end(HttpExchange& exchange, Seen& seen) {
  co_await exchange.begin_stream({.content_type = "text/event-stream"});
  co_await exchange.write("data: hello\n\n");
  exchange.cancel_when_ended();
  seen.waiting.set_value();
  asio::steady_timer timer(co_await asio::this_coro::executor, 1h);
  co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  seen.ended.set_value(exchange.client_gone());
  co_await exchange.write("data: bye\n\n");
  co_await exchange.end_stream();
}

asio::awaitable<void> serve(HttpExchange& exchange, Seen& seen) {
  ++seen.requests;
  const auto path = exchange.request().path;
  if (path == "/throw") throw std::runtime_error("boom");
  if (path == "/silent") co_return;
  if (path == "/wait") {
    co_await wait_for_end(exchange, seen);
    co_return;
  }
  if (path == "/upgrade") {
    co_await exchange.upgrade({.headers = {{"Connection", "Upgrade"}, {"Upgrade", "echo"}}});
    char bytes[64];
    for (auto n = co_await exchange.read_some(bytes); n > 0;
         n = co_await exchange.read_some(bytes)) {
      co_await exchange.write(std::string(bytes, n));
    }
    co_return;
  }
  HttpResponse response;
  response.body = fmt::format(R"({{"method":"{}","path":"{}","query":"{}","size":{}}})",
                              exchange.request().method, path, exchange.request().query,
                              exchange.request().body.size());
  co_await exchange.respond(std::move(response));
}

class HttpServerTest : public ::testing::TestWithParam<Wire> {
protected:
  void start(HttpServerOptions options = {}, HttpAdmission admission = {}) {
    options.listen = {"127.0.0.1:0"};
    if (GetParam() == Wire::tls) options.tls = TlsFiles{files_.certificate(), files_.key()};
    loop_.run([&] {
      auto server =
          HttpServer::start(loop_.executor(), options, admission,
                            [this](HttpExchange& exchange) { return serve(exchange, seen_); });
      ASSERT_TRUE(server) << server.error().message;
      server_ = std::move(*server);
    });
  }
  ~HttpServerTest() override {
    loop_.run([&] { server_.reset(); });
  }
  std::string endpoint() const { return server_->endpoints()[0]; }
  Client connect() const { return Client(endpoint(), GetParam()); }
  void stop() {
    loop_.await([this]() -> asio::awaitable<void> { return server_->stop(); });
  }

  TlsFixture files_;
  Seen seen_;
  EventLoop loop_;
  std::unique_ptr<HttpServer> server_;
};

INSTANTIATE_TEST_SUITE_P(Wires, HttpServerTest, testing::Values(Wire::plain, Wire::tls),
                         [](const auto& wire) {
                           return std::string(wire.param == Wire::tls ? "Tls" : "Plain");
                         });

TEST_P(HttpServerTest, AnswersRequestsOneAfterAnotherOnOneConnection) {
  start();
  auto client = connect();
  const auto first = client.request("GET", "/a?x=1");
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.body, R"({"method":"GET","path":"/a","query":"x=1","size":0})");
  EXPECT_EQ(first.header("Content-Type"), "application/json");
  EXPECT_FALSE(first.header("Date").empty());
  const auto second = client.request("POST", "/b", "12345");
  EXPECT_EQ(second.body, R"({"method":"POST","path":"/b","query":"","size":5})");
}

TEST_P(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  start();
  auto client = connect();
  std::string many;
  for (int i = 0; i < 20; ++i) {
    many += fmt::format("POST /{} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok", i);
  }
  client.send(many);
  for (int i = 0; i < 20; ++i) {
    const auto reply = client.receive();
    EXPECT_NE(reply.body.find(fmt::format("\"/{}\"", i)), std::string::npos) << reply.body;
  }
}

TEST_P(HttpServerTest, ReadsARequestThatComesByteByByte) {
  start();
  auto client = connect();
  for (const char c :
       std::string_view("POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")) {
    client.send(std::string_view(&c, 1));
  }
  EXPECT_EQ(client.receive().body, R"({"method":"POST","path":"/slow","query":"","size":3})");
}

TEST_P(HttpServerTest, ReadsChunkedBodies) {
  start();
  auto client = connect();
  client.send(
      "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n"
      "0\r\n\r\n");
  EXPECT_EQ(client.receive().body, R"({"method":"POST","path":"/c","query":"","size":7})");
  EXPECT_EQ(client.request("GET", "/next").status, 200);
}

TEST_P(HttpServerTest, ReadsLargeBodiesAndContinuesWhereAsked) {
  start();
  auto client = connect();
  const std::string body(3 << 20, 'x');
  client.send(fmt::format(
      "POST /big HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
      body.size()));
  EXPECT_EQ(client.receive_head().status, 100);
  client.send(body);
  EXPECT_EQ(client.receive().body,
            fmt::format(R"({{"method":"POST","path":"/big","query":"","size":{}}})", body.size()));
}

TEST_P(HttpServerTest, RefusesABodyOverTheLimitAndSaysSo) {
  start({.body_bytes_max = 1000});
  auto client = connect();
  const auto reply = client.request("POST", "/", std::string(200'000, 'x'));
  EXPECT_EQ(reply.status, 413);
  EXPECT_NE(reply.body.find("over 1000 bytes"), std::string::npos) << reply.body;
  EXPECT_EQ(reply.header("Connection"), "close");
  EXPECT_EQ(seen_.requests, 0);
}

TEST_P(HttpServerTest, RefusesAChunkedBodyOverTheLimit) {
  start({.body_bytes_max = 1000});
  auto client = connect();
  client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 100; ++i) client.send("64\r\n" + std::string(100, 'x') + "\r\n");
  EXPECT_EQ(client.receive().status, 413);
}

TEST_P(HttpServerTest, RefusesHeadersOverTheLimit) {
  start();
  auto client = connect();
  EXPECT_EQ(client.request("GET", "/", {}, {{"X-Long", std::string(40'000, 'x')}}).status, 431);
  auto endless = connect();
  endless.send("GET / HTTP/1.1\r\n" + std::string(100'000, 'x'));
  EXPECT_EQ(endless.receive().status, 431);
}

TEST_P(HttpServerTest, RefusesWhatIsNotHttpAndCloses) {
  start();
  auto client = connect();
  client.send("\x16\x03\x01 this is not HTTP\r\n\r\n");
  const auto reply = client.receive();
  EXPECT_EQ(reply.status, 400);
  EXPECT_NE(reply.body.find("this is not HTTP/1.1"), std::string::npos) << reply.body;
  EXPECT_TRUE(client.at_end());
}

TEST_P(HttpServerTest, AnswersAFailedHandlerWithAnError) {
  start();
  auto client = connect();
  const auto thrown = client.request("GET", "/throw");
  EXPECT_EQ(thrown.status, 500);
  EXPECT_NE(thrown.body.find("boom"), std::string::npos);
  auto other = connect();
  EXPECT_EQ(other.request("GET", "/silent").status, 500);
}

TEST_P(HttpServerTest, RefusesAtTheHeadWithoutReadingALargeBody) {
  start({}, [](const HttpRequest& request) -> std::optional<HttpResponse> {
    if (request.header("Authorization")) return std::nullopt;
    return HttpResponse{.status = 401, .body = "{}"};
  });
  auto client = connect();
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
  EXPECT_EQ(client.receive().status, 401);
  EXPECT_EQ(seen_.requests, 0);
}

TEST_P(HttpServerTest, KeepsTheConnectionOfASmallRefusedRequest) {
  start({}, [](const HttpRequest& request) -> std::optional<HttpResponse> {
    if (request.header("Authorization")) return std::nullopt;
    return HttpResponse{.status = 401, .body = "{}"};
  });
  auto client = connect();
  EXPECT_EQ(client.request("GET", "/").status, 401);
  EXPECT_EQ(client.request("POST", "/", "{}").status, 401);
  EXPECT_EQ(client.request("POST", "/", "{}", {{"Authorization", "x"}}).status, 200);
}

TEST_P(HttpServerTest, ClosesAConnectionThatIsIdleOrTooSlow) {
  start({.idle_timeout = 40ms, .read_timeout = 40ms});
  auto idle = connect();
  EXPECT_TRUE(idle.at_end());
  auto slow = connect();
  slow.send("GET / HTTP/1.1\r\nHo");
  EXPECT_TRUE(slow.at_end());
}

TEST_P(HttpServerTest, ClosesAClientThatDoesNotRead) {
  start({.write_timeout = 40ms});
  auto client = connect();
  // Answers pile up in the socket's buffers until a write stands still.
  std::string flood;
  for (int i = 0; i < 2000; ++i)
    flood += "GET /" + std::string(8000, 'x') + " HTTP/1.1\r\nHost: x\r\n\r\n";
  client.send(flood);
  while (client.receive().status != 0) {
  }
  SUCCEED();
}

TEST_P(HttpServerTest, RefusesConnectionsOverTheMaximum) {
  start({.connections_max = 1});
  auto first = connect();
  EXPECT_EQ(first.request("GET", "/").status, 200);
  auto second = connect();
  EXPECT_EQ(second.receive().status, GetParam() == Wire::tls ? 0 : 503);
  EXPECT_EQ(first.request("GET", "/").status, 200);
}

TEST_P(HttpServerTest, HandlerLearnsThatTheClientIsGone) {
  start();
  auto ended = seen_.ended.get_future();
  {
    auto client = connect();
    client.send_request("GET", "/wait");
    seen_.waiting.get_future().wait();
  }
  ASSERT_EQ(ended.wait_for(20s), std::future_status::ready);
  EXPECT_TRUE(ended.get());
}

TEST_P(HttpServerTest, StopEndsStreamsInOrder) {
  start();
  auto idle = connect();
  EXPECT_EQ(idle.request("GET", "/").status, 200);
  auto client = connect();
  client.send_request("GET", "/wait");
  EXPECT_EQ(client.receive_head().status, 200);
  EXPECT_EQ(client.read_event(), "hello");
  seen_.waiting.get_future().wait();
  stop();
  EXPECT_EQ(client.read_event(), "bye");
  EXPECT_EQ(client.read_event(), std::nullopt);
  EXPECT_TRUE(idle.at_end());
  EXPECT_FALSE(seen_.ended.get_future().get());
}

TEST_P(HttpServerTest, UpgradedConnectionCarriesRawBytes) {
  start();
  auto client = connect();
  // The first raw bytes may come together with the request.
  client.send("POST /upgrade HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\nfirst\n");
  const auto head = client.receive_head();
  EXPECT_EQ(head.status, 101);
  EXPECT_EQ(head.header("Upgrade"), "echo");
  EXPECT_EQ(client.read_line(), "first");
  client.send("second\n");
  EXPECT_EQ(client.read_line(), "second");
}

TEST_P(HttpServerTest, ServesHttp10WithoutChunks) {
  start();
  auto client = connect();
  client.send("GET /a HTTP/1.0\r\n\r\n");
  const auto reply = client.receive();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("Connection"), "close");
  EXPECT_TRUE(client.at_end());
}

TEST_P(HttpServerTest, TellsEachRequestToTheLogWithoutItsQuery) {
  std::vector<std::string> lines;
  start({.on_request = [&](const RequestLog& log) {
    lines.push_back(fmt::format("{} {} {}", log.method, log.path, log.status));
  }});
  {
    auto client = connect();
    client.request("GET", "/a?token=secret");
    client.send("nonsense\r\n\r\n");
    client.receive();
  }
  stop();
  EXPECT_EQ(lines, (std::vector<std::string>{"GET /a 200", "  400"}));
}

class TlsServerTest : public ::testing::Test {
protected:
  void start(HttpServerOptions options = {}) {
    options.tls = TlsFiles{files_.certificate(), files_.key()};
    const HttpAdmission nobody = [](const HttpRequest&) {
      return HttpResponse{.status = 401, .body = "{}"};
    };
    loop_.run([&] {
      auto server =
          HttpServer::start(loop_.executor(), options, nobody,
                            [this](HttpExchange& exchange) { return serve(exchange, seen_); });
      ASSERT_TRUE(server) << server.error().message;
      server_ = std::move(*server);
    });
  }
  ~TlsServerTest() override {
    loop_.run([&] { server_.reset(); });
  }
  // Why a server does not start.
  std::string refusal(const TlsFiles& files) {
    std::string message;
    loop_.run([&] {
      const auto server =
          HttpServer::start(loop_.executor(), {.listen = {"127.0.0.1:0"}, .tls = files}, {}, {});
      ASSERT_FALSE(server);
      EXPECT_EQ(server.error().code, ErrorCode::invalid_argument);
      message = server.error().message;
    });
    return message;
  }
  std::string port() const {
    const auto& endpoint = server_->endpoints()[0];
    return endpoint.substr(endpoint.rfind(':'));
  }

  TlsFixture files_;
  Seen seen_;
  EventLoop loop_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(TlsServerTest, ListensBeyondLoopback) {
  start({.listen = {"0.0.0.0:0"}});
  Client client("127.0.0.1" + port(), Wire::tls);
  EXPECT_EQ(client.request("GET", "/").status, 401);
}

TEST_F(TlsServerTest, AnswersNothingInPlainTextAndSurvivesIt) {
  start({.listen = {"127.0.0.1:0"}});
  for (const std::string nonsense :
       {"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "\x16\x03\x01\xff\xff", "\n"}) {
    Client plain("127.0.0.1" + port());
    plain.send(nonsense + std::string(20'000, 'x'));
    EXPECT_EQ(plain.receive().status, 0);
  }
  EXPECT_EQ(seen_.requests, 0);
  Client client("127.0.0.1" + port(), Wire::tls);
  EXPECT_EQ(client.request("GET", "/").status, 401);
}

TEST_F(TlsServerTest, ClosesAClientThatDoesNotFinishItsHandshake) {
  start({.listen = {"127.0.0.1:0"}, .idle_timeout = 1h, .read_timeout = 40ms});
  Client silent("127.0.0.1" + port());
  Client slow("127.0.0.1" + port());
  slow.send("\x16\x03\x01\x02");
  EXPECT_TRUE(silent.at_end());
  EXPECT_TRUE(slow.at_end());
}

TEST_F(TlsServerTest, StopDoesNotWaitForHandshakesOrIdleClients) {
  start({.listen = {"127.0.0.1:0"}, .drain_timeout = 1h});
  Client silent("127.0.0.1" + port());
  Client idle("127.0.0.1" + port(), Wire::tls);
  EXPECT_EQ(idle.request("GET", "/").status, 401);
  loop_.await([this]() -> asio::awaitable<void> { return server_->stop(); });
  EXPECT_TRUE(silent.at_end());
  EXPECT_TRUE(idle.at_end());
  EXPECT_TRUE(idle.said_goodbye());
}

TEST_F(TlsServerTest, SaysGoodbyeAfterTheLastAnswer) {
  start({.listen = {"127.0.0.1:0"}});
  Client client("127.0.0.1" + port(), Wire::tls);
  EXPECT_EQ(client.request("GET", "/", {}, {{"Connection", "close"}}).status, 401);
  EXPECT_TRUE(client.at_end());
  EXPECT_TRUE(client.said_goodbye());
}

TEST_F(TlsServerTest, RefusesAKeyThatOthersCanRead) {
  for (const auto mode : {0640U, 0604U, 0644U}) {
    ASSERT_EQ(::chmod(files_.key().c_str(), mode), 0);
    const auto why = refusal({files_.certificate(), files_.key()});
    EXPECT_NE(why.find(files_.key()), std::string::npos) << why;
    EXPECT_NE(why.find(fmt::format("mode {:04o}", mode)), std::string::npos) << why;
  }
  ASSERT_EQ(::chmod(files_.key().c_str(), 0400), 0);
  start({.listen = {"127.0.0.1:0"}});
}

TEST_F(TlsServerTest, RefusesFilesThatAreNoCertificateAndKey) {
  EXPECT_NE(refusal({"/nowhere/c.pem", files_.key()}).find("the TLS certificate /nowhere/c.pem"),
            std::string::npos);
  EXPECT_NE(refusal({files_.certificate(), "/nowhere/k.pem"}).find("the TLS key /nowhere/k.pem"),
            std::string::npos);
  EXPECT_NE(refusal({files_.key(), files_.key()}).find("the TLS certificate"), std::string::npos);
  ASSERT_EQ(::chmod(files_.certificate().c_str(), 0600), 0);
  EXPECT_NE(refusal({files_.certificate(), files_.certificate()}).find("the TLS key"),
            std::string::npos);
}

TEST(HttpServer, RefusesToListenBeyondLoopback) {
  EventLoop loop;
  loop.run([&] {
    const auto server = HttpServer::start(loop.executor(), {.listen = {"0.0.0.0:0"}}, {}, {});
    ASSERT_FALSE(server);
    EXPECT_EQ(server.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(server.error().message.find("`daemon.tls`"), std::string::npos)
        << server.error().message;
  });
}

TEST(HttpServer, NamesWhoHoldsAPortInUse) {
  EventLoop loop;
  loop.run([&] {
    const auto first = HttpServer::start(loop.executor(), {.listen = {"127.0.0.1:0"}}, {}, {});
    ASSERT_TRUE(first);
    const auto second =
        HttpServer::start(loop.executor(), {.listen = {(*first)->endpoints()[0]}}, {}, {});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::already_exists);
    EXPECT_NE(second.error().message.find(fmt::format("pid {}", ::getpid())), std::string::npos)
        << second.error().message;
    EXPECT_NE(second.error().message.find("--listen"), std::string::npos);
  });
}

TEST(HttpServer, RefusesAddressesThatDoNotParse) {
  EventLoop loop;
  loop.run([&] {
    for (const std::string bad : {"", "7461", "localhost", "localhost:http", "127.0.0.1:70000",
                                  "example.com:80", "127.0.0.1:"}) {
      const auto server = HttpServer::start(loop.executor(), {.listen = {bad}}, {}, {});
      ASSERT_FALSE(server) << bad;
      EXPECT_EQ(server.error().code, ErrorCode::invalid_argument) << bad;
    }
  });
}

}  // namespace
}  // namespace gavel

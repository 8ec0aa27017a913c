#include "gateway/http_server.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

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

class HttpServerTest : public ::testing::Test {
protected:
  void start(HttpServerOptions options = {}, HttpAdmission admission = {}) {
    options.listen = {"127.0.0.1:0"};
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
  void stop() {
    loop_.await([this]() -> asio::awaitable<void> { return server_->stop(); });
  }

  Seen seen_;
  EventLoop loop_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersRequestsOneAfterAnotherOnOneConnection) {
  start();
  Client client(endpoint());
  const auto first = client.request("GET", "/a?x=1");
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.body, R"({"method":"GET","path":"/a","query":"x=1","size":0})");
  EXPECT_EQ(first.header("Content-Type"), "application/json");
  EXPECT_FALSE(first.header("Date").empty());
  const auto second = client.request("POST", "/b", "12345");
  EXPECT_EQ(second.body, R"({"method":"POST","path":"/b","query":"","size":5})");
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  start();
  Client client(endpoint());
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

TEST_F(HttpServerTest, ReadsARequestThatComesByteByByte) {
  start();
  Client client(endpoint());
  for (const char c :
       std::string_view("POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")) {
    client.send(std::string_view(&c, 1));
  }
  EXPECT_EQ(client.receive().body, R"({"method":"POST","path":"/slow","query":"","size":3})");
}

TEST_F(HttpServerTest, ReadsChunkedBodies) {
  start();
  Client client(endpoint());
  client.send(
      "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n"
      "0\r\n\r\n");
  EXPECT_EQ(client.receive().body, R"({"method":"POST","path":"/c","query":"","size":7})");
  EXPECT_EQ(client.request("GET", "/next").status, 200);
}

TEST_F(HttpServerTest, ReadsLargeBodiesAndContinuesWhereAsked) {
  start();
  Client client(endpoint());
  const std::string body(3 << 20, 'x');
  client.send(fmt::format(
      "POST /big HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
      body.size()));
  EXPECT_EQ(client.receive_head().status, 100);
  client.send(body);
  EXPECT_EQ(client.receive().body,
            fmt::format(R"({{"method":"POST","path":"/big","query":"","size":{}}})", body.size()));
}

TEST_F(HttpServerTest, RefusesABodyOverTheLimitAndSaysSo) {
  start({.body_bytes_max = 1000});
  Client client(endpoint());
  const auto reply = client.request("POST", "/", std::string(200'000, 'x'));
  EXPECT_EQ(reply.status, 413);
  EXPECT_NE(reply.body.find("over 1000 bytes"), std::string::npos) << reply.body;
  EXPECT_EQ(reply.header("Connection"), "close");
  EXPECT_EQ(seen_.requests, 0);
}

TEST_F(HttpServerTest, RefusesAChunkedBodyOverTheLimit) {
  start({.body_bytes_max = 1000});
  Client client(endpoint());
  client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 100; ++i) client.send("64\r\n" + std::string(100, 'x') + "\r\n");
  EXPECT_EQ(client.receive().status, 413);
}

TEST_F(HttpServerTest, RefusesHeadersOverTheLimit) {
  start();
  Client client(endpoint());
  EXPECT_EQ(client.request("GET", "/", {}, {{"X-Long", std::string(40'000, 'x')}}).status, 431);
  Client endless(endpoint());
  endless.send("GET / HTTP/1.1\r\n" + std::string(100'000, 'x'));
  EXPECT_EQ(endless.receive().status, 431);
}

TEST_F(HttpServerTest, RefusesWhatIsNotHttpAndCloses) {
  start();
  Client client(endpoint());
  client.send("\x16\x03\x01 this is not HTTP\r\n\r\n");
  const auto reply = client.receive();
  EXPECT_EQ(reply.status, 400);
  EXPECT_NE(reply.body.find("this is not HTTP/1.1"), std::string::npos) << reply.body;
  EXPECT_TRUE(client.at_end());
}

TEST_F(HttpServerTest, AnswersAFailedHandlerWithAnError) {
  start();
  Client client(endpoint());
  const auto thrown = client.request("GET", "/throw");
  EXPECT_EQ(thrown.status, 500);
  EXPECT_NE(thrown.body.find("boom"), std::string::npos);
  Client other(endpoint());
  EXPECT_EQ(other.request("GET", "/silent").status, 500);
}

TEST_F(HttpServerTest, RefusesAtTheHeadWithoutReadingALargeBody) {
  start({}, [](const HttpRequest& request) -> std::optional<HttpResponse> {
    if (request.header("Authorization")) return std::nullopt;
    return HttpResponse{.status = 401, .body = "{}"};
  });
  Client client(endpoint());
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
  EXPECT_EQ(client.receive().status, 401);
  EXPECT_EQ(seen_.requests, 0);
}

TEST_F(HttpServerTest, KeepsTheConnectionOfASmallRefusedRequest) {
  start({}, [](const HttpRequest& request) -> std::optional<HttpResponse> {
    if (request.header("Authorization")) return std::nullopt;
    return HttpResponse{.status = 401, .body = "{}"};
  });
  Client client(endpoint());
  EXPECT_EQ(client.request("GET", "/").status, 401);
  EXPECT_EQ(client.request("POST", "/", "{}").status, 401);
  EXPECT_EQ(client.request("POST", "/", "{}", {{"Authorization", "x"}}).status, 200);
}

TEST_F(HttpServerTest, ClosesAConnectionThatIsIdleOrTooSlow) {
  start({.idle_timeout = 40ms, .read_timeout = 40ms});
  Client idle(endpoint());
  EXPECT_TRUE(idle.at_end());
  Client slow(endpoint());
  slow.send("GET / HTTP/1.1\r\nHo");
  EXPECT_TRUE(slow.at_end());
}

TEST_F(HttpServerTest, ClosesAClientThatDoesNotRead) {
  start({.write_timeout = 40ms});
  Client client(endpoint());
  // Answers pile up in the socket's buffers until a write stands still.
  std::string flood;
  for (int i = 0; i < 2000; ++i)
    flood += "GET /" + std::string(8000, 'x') + " HTTP/1.1\r\nHost: x\r\n\r\n";
  client.send(flood);
  while (client.receive().status != 0) {
  }
  SUCCEED();
}

TEST_F(HttpServerTest, RefusesConnectionsOverTheMaximum) {
  start({.connections_max = 1});
  Client first(endpoint());
  EXPECT_EQ(first.request("GET", "/").status, 200);
  Client second(endpoint());
  EXPECT_EQ(second.receive().status, 503);
  EXPECT_EQ(first.request("GET", "/").status, 200);
}

TEST_F(HttpServerTest, HandlerLearnsThatTheClientIsGone) {
  start();
  auto ended = seen_.ended.get_future();
  {
    Client client(endpoint());
    client.send_request("GET", "/wait");
    seen_.waiting.get_future().wait();
  }
  ASSERT_EQ(ended.wait_for(20s), std::future_status::ready);
  EXPECT_TRUE(ended.get());
}

TEST_F(HttpServerTest, StopEndsStreamsInOrder) {
  start();
  Client idle(endpoint());
  EXPECT_EQ(idle.request("GET", "/").status, 200);
  Client client(endpoint());
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

TEST_F(HttpServerTest, UpgradedConnectionCarriesRawBytes) {
  start();
  Client client(endpoint());
  // The first raw bytes may come together with the request.
  client.send("POST /upgrade HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\nfirst\n");
  const auto head = client.receive_head();
  EXPECT_EQ(head.status, 101);
  EXPECT_EQ(head.header("Upgrade"), "echo");
  EXPECT_EQ(client.read_line(), "first");
  client.send("second\n");
  EXPECT_EQ(client.read_line(), "second");
}

TEST_F(HttpServerTest, ServesHttp10WithoutChunks) {
  start();
  Client client(endpoint());
  client.send("GET /a HTTP/1.0\r\n\r\n");
  const auto reply = client.receive();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("Connection"), "close");
  EXPECT_TRUE(client.at_end());
}

TEST_F(HttpServerTest, TellsEachRequestToTheLogWithoutItsQuery) {
  std::vector<std::string> lines;
  start({.on_request = [&](const RequestLog& log) {
    lines.push_back(fmt::format("{} {} {}", log.method, log.path, log.status));
  }});
  {
    Client client(endpoint());
    client.request("GET", "/a?token=secret");
    client.send("nonsense\r\n\r\n");
    client.receive();
  }
  stop();
  EXPECT_EQ(lines, (std::vector<std::string>{"GET /a 200", "  400"}));
}

TEST(HttpServer, RefusesToListenBeyondLoopback) {
  EventLoop loop;
  loop.run([&] {
    const auto server = HttpServer::start(loop.executor(), {.listen = {"0.0.0.0:0"}}, {}, {});
    ASSERT_FALSE(server);
    EXPECT_EQ(server.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(server.error().message.find("TLS"), std::string::npos);
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

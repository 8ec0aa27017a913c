#include "cli/http_client.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <thread>

#include "cli/client.hpp"

namespace gavel {
namespace {

// Answers one connection with `answer`, having read the request's head (and body, by its length).
class OneAnswer {
public:
  using Then = std::function<void(int fd)>;
  explicit OneAnswer(std::string answer, Then then = {})
      : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 1), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread(
        [this, answer = std::move(answer), then = std::move(then)] { serve(answer, then); });
  }
  ~OneAnswer() {
    thread_.join();
    ::close(listener_);
  }

  Endpoint endpoint() const { return {"127.0.0.1", port_, "127.0.0.1:" + std::to_string(port_)}; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  // Valid once the client has its answer.
  const std::string& request() const { return request_; }

private:
  void serve(const std::string& answer, const Then& then) {
    const int fd = ::accept(listener_, nullptr, nullptr);
    std::array<char, 4096> block;
    while (!is_whole()) {
      const auto n = ::recv(fd, block.data(), block.size(), 0);
      if (n <= 0) break;
      request_.append(block.data(), static_cast<std::size_t>(n));
    }
    (void)!::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
    if (then) then(fd);
    ::close(fd);
  }

  // Bodies here are JSON objects.
  bool is_whole() const {
    if (request_.find("\r\n\r\n") == std::string::npos) return false;
    return request_.find("Content-Length") == std::string::npos || request_.ends_with('}');
  }

  int listener_;
  std::uint16_t port_ = 0;
  std::string request_;
  std::jthread thread_;
};

Deadline soon() {
  return deadline_in(std::chrono::seconds{20});
}

TEST(HttpClient, SendsOneRequestAndReadsItsAnswer) {
  OneAnswer server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: a/b\r\n\r\n{}");
  HttpSend send{.method = "POST", .target = "/v1/x?y=1", .body = "{\"a\":1}", .headers = {}};
  send.headers.emplace_back("Authorization", "Bearer t");
  const auto answer = HttpClient(server.endpoint()).send(send, soon());
  ASSERT_TRUE(answer.has_value()) << answer.error().message;
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "{}");
  EXPECT_EQ(answer->content_type, "a/b");
  EXPECT_TRUE(server.request().starts_with("POST /v1/x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:"));
  EXPECT_NE(server.request().find("\r\nAuthorization: Bearer t\r\n"), std::string::npos);
  EXPECT_TRUE(server.request().ends_with("\r\n\r\n{\"a\":1}"));
}

TEST(HttpClient, ReadsChunksAndBodiesThatEndWithTheConnection) {
  OneAnswer chunked(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_EQ(HttpClient(chunked.endpoint()).send({}, soon())->body, "abcde");
  OneAnswer until_end("HTTP/1.1 200 OK\r\n\r\nall of it");
  EXPECT_EQ(HttpClient(until_end.endpoint()).send({}, soon())->body, "all of it");
}

TEST(HttpClient, SaysWhenTheAnswerIsCutShortOrNoHttp) {
  OneAnswer cut("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(HttpClient(cut.endpoint()).send({}, soon()).error().code, ErrorCode::unavailable);
  OneAnswer other("220 mail.example.org ESMTP\r\n");
  const auto answer = HttpClient(other.endpoint()).send({}, soon());
  ASSERT_FALSE(answer.has_value());
  EXPECT_NE(answer.error().message.find("does not speak HTTP"), std::string::npos);
}

TEST(HttpClient, GivesUpAtItsDeadline) {
  OneAnswer silent("", [](int fd) {
    std::array<char, 16> block;
    while (::recv(fd, block.data(), block.size(), 0) > 0) {
    }
  });
  const auto answer =
      HttpClient(silent.endpoint()).send({}, deadline_in(std::chrono::milliseconds{30}));
  EXPECT_EQ(answer.error().code, ErrorCode::timeout);
}

TEST(HttpClient, HandsOverAnUpgradedConnectionWithWhatCameEarly) {
  OneAnswer server(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: gavel-stdio\r\n"
      "Gavel-Session: s1\r\n\r\nearly",
      [](int fd) { (void)!::send(fd, "later", 5, MSG_NOSIGNAL); });
  auto upgraded = HttpClient(server.endpoint()).upgrade({}, "gavel-stdio", soon());
  ASSERT_TRUE(upgraded.has_value()) << upgraded.error().message;
  ASSERT_TRUE(upgraded->second.has_value());
  EXPECT_EQ(upgraded->second->session, "s1");
  std::string bytes = upgraded->second->leftovers;
  std::array<char, 64> block;
  while (bytes.size() < 10) {
    const auto n = upgraded->second->socket.read_some(block, soon());
    ASSERT_TRUE(n.has_value() && *n > 0);
    bytes.append(block.data(), *n);
  }
  EXPECT_EQ(bytes, "earlylater");
}

TEST(HttpClient, GivesTheAnswerThatCameInsteadOfAnUpgrade) {
  OneAnswer server("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
  const auto upgraded = HttpClient(server.endpoint()).upgrade({}, "gavel-stdio", soon());
  ASSERT_TRUE(upgraded.has_value());
  EXPECT_FALSE(upgraded->second.has_value());
  EXPECT_EQ(upgraded->first.status, 403);
  EXPECT_EQ(upgraded->first.body, "no");
}

TEST(Client, GivesTheDaemonsErrorAsItWas) {
  const std::string body = R"({"error":{"code":"stale_epoch","message":"epoch 2 was elected"}})";
  OneAnswer server("HTTP/1.1 409 Conflict\r\nContent-Length: " + std::to_string(body.size()) +
                   "\r\n\r\n" + body);
  const auto client = Client::make({server.url()}, "t").value();
  const auto answer = client.get("/v1/x");
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error(), (Error{ErrorCode::stale_epoch, "epoch 2 was elected"}));
}

TEST(Client, MakesAnErrorOfAStatusWithoutOne) {
  EXPECT_EQ(error_of({.status = 503, .body = "busy"}).code, ErrorCode::busy);
  EXPECT_EQ(error_of({.status = 507}).code, ErrorCode::storage_failed);
  EXPECT_EQ(error_of({.status = 418}).code, ErrorCode::internal);
}

TEST(Client, FollowsEventsToTheEndOfTheStream) {
  OneAnswer server(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
      ": hello\n\nid: 4\ndata: {\"a\":1}\n\nid: 5\ndata: x\ndata: y\n\n");
  const auto client = Client::make({server.url()}, "t").value();
  auto stream = client.events("/v1/watch", "3");
  ASSERT_TRUE(stream.has_value()) << stream.error().message;
  auto first = stream->next(soon());
  ASSERT_TRUE(first.has_value() && first->has_value());
  EXPECT_EQ((*first)->id, "4");
  EXPECT_EQ((*first)->data, "{\"a\":1}");
  EXPECT_EQ((*stream->next(soon()))->data, "x\ny");
  EXPECT_EQ(stream->next(soon()).value().has_value(), false);
  EXPECT_NE(server.request().find("\r\nLast-Event-ID: 3\r\n"), std::string::npos);
}

TEST(Client, TurnsAnErrorEventIntoAnError) {
  OneAnswer server(
      "HTTP/1.1 200 OK\r\n\r\nevent: error\ndata: "
      "{\"error\":{\"code\":\"not_found\",\"message\":\"trimmed\"}}\n\n");
  const auto client = Client::make({server.url()}, "t").value();
  auto stream = client.events("/v1/watch", "");
  ASSERT_TRUE(stream.has_value());
  EXPECT_EQ(stream->next(soon()).error(), (Error{ErrorCode::not_found, "trimmed"}));
}

TEST(Endpoint, UnderstandsNamesAndBothAddressFamilies) {
  EXPECT_EQ(parse_endpoint("http://127.0.0.1:7420/")->port, 7420);
  EXPECT_EQ(parse_endpoint("http://[::1]:80")->host, "::1");
  EXPECT_EQ(parse_endpoint("http://localhost")->authority, "localhost");
  EXPECT_FALSE(parse_endpoint("http://localhost")->tls);
  EXPECT_TRUE(parse_endpoint("https://localhost")->tls);
  EXPECT_EQ(parse_endpoint("https://localhost")->port, 443);
  EXPECT_EQ(parse_endpoint("https://localhost:7420/")->port, 7420);
}

}  // namespace
}  // namespace gavel

#include "cli/http_client.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <charconv>

namespace gavel {
namespace {

namespace http = boost::beast::http;
using Parser = http::response_parser<http::string_body>;

std::unexpected<Error> bad_answer(const boost::system::error_code& error) {
  if (error == http::error::body_limit) {
    return fail(ErrorCode::too_large, "the answer is too large; ask for less with --limit");
  }
  return fail(ErrorCode::unavailable,
              fmt::format("what answers there does not speak HTTP as Gavel does ({}); check --url",
                          error.message()));
}

// Reads from a socket into a parser, keeping what the parser did not take.
class Reader {
public:
  Reader(Socket socket, bool eager) : socket_(std::move(socket)) {
    parser_.eager(eager);
    parser_.body_limit(kAnswerBytesMax);
  }

  Parser& parser() { return parser_; }
  bool header_done() const { return parser_.is_header_done(); }
  bool done() const { return parser_.is_done(); }

  // Gives the parser what is buffered, and reads more where that is not enough to get further.
  Status advance(Deadline deadline) {
    if (!buffer_.empty()) {
      boost::system::error_code error;
      const auto taken = parser_.put(boost::asio::buffer(buffer_), error);
      buffer_.erase(0, taken);
      if (error && error != http::error::need_more) return bad_answer(error);
      if (taken > 0) return {};
    }
    std::array<char, 16u << 10> bytes;  // NOLINT: filled by the read
    ASSIGN_OR_RETURN(const auto size, socket_.read_some(bytes, deadline));
    if (size > 0) {
      buffer_.append(bytes.data(), size);
      return {};
    }
    boost::system::error_code error;
    parser_.put_eof(error);
    if (error) {
      return fail(ErrorCode::unavailable,
                  "the daemon closed the connection before it had answered");
    }
    return {};
  }

  Status read_head(Deadline deadline) {
    while (!header_done()) TRY(advance(deadline));
    return {};
  }

  Status read_all(Deadline deadline) {
    while (!done()) TRY(advance(deadline));
    return {};
  }

  HttpAnswer answer() {
    const auto& message = parser_.get();
    const auto header = [&](std::string_view name) {
      const auto value = message[boost::beast::string_view(name.data(), name.size())];
      return std::string(value.data(), value.size());
    };
    return {static_cast<int>(message.result_int()), header("Content-Type"), header("Gavel-Session"),
            std::exchange(parser_.get().body(), {})};
  }

  Socket take_socket() { return std::move(socket_); }
  std::string take_leftovers() { return std::exchange(buffer_, {}); }

private:
  Socket socket_;
  Parser parser_;
  std::string buffer_;
};

class Stream final : public HttpStream {
public:
  explicit Stream(std::unique_ptr<Reader> reader) : reader_(std::move(reader)) {
    reader_->parser().body_limit(boost::none);
  }

  Result<std::optional<std::string>> next(Deadline deadline) override {
    for (;;) {
      auto& body = reader_->parser().get().body();
      if (!body.empty()) return std::exchange(body, {});
      if (reader_->done()) return std::nullopt;
      TRY(reader_->advance(deadline));
    }
  }

private:
  std::unique_ptr<Reader> reader_;
};

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view url) {
  const auto bad = [&](std::string_view why) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("\"{}\" is not the URL of a daemon: {}; write it like "
                            "http://127.0.0.1:7420",
                            url, why));
  };
  constexpr std::string_view kPlain = "http://";
  constexpr std::string_view kSecure = "https://";
  Endpoint endpoint;
  endpoint.tls = url.starts_with(kSecure);
  if (endpoint.tls) endpoint.port = 443;
  if (!endpoint.tls && !url.starts_with(kPlain)) {
    return bad("it begins with neither http:// nor https://");
  }
  auto rest = url.substr(endpoint.tls ? kSecure.size() : kPlain.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.find_first_of("/?#@ \r\n\t") != std::string_view::npos) return bad("it has a path");
  endpoint.authority = rest;
  std::string_view port;
  if (rest.starts_with('[')) {
    const auto end = rest.find(']');
    if (end == std::string_view::npos) return bad("\"[\" without \"]\"");
    endpoint.host = rest.substr(1, end - 1);
    port = rest.substr(end + 1);
  } else {
    const auto colon = rest.find(':');
    endpoint.host = rest.substr(0, colon);
    port = colon == std::string_view::npos ? std::string_view{} : rest.substr(colon);
  }
  if (endpoint.host.empty()) return bad("it has no host");
  if (!port.empty()) {
    const auto [stop, error] =
        std::from_chars(port.data() + 1, port.data() + port.size(), endpoint.port);
    if (port.front() != ':' || error != std::errc{} || stop != port.data() + port.size()) {
      return bad("its port is not a number from 1 to 65535");
    }
  }
  return endpoint;
}

Result<Socket> HttpClient::begin(const HttpSend& request, std::string_view upgrade_to,
                                 Deadline deadline) const {
  ASSIGN_OR_RETURN(auto socket, Socket::connect(endpoint_.host, endpoint_.port, deadline));
  if (endpoint_.tls) TRY(socket.secure(endpoint_.host, endpoint_.trust, deadline));
  std::string head = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: gavel\r\n",
                                 request.method, request.target, endpoint_.authority);
  for (const auto& [name, value] : request.headers) head += fmt::format("{}: {}\r\n", name, value);
  if (upgrade_to.empty()) {
    head += "Connection: close\r\n";
  } else {
    head += fmt::format("Connection: Upgrade\r\nUpgrade: {}\r\n", upgrade_to);
  }
  if (!request.body.empty()) head += "Content-Type: application/json\r\n";
  if (!request.body.empty() || request.method != "GET") {
    head += fmt::format("Content-Length: {}\r\n", request.body.size());
  }
  head += "\r\n";
  TRY(socket.write_all(head, deadline));
  TRY(socket.write_all(request.body, deadline));
  return socket;
}

Result<HttpAnswer> HttpClient::send(const HttpSend& request, Deadline deadline) const {
  ASSIGN_OR_RETURN(auto socket, begin(request, {}, deadline));
  Reader reader(std::move(socket), true);
  TRY(reader.read_all(deadline));
  return reader.answer();
}

Result<HttpClient::Opened> HttpClient::open_stream(const HttpSend& request,
                                                   Deadline deadline) const {
  ASSIGN_OR_RETURN(auto socket, begin(request, {}, deadline));
  auto reader = std::make_unique<Reader>(std::move(socket), true);
  TRY(reader->read_head(deadline));
  if (reader->parser().get().result_int() != 200) {
    TRY(reader->read_all(deadline));
    return Opened{reader->answer(), nullptr};
  }
  HttpAnswer head{.status = 200};
  return Opened{std::move(head), std::make_unique<Stream>(std::move(reader))};
}

Result<HttpClient::Upgraded> HttpClient::upgrade(const HttpSend& request, std::string_view protocol,
                                                 Deadline deadline) const {
  ASSIGN_OR_RETURN(auto socket, begin(request, protocol, deadline));
  Reader reader(std::move(socket), false);
  TRY(reader.read_head(deadline));
  if (reader.parser().get().result_int() != 101) {
    reader.parser().eager(true);
    TRY(reader.read_all(deadline));
    return Upgraded{reader.answer(), std::nullopt};
  }
  auto answer = reader.answer();
  HttpUpgraded upgraded{reader.take_socket(), answer.session, reader.take_leftovers()};
  return Upgraded{std::move(answer), std::move(upgraded)};
}

}  // namespace gavel

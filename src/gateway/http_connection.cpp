#include "gateway/http_connection.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <tuple>

#include "base/json.hpp"
#include "base/text.hpp"

namespace gavel {

namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

constexpr std::size_t kReadChunk = 16u << 10;
constexpr std::size_t kBufferMax = 128u << 10;
// After an answer to bad input, so much is read and dropped before the close, that a client which
// is still sending gets to see the answer.
constexpr std::size_t kLingerBytes = 4u << 20;
constexpr std::chrono::seconds kLinger{2};

std::string_view to_view(boost::beast::string_view s) {
  return {s.data(), s.size()};
}

HttpResponse error_response(int status, std::string_view code, std::string message) {
  HttpResponse response;
  response.status = status;
  response.body =
      write_json(json::object{{"error", json::object{{"code", code}, {"message", message}}}});
  return response;
}

HttpResponse answer_to(const error_code& error, const HttpServerOptions& options) {
  if (error == http::error::header_limit) {
    return error_response(431, "too_large",
                          fmt::format("the request's head is over {} bytes; send fewer or shorter "
                                      "headers",
                                      options.header_bytes_max));
  }
  if (error == http::error::body_limit) {
    return error_response(413, "too_large",
                          fmt::format("the request's body is over {} bytes; send less at once",
                                      options.body_bytes_max));
  }
  return error_response(400, "invalid_argument",
                        fmt::format("this is not HTTP/1.1: {}", error.message()));
}

}  // namespace

HttpConnection::HttpConnection(Socket socket, std::shared_ptr<Shared> shared)
    : socket_(std::move(socket)), shared_(std::move(shared)), buffer_(kBufferMax) {
  const auto& options = shared_->options;
  deadline_ = std::chrono::steady_clock::now() +
              (shared_->tls ? options.read_timeout : options.idle_timeout);
  if (!shared_->tls) return;
  tls_ = std::make_unique<Tls>(socket_, *shared_->tls);
  stage_ = Stage::greeting;
  request_.scheme = "https";
}

asio::awaitable<void> HttpConnection::run(std::shared_ptr<HttpConnection> self) {
  // A wait that was cut returns an error code, or throws once; later waits run.
  co_await asio::this_coro::throw_if_cancelled(false);
  if (!self->tls_) {
    co_await self->serve_requests();
  } else if (const bool greeted = co_await self->greet(); greeted) {
    co_await self->serve_requests();
    co_await self->say_goodbye();
  }
  self->close();
}

asio::awaitable<void> HttpConnection::serve_requests() {
  while (!gone_ && keep_alive_ && socket_.is_open()) {
    Parser parser;
    set_limits(parser, shared_->options);
    const Read read = co_await read_request(parser);
    if (read != Read::complete) break;
    co_await handle();
    stop_watching();
    if (shared_->stopping) break;
  }
}

asio::awaitable<bool> HttpConnection::greet() {
  const auto [error] = co_await tls_->stream.async_handshake(asio::ssl::stream_base::server,
                                                             asio::as_tuple(asio::use_awaitable));
  co_return !error && !gone_;
}

// Tells a TLS client that nothing was cut off. Its own goodbye is not waited for.
asio::awaitable<void> HttpConnection::say_goodbye() {
  auto* const tls = tls_->stream.native_handle();
  if (gone_ || !socket_.is_open() || (::SSL_get_shutdown(tls) & SSL_SENT_SHUTDOWN) != 0) co_return;
  deadline_ = std::chrono::steady_clock::now() + kLinger;
  ::SSL_set_shutdown(tls, SSL_RECEIVED_SHUTDOWN);
  co_await tls_->stream.async_shutdown(asio::as_tuple(asio::use_awaitable));
}

void HttpConnection::read_ahead() {
  if (tls_->reading || tls_->ended || tls_->taken < tls_->size) return;
  tls_->reading = true;
  tls_->came.expires_at(SteadyTime::max());
  tls_->stream.async_read_some(
      asio::buffer(tls_->ahead),
      [self = shared_from_this()](const error_code& error, std::size_t bytes) {
        self->on_read_ahead(bytes, error.failed());
      });
}

void HttpConnection::on_read_ahead(std::size_t size, bool ended) {
  tls_->reading = false;
  tls_->size = size;
  tls_->taken = 0;
  tls_->ended = ended;
  tls_->came.cancel();
  // Of a client that pipelines, the end shows at the next write.
  if (watching_ && ended) on_gone();
}

// At least one byte; 0 at the end, or where the wait was cut.
asio::awaitable<std::size_t> HttpConnection::read_tls(asio::mutable_buffer into) {
  read_ahead();
  if (tls_->reading) co_await tls_->came.async_wait(asio::as_tuple(asio::use_awaitable));
  if (tls_->reading) co_return 0;
  const auto bytes = asio::buffer_copy(
      into, asio::buffer(tls_->ahead.data() + tls_->taken, tls_->size - tls_->taken));
  tls_->taken += bytes;
  co_return bytes;
}

asio::awaitable<error_code> HttpConnection::write_tls(std::string_view head,
                                                      std::string_view body) {
  std::array<asio::const_buffer, 2> parts{asio::buffer(head), asio::buffer(body)};
  // Each buffer would become a record and a packet of its own.
  if (!body.empty() && head.size() + body.size() <= tls_->ahead.size()) {
    tls_->record.assign(head).append(body);
    parts = {asio::buffer(tls_->record), asio::const_buffer{}};
  }
  const auto [error, bytes] =
      co_await asio::async_write(tls_->stream, parts, asio::as_tuple(asio::use_awaitable));
  co_return error;
}

asio::awaitable<bool> HttpConnection::read_more(std::size_t want) {
  const auto space = buffer_.prepare(std::min(want, kBufferMax - buffer_.size()));
  if (tls_) {
    const auto bytes = co_await read_tls(space);
    buffer_.commit(bytes);
    co_return bytes > 0;
  }
  auto [error, bytes] =
      co_await socket_.async_read_some(space, asio::as_tuple(asio::use_awaitable));
  if (error) co_return false;
  buffer_.commit(bytes);
  co_return true;
}

asio::awaitable<HttpConnection::Read> HttpConnection::read_request(Parser& parser) {
  stage_ = Stage::idle;
  answered_ = false;
  // Its views were of the request before.
  request_.method = request_.path = request_.query = {};
  request_.headers.clear();
  refusal_.reset();
  const auto& options = shared_->options;
  deadline_ = std::chrono::steady_clock::now() + options.idle_timeout;
  bool head_seen = false;
  for (;;) {
    while (!parser.is_done() && can_parse(parser, buffer_.size())) {
      if (stage_ == Stage::idle) {
        stage_ = Stage::reading;
        deadline_ = std::chrono::steady_clock::now() + options.read_timeout;
      }
      error_code error;
      const auto used = parser.put(buffer_.data(), error);
      buffer_.consume(used);
      if (error && error != http::error::need_more) {
        co_await refuse(answer_to(error, options));
        co_return Read::refused;
      }
      if (parser.is_header_done() && !head_seen) {
        head_seen = true;
        parser.eager(true);
        fill_request(parser);
        const auto sound =
            check_head(request_, http10_ ? HttpVersion::http10 : HttpVersion::http11);
        if (!sound) {
          co_await refuse(error_response(400, "invalid_argument", sound.error().message));
          co_return Read::refused;
        }
        co_await on_head(parser);
        // Of a refused request a small body is read nevertheless, so that the connection survives.
        if (refusal_ && !parser.is_done() &&
            parser.content_length_remaining().value_or(kBufferMax) > kReadChunk) {
          co_await refuse(std::move(*refusal_));
          co_return Read::refused;
        }
      }
      if (error == http::error::need_more || used == 0) break;
    }
    if (parser.is_done()) break;
    if (buffer_.size() > options.header_bytes_max && !parser.is_header_done()) {
      co_await refuse(answer_to(http::error::header_limit, options));
      co_return Read::refused;
    }
    const auto left = parser.is_header_done() ? parser.content_length_remaining().value_or(0) : 0;
    const auto want = std::clamp<std::uint64_t>(left, kReadChunk, kBufferMax / 2);
    const bool more = co_await read_more(static_cast<std::size_t>(want));
    if (!more) co_return Read::ended;
  }
  stage_ = Stage::handling;
  deadline_ = SteadyTime::max();
  request_.body = std::move(parser.get().body());
  co_return Read::complete;
}

// Looks at the head before the body is read.
asio::awaitable<void> HttpConnection::on_head(Parser& parser) {
  if (shared_->admission) refusal_ = shared_->admission(request_);
  if (refusal_ || parser.is_done()) co_return;
  const auto expect = request_.header("Expect");
  if (!expect || !equal_ignoring_case(*expect, "100-continue")) co_return;
  const auto read_deadline = deadline_;
  co_await send("HTTP/1.1 100 Continue\r\n\r\n", {});
  deadline_ = read_deadline;
}

void HttpConnection::fill_request(Parser& parser) {
  read_head(parser, request_);
  const auto& message = parser.get();
  keep_alive_ = message.keep_alive();
  http10_ = message.version() < 11;
  head_only_ = message.method() == http::verb::head;
}

asio::awaitable<void> HttpConnection::handle() {
  const auto started = std::chrono::steady_clock::now();
  std::string failure;
  try {
    if (refusal_) {
      co_await respond(std::move(*refusal_));
    } else {
      co_await shared_->handler(*this);
    }
  } catch (const std::exception& error) {
    failure = error.what();
  }
  if (!answered_ && !gone_) {
    keep_alive_ = false;
    co_await respond(error_response(
        500, "internal",
        failure.empty() ? "the request was not answered; this is a bug"
                        : fmt::format("an unexpected failure: {}", for_display(failure, 500))));
  } else if (!failure.empty()) {
    keep_alive_ = false;
  }
  if (stage_ == Stage::streaming || stage_ == Stage::raw) keep_alive_ = false;
  if (shared_->options.on_request) {
    const auto took = std::chrono::steady_clock::now() - started;
    shared_->options.on_request(
        RequestLog{.method = request_.method,
                   .path = request_.path,
                   .status = status_,
                   .took = std::chrono::duration_cast<std::chrono::microseconds>(took)});
  }
}

asio::awaitable<void> HttpConnection::refuse(HttpResponse response) {
  keep_alive_ = false;
  stage_ = Stage::handling;
  const bool sent = co_await respond(std::move(response));
  if (shared_->options.on_request) {
    shared_->options.on_request(RequestLog{
        .method = request_.method, .path = request_.path, .status = status_, .took = {}});
  }
  if (sent) co_await linger();
}

asio::awaitable<void> HttpConnection::linger() {
  if (tls_) co_await say_goodbye();
  error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  deadline_ = std::chrono::steady_clock::now() + kLinger;
  std::size_t dropped = 0;
  buffer_.clear();
  // Of a TLS client too: what is dropped need not be decrypted.
  while (dropped < kLingerBytes) {
    const auto [error, bytes] = co_await socket_.async_read_some(
        buffer_.prepare(kBufferMax / 2), asio::as_tuple(asio::use_awaitable));
    if (error) co_return;
    dropped += bytes;
  }
}

void HttpConnection::write_head(const HttpResponse& response, std::string_view framing) {
  status_ = response.status;
  answered_ = true;
  head_.clear();
  const auto reason = http::obsolete_reason(static_cast<http::status>(response.status));
  fmt::format_to(std::back_inserter(head_), "HTTP/1.1 {} {}\r\n", response.status, to_view(reason));
  head_ += "Date: ";
  head_ += shared_->date;
  head_ += "\r\n";
  if (!response.content_type.empty()) {
    head_ += "Content-Type: ";
    head_ += response.content_type;
    head_ += "\r\n";
  }
  for (const auto& [name, value] : response.headers) {
    head_ += name;
    head_ += ": ";
    head_ += value;
    head_ += "\r\n";
  }
  head_ += framing;
  if (!keep_alive_ && response.status != 101)
    head_ += "Connection: close\r\n";
  else if (http10_ && response.status != 101)
    head_ += "Connection: keep-alive\r\n";
  head_ += "\r\n";
}

asio::awaitable<bool> HttpConnection::send(std::string_view head, std::string_view body) {
  if (gone_) co_return false;
  deadline_ = std::chrono::steady_clock::now() + shared_->options.write_timeout;
  sending_ = true;
  error_code error;
  if (tls_) {
    error = co_await write_tls(head, body);
  } else {
    const std::array<asio::const_buffer, 2> parts{asio::buffer(head), asio::buffer(body)};
    std::tie(error, std::ignore) =
        co_await asio::async_write(socket_, parts, asio::as_tuple(asio::use_awaitable));
  }
  sending_ = false;
  deadline_ = SteadyTime::max();
  if (error) {
    gone_ = true;
    keep_alive_ = false;
  }
  co_return !error;
}

asio::awaitable<bool> HttpConnection::respond(HttpResponse response) {
  const bool bodiless = response.status == 204 || response.status == 304;
  if (shared_->stopping) keep_alive_ = false;
  write_head(response, bodiless ? std::string{}
                                : fmt::format("Content-Length: {}\r\n", response.body.size()));
  stop_watching();
  co_return co_await send(head_, head_only_ || bodiless ? std::string_view{} : response.body);
}

asio::awaitable<bool> HttpConnection::begin_stream(HttpResponse head) {
  if (http10_) keep_alive_ = false;
  write_head(head, http10_ ? "" : "Transfer-Encoding: chunked\r\n");
  stage_ = Stage::streaming;
  co_return co_await send(head_, {});
}

asio::awaitable<bool> HttpConnection::write(std::string bytes) {
  if (bytes.empty()) co_return !gone_;
  if (stage_ == Stage::streaming && !http10_) co_return co_await send_chunk(std::move(bytes), {});
  co_return co_await send(bytes, {});
}

asio::awaitable<bool> HttpConnection::end_stream(std::string last) {
  stop_watching();
  stage_ = Stage::handling;
  if (!http10_) co_return co_await send_chunk(std::move(last), "0\r\n\r\n");
  if (last.empty()) co_return !gone_;
  co_return co_await send(last, {});
}

asio::awaitable<bool> HttpConnection::send_chunk(std::string bytes, std::string_view after) {
  if (bytes.empty()) co_return co_await send(after, {});
  const auto size = fmt::format("{:x}\r\n", bytes.size());
  bytes += "\r\n";
  bytes += after;
  co_return co_await send(size, bytes);
}

asio::awaitable<bool> HttpConnection::upgrade(HttpResponse head) {
  head.status = 101;
  head.content_type.clear();
  write_head(head, {});
  stage_ = Stage::raw;
  co_return co_await send(head_, {});
}

asio::awaitable<std::size_t> HttpConnection::read_some(std::span<char> into) {
  if (stage_ != Stage::raw || gone_) co_return 0;
  if (buffer_.size() > 0) {
    const auto bytes = asio::buffer_copy(asio::buffer(into.data(), into.size()), buffer_.data());
    buffer_.consume(bytes);
    co_return bytes;
  }
  if (tls_) co_return co_await read_tls(asio::buffer(into.data(), into.size()));
  auto [error, bytes] = co_await socket_.async_read_some(asio::buffer(into.data(), into.size()),
                                                         asio::as_tuple(asio::use_awaitable));
  co_return error ? 0 : bytes;
}

void HttpConnection::cancel_when_ended() {
  if (watching_ || gone_ || stage_ == Stage::raw) return;
  watching_ = true;
  const auto generation = ++watch_generation_;
  auto self = shared_from_this();
  if (tls_) {
    read_ahead();
    if (!tls_->ended) return;
    // It had ended before: told from outside, as the handler does not wait yet.
    asio::post(socket_.get_executor(), [self, generation] {
      if (generation == self->watch_generation_ && self->watching_) self->on_gone();
    });
    return;
  }
  socket_.async_wait(
      Socket::wait_read,
      asio::bind_cancellation_slot(watch_signal_.slot(), [self, generation](error_code error) {
        self->on_readable(error, generation);
      }));
}

// Readable while a request is being handled: the client closed, or pipelines its next request.
void HttpConnection::on_readable(const error_code& error, std::uint64_t generation) {
  if (generation != watch_generation_ || !watching_) return;
  if (!error) {
    char byte = 0;
    const auto bytes = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    // Of a client that pipelines, the end shows at the next write.
    if (bytes > 0) return;
    if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) {
      watching_ = false;
      cancel_when_ended();
      return;
    }
  }
  on_gone();
}

void HttpConnection::on_gone() {
  gone_ = true;
  keep_alive_ = false;
  end_wait();
}

// A write is never cut, as half a message would go out; the handler asks ended() after it.
void HttpConnection::end_wait() {
  if (!sending_) end_signal_.emit(asio::cancellation_type::terminal);
}

void HttpConnection::stop_watching() {
  if (!watching_) return;
  watching_ = false;
  ++watch_generation_;
  watch_signal_.emit(asio::cancellation_type::terminal);
}

void HttpConnection::close_if_late(SteadyTime now) {
  if (now >= deadline_) abort();
}

void HttpConnection::abort() {
  if (stage_ == Stage::closed) return;
  gone_ = true;
  close();
  end_wait();
}

void HttpConnection::stop_soon() {
  if (stage_ == Stage::greeting || (stage_ == Stage::idle && !tls_)) {
    close();
  } else if (stage_ == Stage::idle || watching_ || stage_ == Stage::raw) {
    end_wait();
  }
}

void HttpConnection::close() {
  stop_watching();
  stage_ = Stage::closed;
  error_code ignored;
  socket_.shutdown(Socket::shutdown_both, ignored);
  socket_.close(ignored);
}

}  // namespace gavel

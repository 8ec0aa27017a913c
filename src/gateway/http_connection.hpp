#pragma once
// One client connection of the HTTP server (gateway/http_server.hpp), private to it. It owns its
// socket and reads and answers one request after another; over TLS, greeting comes before:
//
//   idle ──first byte──► reading ──whole──► handling ──answered──► idle
//     │                     │                  ├─ begin_stream ─► streaming ─► idle
//     └── deadline, end ────┴── bad: answer ───┴─ upgrade ──────► raw ───────► closed

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "gateway/http_head.hpp"
#include "gateway/http_server.hpp"

namespace gavel {

class HttpConnection final : public HttpExchange,
                             public std::enable_shared_from_this<HttpConnection> {
public:
  using Socket = asio::ip::tcp::socket;
  using SteadyTime = std::chrono::steady_clock::time_point;

  // What all connections of a server share; outlives them.
  struct Shared {
    HttpServerOptions options;
    HttpAdmission admission;
    HttpHandler handler;
    std::shared_ptr<asio::ssl::context> tls = {};  // null: plain text
    bool stopping = false;
    std::string date;  // "Sat, 21 Nov 2026 04:43:00 GMT"
  };

  HttpConnection(Socket socket, std::shared_ptr<Shared> shared);

  // Serves until the connection ends. Spawn it with `cancellation()`.
  static asio::awaitable<void> run(std::shared_ptr<HttpConnection> self);
  asio::cancellation_slot cancellation() { return end_signal_.slot(); }

  // Called by the server's sweep and stop.
  void close_if_late(SteadyTime now);
  void stop_soon();
  // Closes at once; a handler that waits learns that its client is gone.
  void abort();
  void close();

  // --- HttpExchange ---
  HttpRequest& request() override { return request_; }
  asio::awaitable<bool> respond(HttpResponse response) override;
  asio::awaitable<bool> begin_stream(HttpResponse head) override;
  asio::awaitable<bool> write(std::string bytes) override;
  asio::awaitable<bool> end_stream(std::string last) override;
  asio::awaitable<bool> upgrade(HttpResponse head) override;
  asio::awaitable<std::size_t> read_some(std::span<char> into) override;
  void cancel_when_ended() override;
  bool client_gone() const override { return gone_; }
  bool server_stopping() const override { return shared_->stopping; }

private:
  using Parser = HttpParser;
  enum class Stage { greeting, idle, reading, handling, streaming, raw, closed };
  enum class Read { complete, ended, refused };

  // The TLS side. It reads ahead, one read at a time that nothing cuts short: whether a client has
  // gone shows only in what is decrypted, and a read that was given up could lose bytes.
  struct Tls {
    Tls(Socket& socket, asio::ssl::context& context)
        : stream(socket, context), came(socket.get_executor()) {}
    asio::ssl::stream<Socket&> stream;
    std::array<char, 16u << 10> ahead;  // NOLINT: filled by reads
    std::size_t size = 0;               // bytes in `ahead`
    std::size_t taken = 0;              // those of them that were used
    bool reading = false;
    bool ended = false;
    asio::steady_timer came;  // cancelled when a read is done
    std::string record;       // a short answer, put together
  };

  asio::awaitable<bool> greet();
  asio::awaitable<void> say_goodbye();
  void read_ahead();
  void on_read_ahead(std::size_t size, bool ended);
  asio::awaitable<std::size_t> read_tls(asio::mutable_buffer into);
  asio::awaitable<boost::system::error_code> write_tls(std::string_view head,
                                                       std::string_view body);
  asio::awaitable<void> serve_requests();
  asio::awaitable<Read> read_request(Parser& parser);
  asio::awaitable<void> on_head(Parser& parser);
  void fill_request(Parser& parser);
  asio::awaitable<void> handle();
  asio::awaitable<void> refuse(HttpResponse response);
  asio::awaitable<bool> read_more(std::size_t want);
  asio::awaitable<bool> send(std::string_view head, std::string_view body);
  asio::awaitable<bool> send_chunk(std::string bytes, std::string_view after);
  asio::awaitable<void> linger();
  void write_head(const HttpResponse& response, std::string_view framing);
  void on_readable(const boost::system::error_code& error, std::uint64_t generation);
  void on_gone();
  void end_wait();
  void stop_watching();

  Socket socket_;
  std::shared_ptr<Shared> shared_;
  std::unique_ptr<Tls> tls_;  // null: plain text
  boost::beast::flat_buffer buffer_;
  HttpRequest request_;
  std::string head_;  // reused for every response

  Stage stage_ = Stage::idle;
  SteadyTime deadline_;  // when close_if_late closes; max(): never
  bool keep_alive_ = true;
  bool http10_ = false;
  bool head_only_ = false;
  bool gone_ = false;
  bool answered_ = false;
  bool sending_ = false;
  std::optional<HttpResponse> refusal_;  // what admission said of the request being read
  int status_ = 0;

  asio::cancellation_signal end_signal_;    // cuts the handler's current wait
  asio::cancellation_signal watch_signal_;  // ends the watch for the client's end
  bool watching_ = false;
  std::uint64_t watch_generation_ = 0;
};

}  // namespace gavel

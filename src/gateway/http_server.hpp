#pragma once
// The HTTP/1.1 server: it accepts connections on loopback, or over TLS on any address, reads
// requests whole within limits, gives each to one handler, and writes what the handler answers. One
// coroutine per connection; requests that are pipelined are answered in order. Deadlines are kept
// by one sweep over all connections, so that a request costs no timer.
//
// Bad input is answered (400, 408, 413, 431) and ends its connection, as what follows on it cannot
// be trusted. Thread rule: everything runs on the executor that start() was given.

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "gateway/http_types.hpp"
#include "gateway/tls.hpp"

namespace gavel {

// What is told of each answered request. Never tokens, bodies or queries.
struct RequestLog {
  std::string_view method;
  std::string_view path;
  int status = 0;
  std::chrono::microseconds took{0};
};

struct HttpServerOptions {
  std::vector<std::string> listen = {"127.0.0.1:7420"};  // "HOST:PORT"; port 0 takes a free one
  std::optional<TlsFiles> tls = {};                      // without it, only loopback is listened on
  std::size_t header_bytes_max = 32u << 10;
  std::size_t body_bytes_max = 16u << 20;
  std::size_t connections_max = 4096;
  std::chrono::milliseconds idle_timeout{75'000};   // between requests
  std::chrono::milliseconds read_timeout{30'000};   // for TLS's handshake; for one request, from
                                                    // its first byte
  std::chrono::milliseconds write_timeout{30'000};  // for one write
  std::chrono::milliseconds drain_timeout{5'000};   // of stop()
  std::function<void(const RequestLog&)> on_request = {};
};

using HttpHandler = std::function<asio::awaitable<void>(HttpExchange&)>;
// Runs when the head was read and before the body is: an answer refuses the request.
using HttpAdmission = std::function<std::optional<HttpResponse>(const HttpRequest&)>;

class HttpServer {
public:
  // Listens and begins to accept. Beyond loopback there must be an admission, which authenticates.
  // Errors: invalid_argument (an address that does not parse, or is not loopback and there is no
  // TLS; files of TLS that cannot be used), already_exists (the port is in use; the message names
  // its holder where it can).
  static Result<std::unique_ptr<HttpServer>> start(asio::any_io_executor executor,
                                                   HttpServerOptions options,
                                                   HttpAdmission admission, HttpHandler handler);
  ~HttpServer();

  // "127.0.0.1:41327", with the real ports.
  const std::vector<std::string>& endpoints() const;
  std::size_t connections() const;

  // Accepts no more, ends idle connections and streams, lets running requests finish until the
  // drain timeout, then closes them.
  asio::awaitable<void> stop();

  class Impl;

private:
  explicit HttpServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

// "pid 4711 (gavel)" where /proc tells who listens on the port, or empty.
std::string port_holder(std::uint16_t port);

}  // namespace gavel

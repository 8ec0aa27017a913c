#include "gateway/http_server.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <ctime>
#include <exception>
#include <list>
#include <map>

#include "base/assert.hpp"
#include "gateway/http_connection.hpp"

namespace gavel {

using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr int kBacklog = 1024;
constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr std::chrono::milliseconds kDrainStep{20};
// For handlers to end after their connections were closed.
constexpr std::chrono::milliseconds kUnwind{2'000};

// The server's own loops end only with it: one that throws takes the process down by its executor.
void fail_loudly(const std::exception_ptr& failed) {
  if (failed) std::rethrow_exception(failed);
}

struct Listen {
  std::string text;
  tcp::endpoint endpoint;
};

Result<Listen> parse_listen(const std::string& text) {
  const auto colon = text.rfind(':');
  const auto malformed = [&] {
    return fail(ErrorCode::invalid_argument,
                fmt::format("cannot listen on \"{}\": write --listen HOST:PORT, such as "
                            "127.0.0.1:7420, [::1]:7420 or 127.0.0.1:0 for any free port",
                            text));
  };
  if (colon == std::string::npos) return malformed();
  std::string host = text.substr(0, colon);
  const std::string_view digits = std::string_view(text).substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (code != std::errc{} || end != digits.data() + digits.size()) return malformed();
  if (host == "localhost") host = "127.0.0.1";
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (error) return malformed();
  return Listen{text, tcp::endpoint(address, port)};
}

Status check_reach(const Listen& listen, const HttpServerOptions& options) {
  if (options.tls || listen.endpoint.address().is_loopback()) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("refusing to listen on {} without TLS: beyond loopback, set `daemon.tls` "
                          "(certificate and key) and `daemon.hosts` in the policy file, or listen "
                          "on 127.0.0.1 and put a TLS proxy or an ssh tunnel in front",
                          listen.text));
}

Result<tcp::acceptor> open_acceptor(const asio::any_io_executor& executor, const Listen& listen) {
  tcp::acceptor acceptor(executor);
  error_code error;
  acceptor.open(listen.endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(listen.endpoint, error);
  if (!error) acceptor.listen(kBacklog, error);
  if (!error) return acceptor;
  if (error != asio::error::address_in_use) {
    return fail(ErrorCode::unavailable,
                fmt::format("cannot listen on {}: {}", listen.text, error.message()));
  }
  const auto holder = port_holder(listen.endpoint.port());
  return fail(
      ErrorCode::already_exists,
      fmt::format("cannot listen on {}: the port is in use{}; if that is another gavel, use it or "
                  "stop it, else choose a port with --listen 127.0.0.1:PORT",
                  listen.text, holder.empty() ? std::string{} : " by " + holder));
}

// RFC 9110's format, by hand: strftime would follow the locale.
std::string http_date(std::time_t now) {
  static constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT",
                     kDays[static_cast<std::size_t>(parts.tm_wday)], parts.tm_mday,
                     kMonths[static_cast<std::size_t>(parts.tm_mon)], parts.tm_year + 1900,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace

class HttpServer::Impl : public std::enable_shared_from_this<HttpServer::Impl> {
public:
  Impl(asio::any_io_executor executor, HttpServerOptions options, HttpAdmission admission,
       HttpHandler handler)
      : executor_(std::move(executor)),
        shared_(std::make_shared<HttpConnection::Shared>()),
        sweep_timer_(executor_) {
    shared_->options = std::move(options);
    shared_->admission = std::move(admission);
    shared_->handler = std::move(handler);
    shared_->date = http_date(std::time(nullptr));
  }

  Status listen() {
    const auto& options = shared_->options;
    if (options.tls) {
      ASSIGN_OR_RETURN(shared_->tls, make_tls_context(*options.tls));
    }
    for (const auto& text : options.listen) {
      ASSIGN_OR_RETURN(const auto listen, parse_listen(text));
      TRY(check_reach(listen, options));
      ASSERT(shared_->admission || listen.endpoint.address().is_loopback());
      ASSIGN_OR_RETURN(auto acceptor, open_acceptor(executor_, listen));
      const auto local = acceptor.local_endpoint();
      endpoints_.push_back(local.address().is_v6()
                               ? fmt::format("[{}]:{}", local.address().to_string(), local.port())
                               : fmt::format("{}:{}", local.address().to_string(), local.port()));
      acceptors_.push_back(std::move(acceptor));
    }
    if (acceptors_.empty()) {
      return fail(ErrorCode::invalid_argument, "no address to listen on; pass --listen HOST:PORT");
    }
    return {};
  }

  void run() {
    for (auto& acceptor : acceptors_) {
      asio::co_spawn(executor_, accept_loop(shared_from_this(), &acceptor), fail_loudly);
    }
    asio::co_spawn(executor_, sweep_loop(shared_from_this()), fail_loudly);
  }

  void close() {
    shared_->stopping = true;
    error_code ignored;
    for (auto& acceptor : acceptors_) acceptor.close(ignored);
    sweep_timer_.cancel();
  }

  void close_connections() {
    const auto all = connections_;
    for (const auto& [number, connection] : all) connection->abort();
  }

  static asio::awaitable<void> stop(std::shared_ptr<Impl> self) {
    self->close();
    const auto all = self->connections_;
    for (const auto& [number, connection] : all) connection->stop_soon();
    co_await drain(self, self->shared_->options.drain_timeout);
    self->close_connections();
    co_await drain(self, kUnwind);
  }

  const std::vector<std::string>& endpoints() const { return endpoints_; }
  std::size_t connections() const { return connections_.size(); }

private:
  static asio::awaitable<void> drain(std::shared_ptr<Impl> self, std::chrono::milliseconds most) {
    const auto deadline = std::chrono::steady_clock::now() + most;
    asio::steady_timer timer(self->executor_);
    while (!self->connections_.empty() && std::chrono::steady_clock::now() < deadline) {
      timer.expires_after(kDrainStep);
      co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    }
  }

  // By the order in which they came.
  using Connections = std::map<std::uint64_t, std::shared_ptr<HttpConnection>>;

  static asio::awaitable<void> accept_loop(std::shared_ptr<Impl> self, tcp::acceptor* acceptor) {
    asio::steady_timer pause(self->executor_);
    while (!self->shared_->stopping) {
      auto [error, socket] = co_await acceptor->async_accept(asio::as_tuple(asio::use_awaitable));
      if (error == asio::error::operation_aborted || !acceptor->is_open()) co_return;
      if (error) {
        // Out of descriptors, most likely: some will be closed.
        pause.expires_after(kAcceptPause);
        co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
        continue;
      }
      self->serve(std::move(socket));
    }
  }

  void serve(tcp::socket socket) {
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    if (connections_.size() >= shared_->options.connections_max) {
      if (shared_->tls) return;  // nothing can be said before a handshake
      static constexpr std::string_view kFull =
          "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
          "Content-Length: 0\r\n\r\n";
      socket.non_blocking(true, ignored);
      socket.write_some(asio::buffer(kFull), ignored);
      return;
    }
    auto connection = std::make_shared<HttpConnection>(std::move(socket), shared_);
    const auto number = ++served_;
    connections_.emplace(number, connection);
    asio::co_spawn(
        executor_, HttpConnection::run(connection),
        asio::bind_cancellation_slot(connection->cancellation(), [self = shared_from_this(), number,
                                                                  connection](std::exception_ptr) {
          connection->close();
          self->connections_.erase(number);
        }));
  }

  // One timer for the deadlines of all connections.
  static asio::awaitable<void> sweep_loop(std::shared_ptr<Impl> self) {
    const auto& options = self->shared_->options;
    const auto shortest =
        std::min({options.idle_timeout, options.read_timeout, options.write_timeout});
    const auto step =
        std::clamp(shortest / 4, std::chrono::milliseconds{5}, std::chrono::milliseconds{1'000});
    while (!self->shared_->stopping) {
      self->sweep_timer_.expires_after(step);
      co_await self->sweep_timer_.async_wait(asio::as_tuple(asio::use_awaitable));
      self->shared_->date = http_date(std::time(nullptr));
      const auto now = std::chrono::steady_clock::now();
      for (const auto& [number, connection] : self->connections_) connection->close_if_late(now);
    }
  }

  asio::any_io_executor executor_;
  std::shared_ptr<HttpConnection::Shared> shared_;
  asio::steady_timer sweep_timer_;
  std::list<tcp::acceptor> acceptors_;
  std::vector<std::string> endpoints_;
  Connections connections_;
  std::uint64_t served_ = 0;
};

HttpServer::HttpServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() {
  impl_->close();
  impl_->close_connections();
}

Result<std::unique_ptr<HttpServer>> HttpServer::start(asio::any_io_executor executor,
                                                      HttpServerOptions options,
                                                      HttpAdmission admission,
                                                      HttpHandler handler) {
  auto impl = std::make_shared<Impl>(std::move(executor), std::move(options), std::move(admission),
                                     std::move(handler));
  TRY(impl->listen());
  impl->run();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

const std::vector<std::string>& HttpServer::endpoints() const {
  return impl_->endpoints();
}

std::size_t HttpServer::connections() const {
  return impl_->connections();
}

asio::awaitable<void> HttpServer::stop() {
  return Impl::stop(impl_);
}

}  // namespace gavel

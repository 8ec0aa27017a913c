#include "gateway/gateway.hpp"

#include "gateway/api_json.hpp"
#include "gateway/attach.hpp"
#include "gateway/auth.hpp"
#include "gateway/mcp_http.hpp"

namespace gavel {
namespace {

HttpResponse refusal(const Error& error) {
  HttpResponse response;
  response.status = mapping(error.code).http_status;
  if (error.code == ErrorCode::unauthenticated) {
    response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"gavel\"");
  }
  response.body = error_json(error);
  return response;
}

}  // namespace

class Gateway::Impl : public std::enable_shared_from_this<Gateway::Impl> {
public:
  Impl(asio::any_io_executor executor, Harness& harness, GatewayOptions& options)
      : executor_(executor),
        harness_(harness),
        authenticator_(options.tokens_directory),
        hosts_(answered_hosts(options.http.listen, options.hosts)),
        api_(executor, harness, options.api),
        mcp_(executor, harness, options.mcp),
        mcp_http_(executor, mcp_) {}

  Status listen(HttpServerOptions options) {
    auto server = HttpServer::start(
        executor_, std::move(options),
        [self = shared_from_this()](const HttpRequest& request) { return self->admit(request); },
        [self = shared_from_this()](HttpExchange& exchange) { return handle(self, exchange); });
    if (!server) return std::unexpected(server.error());
    server_ = std::move(*server);
    return {};
  }

  static asio::awaitable<void> stop(std::shared_ptr<Impl> self) {
    co_await self->server_->stop();
    self->mcp_.close();
  }

  HttpServer& server() { return *server_; }
  // The server's handlers hold this object: without it, nothing would ever free the two.
  void close() { server_.reset(); }

private:
  // Before the body is read: an unknown client cannot make us read much.
  std::optional<HttpResponse> admit(const HttpRequest& request) {
    const auto known = check_host_and_origin(request, hosts_);
    if (!known) return refusal(known.error());
    const auto caller = authenticator_.authenticate(request.header("Authorization"));
    if (!caller) return refusal(caller.error());
    return std::nullopt;
  }

  static asio::awaitable<void> handle(std::shared_ptr<Impl> self, HttpExchange& exchange) {
    const auto& request = exchange.request();
    auto caller = self->authenticator_.authenticate(request.header("Authorization"));
    if (!caller) {
      co_await exchange.respond(refusal(caller.error()));
    } else if (request.path == "/mcp") {
      co_await self->mcp_http_.handle(exchange, std::move(*caller));
    } else if (request.path == "/v1/attach" && request.method == "POST") {
      co_await serve_attach(exchange, std::move(*caller), self->executor_, self->harness_,
                            self->mcp_);
    } else {
      co_await self->api_.handle(exchange, std::move(*caller));
    }
  }

  asio::any_io_executor executor_;
  Harness& harness_;
  Authenticator authenticator_;
  std::vector<std::string> hosts_;
  Api api_;
  McpServer mcp_;
  McpHttp mcp_http_;
  std::unique_ptr<HttpServer> server_;
};

Gateway::Gateway(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Gateway::~Gateway() {
  impl_->close();
}

Result<std::unique_ptr<Gateway>> Gateway::start(asio::any_io_executor executor, Harness& harness,
                                                GatewayOptions options) {
  auto impl = std::make_shared<Impl>(std::move(executor), harness, options);
  TRY(impl->listen(std::move(options.http)));
  return std::unique_ptr<Gateway>(new Gateway(std::move(impl)));
}

const std::vector<std::string>& Gateway::endpoints() const {
  return impl_->server().endpoints();
}

asio::awaitable<void> Gateway::stop() {
  return Impl::stop(impl_);
}

}  // namespace gavel

// 2026-07-28: stateless requests.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "gateway/mcp_server.hpp"

namespace gavel {
namespace {

// Clients ask this first, and often; it does not change while this process lives.
constexpr std::int64_t kDiscoverTtl = 60'000;

}  // namespace

asio::awaitable<McpAnswer> McpServer::answer_modern(Request& request) {
  const auto& method = request.rpc.method;
  const auto* known = find_mcp_method(method);
  const auto handler = find_handler(method);
  if (handler == nullptr || known == nullptr || !known->modern) {
    co_return fault(method_not_found(request.rpc.id, method), 404);
  }
  co_return co_await (this->*handler)(request);
}

// Of a tools/call: the headers that mirror its arguments.
asio::awaitable<std::expected<void, McpRefusal>> McpServer::check_headers(Request& request) {
  const auto name = McpCatalogue::full_name(request.param("name"), request.context.server);
  const auto schema = co_await catalogue_.mirrored_schema(request.context.caller, name);
  if (schema.is_null()) co_return std::expected<void, McpRefusal>{};
  const auto* params = find(request.rpc.document, "params");
  const auto* arguments = params == nullptr ? nullptr : find(*params, "arguments");
  const json::value none = json::object{};
  co_return check_param_headers(request.context.headers, request.rpc.id, schema,
                                arguments == nullptr ? none : *arguments);
}

asio::awaitable<McpAnswer> McpServer::discover(Request& request) {
  co_return complete(request, discover_result(self_, mcp_capabilities(Era::modern),
                                              kMcpInstructions, kDiscoverTtl));
}

// Gavel announces no changes yet, so it honours the empty subset of what was asked for; the stream
// stays open all the same, as clients hold on to it.
asio::awaitable<McpAnswer> McpServer::listen(Request& request) {
  auto& exchange = request.exchange;
  if (!exchange.can_stream()) {
    co_return fault(RpcFault{.code = rpc::kInvalidRequest,
                             .message = "subscriptions/listen is answered with a stream: accept "
                                        "text/event-stream",
                             .id = std::string(request.rpc.id),
                             .data = {}},
                    406);
  }
  json::object meta;
  meta[meta::kSubscriptionId] = find(request.rpc.document, "id") == nullptr
                                    ? json::value(nullptr)
                                    : *find(request.rpc.document, "id");
  const auto timer = std::make_shared<asio::steady_timer>(executor_);
  const McpRegistration registration(request.context.peer, request.rpc.id,
                                     [weak = std::weak_ptr(timer)] {
                                       if (const auto waiting = weak.lock()) waiting->cancel();
                                     });
  bool open = co_await exchange.send(rpc_notification(
      "notifications/subscriptions/acknowledged",
      write_json(json::object{{"_meta", meta}, {"notifications", json::object{}}})));
  exchange.cancel_when_ended();
  while (open && !exchange.ended() && !registration.cancelled()) {
    timer->expires_after(options_.keep_alive);
    co_await timer->async_wait(asio::as_tuple(asio::use_awaitable));
    if (exchange.ended() || registration.cancelled()) break;
    open = co_await exchange.keep_alive();
  }
  if (!open || !exchange.server_stopping() || registration.cancelled()) co_return McpAnswer{};
  co_return complete(request, write_json(json::object{{"_meta", std::move(meta)}}));
}

}  // namespace gavel

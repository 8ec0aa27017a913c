// What changes at the upstreams: subscriptions of legacy sessions, and subscriptions/listen.
#include <fmt/format.h>

#include "base/text.hpp"
#include "gateway/mcp_server.hpp"

namespace gavel {
namespace {

UpstreamReply not_possible(Error error) {
  UpstreamReply reply;
  reply.error = std::move(error);
  return reply;
}

UpstreamReply done() {
  UpstreamReply reply;
  reply.delivery = Delivery::answered;
  reply.result = "{}";
  return reply;
}

}  // namespace

asio::awaitable<UpstreamReply> McpServer::subscribe_to(const Request& request,
                                                       McpListener& listener, std::string uri) {
  if (uri.empty()) {
    co_return not_possible({ErrorCode::invalid_argument, "\"uri\" must be a string"});
  }
  if (listener.uris.size() >= kSubscriptionsMax) {
    co_return not_possible(
        {ErrorCode::too_large, fmt::format("over {} subscriptions; end some", kSubscriptionsMax)});
  }
  const auto owner = co_await catalogue_.owner_of(uri, request.context.server);
  if (!owner) co_return not_possible(owner.error());
  auto reply = co_await catalogue_.ask(*owner, "resources/subscribe",
                                       write_json(json::object{{"uri", uri}}), {});
  if (!reply.result.empty()) listener.uris.insert(std::move(uri));
  co_return reply;
}

// The upstream is told once nobody listens any more.
asio::awaitable<UpstreamReply> McpServer::unsubscribe_from(const Request& request,
                                                           McpListener& listener, std::string uri) {
  listener.uris.erase(uri);
  if (changes_->anybody_subscribed(uri, &listener)) co_return done();
  const auto owner = co_await catalogue_.owner_of(uri, request.context.server);
  if (!owner) co_return not_possible(owner.error());
  co_return co_await catalogue_.ask(*owner, "resources/unsubscribe",
                                    write_json(json::object{{"uri", uri}}), {});
}

asio::awaitable<McpAnswer> McpServer::subscribe(Request& request) {
  const auto listener = request.context.peer->listener;
  const auto reply = co_await subscribe_to(request, *listener, std::string(request.param("uri")));
  co_return relay(request, reply);
}

asio::awaitable<McpAnswer> McpServer::unsubscribe(Request& request) {
  const auto listener = request.context.peer->listener;
  const auto reply =
      co_await unsubscribe_from(request, *listener, std::string(request.param("uri")));
  co_return relay(request, reply);
}

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
  const auto listener = std::make_shared<McpListener>();
  listener->server = request.context.server;
  const auto* id = find(request.rpc.document, "id");
  listener->meta[meta::kSubscriptionId] = id == nullptr ? json::value(nullptr) : *id;
  listener->outbox = std::make_shared<McpOutbox>(executor_);
  const auto outbox = listener->outbox;

  // The subset of what was asked for that is honoured.
  json::object honoured;
  const auto* params = find(request.rpc.document, "params");
  const auto* wanted = params == nullptr ? nullptr : find(*params, "notifications");
  const json::value nothing = json::object{};
  if (wanted == nullptr) wanted = &nothing;
  const std::pair<const char*, bool*> lists[] = {{"toolsListChanged", &listener->tools},
                                                 {"promptsListChanged", &listener->prompts},
                                                 {"resourcesListChanged", &listener->resources}};
  for (const auto& [name, flag] : lists) {
    *flag = bool_or(*wanted, name, false);
    if (*flag) honoured[name] = true;
  }
  changes_->add(listener);
  const auto* uris = find_array(*wanted, "resourceSubscriptions");
  json::array subscribed;
  for (const auto& uri : uris == nullptr ? json::array{} : *uris) {
    if (!uri.is_string()) continue;
    const auto reply =
        co_await subscribe_to(request, *listener, std::string(view(uri.as_string())));
    if (!reply.result.empty()) subscribed.push_back(uri);
  }
  if (!subscribed.empty()) honoured["resourceSubscriptions"] = std::move(subscribed);

  const McpRegistration registration(request.context.peer, request.rpc.id,
                                     [weak = std::weak_ptr(outbox)] {
                                       if (const auto waiting = weak.lock()) waiting->wake();
                                     });
  bool open = co_await exchange.send(rpc_notification(
      "notifications/subscriptions/acknowledged",
      write_json(json::object{{"_meta", listener->meta}, {"notifications", honoured}})));
  exchange.cancel_when_ended();
  while (open && !exchange.ended() && !registration.cancelled()) {
    const auto sign_at = std::chrono::steady_clock::now() + options_.keep_alive;
    co_await outbox->wait_until(sign_at);
    if (exchange.ended() || registration.cancelled()) break;
    while (auto message = outbox->next()) {
      open = open && co_await exchange.send(std::move(*message));
    }
    if (open && std::chrono::steady_clock::now() >= sign_at) open = co_await exchange.keep_alive();
  }
  listener->outbox.reset();
  for (const auto& uri : std::set<std::string>(listener->uris)) {
    if (!exchange.server_stopping()) co_await unsubscribe_from(request, *listener, uri);
  }
  if (!open || !exchange.server_stopping() || registration.cancelled()) co_return McpAnswer{};
  co_return complete(request, write_json(json::object{{"_meta", listener->meta}}));
}

}  // namespace gavel

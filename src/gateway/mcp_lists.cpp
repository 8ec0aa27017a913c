// Listings, and what is passed to one upstream as it is.
#include <fmt/format.h>

#include "base/text.hpp"
#include "gateway/mcp_server.hpp"

namespace gavel {
namespace {

json::object params_without_meta(const RpcMessage& message) {
  const auto* params = find_object(message.document, "params");
  json::object copy = params == nullptr ? json::object{} : *params;
  copy.erase("_meta");
  return copy;
}

RpcFault wrong_params(const RpcMessage& message, std::string text) {
  return RpcFault{.code = rpc::kInvalidParams,
                  .message = std::move(text),
                  .id = std::string(message.id),
                  .data = {}};
}

}  // namespace

// Every listing fits one page, so no cursor was ever given.
asio::awaitable<McpAnswer> McpServer::list_tools(Request& request) {
  if (!request.param("cursor").empty()) {
    co_return fault(wrong_params(request.rpc, "this cursor was not given by Gavel"), 200);
  }
  const auto list = co_await catalogue_.list_tools(request.context.caller, request.context.server);
  co_return list ? complete(request, *list) : failed(request, list.error());
}

asio::awaitable<McpAnswer> McpServer::list_prompts(Request& request) {
  const auto list = co_await catalogue_.list_prompts(request.context.server);
  co_return list ? complete(request, *list) : failed(request, list.error());
}

asio::awaitable<McpAnswer> McpServer::list_resources(Request& request) {
  const auto list = co_await catalogue_.list_resources(request.context.server);
  co_return list ? complete(request, *list) : failed(request, list.error());
}

asio::awaitable<McpAnswer> McpServer::list_templates(Request& request) {
  const auto list = co_await catalogue_.list_templates(request.context.server);
  co_return list ? complete(request, *list) : failed(request, list.error());
}

// A client that goes away cancels the request at the upstream.
asio::awaitable<McpAnswer> McpServer::pass(Request& request, std::string server,
                                           json::object params) {
  request.exchange.cancel_when_ended();
  const auto reply =
      co_await catalogue_.ask(std::move(server), request.rpc.method, write_json(params),
                              request.meta.rest, caller_side(request));
  co_return relay(request, reply);
}

asio::awaitable<McpAnswer> McpServer::read_resource(Request& request) {
  const std::string uri(request.param("uri"));
  if (uri.empty()) {
    co_return fault(wrong_params(request.rpc, "\"uri\" must be a string"), 200);
  }
  const auto owner = co_await catalogue_.owner_of(uri, request.context.server);
  if (owner) co_return co_await pass(request, *owner, params_without_meta(request.rpc));
  if (!request.context.server.empty()) co_return failed(request, owner.error());
  // It may be of a template: whoever can read it has it.
  McpAnswer last = failed(request, owner.error());
  for (const auto& server : harness_.upstreams()) {
    const auto capabilities = co_await harness_.upstream_capabilities(server);
    if (!capabilities || !capabilities->contains("resources")) continue;
    const auto reply = co_await catalogue_.ask(server, request.rpc.method,
                                               write_json(params_without_meta(request.rpc)),
                                               request.meta.rest, caller_side(request));
    if (!reply.result.empty()) co_return relay(request, reply);
    if (!reply.rpc_error.empty()) last = relay(request, reply);
  }
  co_return last;
}

asio::awaitable<McpAnswer> McpServer::get_prompt(Request& request) {
  const auto owner = catalogue_.split_name(request.param("name"), request.context.server);
  if (!owner) co_return failed(request, owner.error());
  auto params = params_without_meta(request.rpc);
  params["name"] = owner->second;
  co_return co_await pass(request, owner->first, std::move(params));
}

asio::awaitable<McpAnswer> McpServer::complete_argument(Request& request) {
  auto params = params_without_meta(request.rpc);
  auto* reference = params.if_contains("ref");
  const auto kind = reference == nullptr ? std::string_view{} : string_or(*reference, "type");
  if (kind == "ref/prompt") {
    const auto owner = catalogue_.split_name(string_or(*reference, "name"), request.context.server);
    if (!owner) co_return failed(request, owner.error());
    reference->as_object()["name"] = owner->second;
    co_return co_await pass(request, owner->first, std::move(params));
  }
  if (kind == "ref/resource") {
    const auto owner = co_await catalogue_.owner_of(std::string(string_or(*reference, "uri")),
                                                    request.context.server);
    if (!owner) co_return failed(request, owner.error());
    co_return co_await pass(request, *owner, std::move(params));
  }
  co_return fault(
      wrong_params(request.rpc, "\"ref\" must be of type \"ref/prompt\" or \"ref/resource\""), 200);
}

}  // namespace gavel
